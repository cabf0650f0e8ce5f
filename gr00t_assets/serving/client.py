"""A client of a policy server that needs no torch, and connects anew after a failure.

``get_action`` and ``get_modality_config`` are NVIDIA's endpoints, which servers of Isaac-GR00T's
N1.5 line have too; the others are of our own servers. ``latency.json`` has how long the answers of
a model take: median and 99th percentile, for the log, the page and the model card.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import ServingError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.serving.messages import LOOPBACK, PORT, decode, encode
from gr00t_assets.trainers.policy import ActionChunk, PolicyDescription


class PolicyClient:
    """Asks a policy server, with a token where given; ``timeout`` is seconds to wait for an answer.

    Examples:
        >>> def first_action(observation):
        ...     with PolicyClient(port=5555) as client:
        ...         return client.act(observation).flat[0]
    """

    def __init__(
        self, host: str = LOOPBACK, port: int = PORT, token: str | None = None, timeout: float = 5.0
    ) -> None:
        import zmq

        self.address, self.timeout = f"{host}:{port}", timeout
        self._token = {} if token is None else {"api_token": token}
        self._context, self._socket = zmq.Context(), None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)

    def call(self, endpoint: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer of an endpoint; ``ServingError`` where it is an error, or late."""
        import zmq

        if self._socket is None:
            self._socket = self._context.socket(zmq.REQ)
            self._socket.connect(f"tcp://{self.address}")
        asked = {} if data is None else {"data": dict(data)}
        self._socket.send(encode({"endpoint": endpoint, **asked, **self._token}))
        if not self._socket.poll(round(self.timeout * 1000)):
            # A socket that waits for an answer takes no other request: the next call makes one.
            self._socket.close(linger=0)
            self._socket = None
            details = ["is it running? gr00t-assets serve MODEL", "is it the right host and port?"]
            problem = f"the policy server does not answer within {self.timeout:g} s."
            raise ServingError(self.address, problem, details)
        answer = decode(self._socket.recv())
        if "error" in answer:
            problem, *details = str(answer["error"]).splitlines() or ["an error without a text"]
            raise ServingError(self.address, problem, [line.strip() for line in details])
        return answer

    def describe(self) -> PolicyDescription:
        """What is served."""
        return PolicyDescription(**_with_tuples(self.call("describe")))

    def health(self) -> dict[str, Any]:
        """Requests, latencies and how busy the server is."""
        return self.call("health")

    def act(self, observation: Mapping[str, Any]) -> ActionChunk:
        """A chunk of actions for what ``Policy.act`` takes; ``ServingError`` where one is NaN."""
        chunk = ActionChunk(**_with_tuples(self.call("act", observation)))
        if not np.isfinite(chunk.flat).all():
            raise ServingError(self.address, "the server answers with NaN or infinity.")
        return chunk

    def get_action(self, observation: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """NVIDIA's endpoint: ``video.NAME`` (1, H, W, 3) and so on, to ``action.NAME``."""
        return self.call("get_action", observation)

    def get_modality_config(self) -> dict[str, Any]:
        """NVIDIA's endpoint: keys and rows of each modality."""
        return self.call("get_modality_config")


def _with_tuples(answer: dict[str, Any]) -> dict[str, Any]:
    """Messages have lists where records have tuples."""
    return {key: tuple(item) if isinstance(item, list) else item for key, item in answer.items()}


LATENCY = "latency.json"  # Beside the weights of a model that was measured


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
