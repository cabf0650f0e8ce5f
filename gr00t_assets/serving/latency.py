"""How long requests take: median and 99th percentile, for the log, the page and the model card."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import ServingError
from gr00t_assets.core.files import FrozenModel, write_json

LATENCY = "latency.json"
"""Beside the weights of a model that was measured."""

_KEPT = 10_000
"""Requests, the newest, that percentiles are of."""


class Latency(FrozenModel):
    """What ``gr00t-assets serve --measure`` found, with the server and a client on one machine."""

    p50_ms: float
    p99_ms: float
    requests: int
    device: str

    @property
    def text(self) -> str:
        """For people."""
        return f"p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms over {self.requests:,} requests"


class LatencyRecord:
    """Milliseconds of requests as they are answered."""

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=_KEPT)
        self.requests = 0

    def add(self, seconds: float) -> None:
        """Count an answered request."""
        self._newest.append(seconds * 1000)
        self.requests += 1

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the block as a request."""
        began = time.perf_counter()
        yield
        self.add(time.perf_counter() - began)

    def summary(self, device: str) -> Latency | None:
        """Percentiles of the newest requests; None where there was none."""
        if not self._newest:
            return None
        middle, high = np.percentile(self._newest, (50, 99)).tolist()
        return Latency(
            p50_ms=round(middle, 3), p99_ms=round(high, 3), requests=self.requests, device=device
        )


def save_latency(latency: Latency, model_directory: Path) -> None:
    """Write ``latency.json`` beside the weights."""
    write_json(model_directory / LATENCY, sealed(latency.model_dump()))


def load_latency(model_directory: Path) -> Latency | None:
    """What was measured of a model; None where nothing was.

    Raises:
        ServingError: The file is damaged.
    """
    path = model_directory / LATENCY
    if not path.is_file():
        return None
    return load_sealed(
        path, Latency, lambda why: ServingError(str(path), "this is no record of latencies.", [why])
    )
