"""How long requests take: median and 99th percentile, for the log, the page and the model card."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import ServingError
from gr00t_assets.core.files import FrozenModel, write_json

LATENCY = "latency.json"
"""Beside the weights of a model that was measured."""


class Latency(FrozenModel):
    """What ``gr00t-assets serve --measure`` found, with the server and a client on one machine."""

    p50_ms: float
    p99_ms: float
    requests: int
    device: str

    @classmethod
    def of(cls, seconds: Sequence[float], requests: int, device: str) -> Self:
        """Percentiles of the seconds of some requests, the newest of so many."""
        p50, p99 = np.round(np.percentile(seconds, (50, 99)) * 1000, 3).tolist()
        return cls(p50_ms=p50, p99_ms=p99, requests=requests, device=device)

    @property
    def text(self) -> str:
        """For people."""
        return f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms over {self.requests:,} requests"


def save_latency(latency: Latency, model_directory: Path) -> None:
    """Write ``latency.json`` beside the weights."""
    write_json(model_directory / LATENCY, sealed(latency.model_dump()))


def load_latency(model_directory: Path) -> Latency | None:
    """What was measured of a model, None where nothing was, ``ServingError`` if it is damaged."""
    path = model_directory / LATENCY
    if not path.is_file():
        return None
    return load_sealed(
        path, Latency, lambda why: ServingError(str(path), "this is no record of latencies.", [why])
    )
