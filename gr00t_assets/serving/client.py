"""A client of a policy server that needs no torch, and connects anew after a failure.

``get_action`` and ``get_modality_config`` are NVIDIA's endpoints, which servers of Isaac-GR00T's
N1.5 line have too; the others are of our own servers.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from gr00t_assets.core.errors import ServingError
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
