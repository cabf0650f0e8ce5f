"""A policy over ZeroMQ for Isaac-GR00T's clients of the N1.5 line, and for our own.

One thread reads and answers messages, another one runs the policy: while the model computes, a
``ping`` is answered, and a request that waits too long is told so. Nothing that a client sends, or
does not send, ends the server: what cannot be read is answered with ``{"error": text}``.

Endpoints: ``ping``, ``get_action`` and ``get_modality_config`` as NVIDIA's; ``act``, ``describe``
and ``health`` for ``gr00t_assets.serving.client``. ``kill`` is refused.
"""

import hmac
import ipaddress
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gr00t_assets.core.errors import Gr00tAssetsError, ServingError
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.core.text import printable
from gr00t_assets.serving import isaac_format
from gr00t_assets.serving.latency import LatencyRecord
from gr00t_assets.serving.messages import LARGEST_MESSAGE, decode, encode
from gr00t_assets.serving.policy_worker import PolicyWorker
from gr00t_assets.trainers.policy import Policy

LOOPBACK, PORT = "127.0.0.1", 5555
"""Where a policy is served unless somebody asks for another place; the port is NVIDIA's."""

_LOG_EVERY, _WARN_EVERY, _POLL_MS = 60.0, 5.0, 50
"""Seconds between lines on latency, and on odd observations; milliseconds between looks at stop."""

_MOST_WAITING, _MOST_OF_CLIENT = 32, 4
"""Requests that wait for the policy, of all clients and of one."""


@dataclass(eq=False)
class _Request:
    envelope: list[bytes]
    endpoint: str
    data: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    answered: bool = False


class PolicyServer:
    """Serves one policy until it is stopped.

    Args:
        policy: What answers.
        host: Address to listen at; other machines reach only an address that is not loopback.
        port: TCP port; 0 for a free one.
        token: What clients have to send as ``api_token``; has to be given for another host.
        seed: Of the noise of every answer: one observation always gives the same actions.
        time_limit: Seconds after which a request is answered with an error.
        most_bytes: Of a message; a client that sends more is disconnected.
        log: Takes a line.

    Raises:
        ServingError: The address cannot be listened at, or is open to others without a token.
    """

    def __init__(
        self,
        policy: Policy,
        host: str = LOOPBACK,
        port: int = PORT,
        *,
        token: str | None = None,
        seed: int = 0,
        time_limit: float = 10.0,
        most_bytes: int = LARGEST_MESSAGE,
        log: Callable[[str], object] = lambda line: None,
    ) -> None:
        import zmq

        if token is None and not is_loopback(host):
            problem = "whoever reaches this address could move the robot."
            details = ["give a token: --token-env NAME or --token-file FILE", "or --host 127.0.0.1"]
            raise ServingError(host, problem, details)
        self.policy, self.token, self._seed = policy, token, seed
        self._time_limit, self._most_bytes, self._log = time_limit, most_bytes, log
        self.latency, self.refused = LatencyRecord(), 0
        self._waiting: deque[_Request] = deque()
        self._running: _Request | None = None
        self._stop, self._warned = threading.Event(), 0.0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.MAXMSGSIZE, most_bytes),
            (zmq.RCVHWM, 2),
            (zmq.SNDHWM, 16),
            (zmq.TCP_KEEPALIVE, 1),
            (zmq.IPV6, int(":" in host)),
        ):
            self._socket.setsockopt(option, value)
        try:
            address = LOOPBACK if host == "localhost" else f"[{host}]" if ":" in host else host
            self._socket.bind(f"tcp://{address}:{port}")
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            problem = f"this address cannot be listened at: {error}."
            raise ServingError(f"{host}:{port}", problem, ["choose another --port"]) from error
        self._worker = PolicyWorker()
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self.port = int(endpoint.rstrip(b"\0").rpartition(b":")[2])

    def stop(self) -> None:
        """Make ``serve`` return; from any thread."""
        self._stop.set()

    def serve(self) -> None:
        """Answer requests until ``stop``."""
        import zmq

        poller, logged, logged_requests = zmq.Poller(), time.monotonic(), 0
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._worker.done, zmq.POLLIN)
        try:
            while not self._stop.is_set():
                ready = dict(poller.poll(_POLL_MS))
                if self._worker.done.fileno() in ready:
                    self._finish(self._worker.answer())
                if self._socket in ready:
                    self._take(self._socket.recv_multipart())
                self._give_up()
                if time.monotonic() - logged > _LOG_EVERY:
                    logged = time.monotonic()
                    if self.latency.requests > logged_requests:
                        self._log(self._summary())
                    logged_requests = self.latency.requests
        finally:
            self._worker.close(wait=self._running is None)
            self._context.destroy(linger=0)
            self._log(self._summary())

    def _summary(self) -> str:
        latency = self.latency.summary(self.policy.device)
        return f"{latency.text if latency else 'no requests'}; {self.refused:,} refused"

    def _take(self, frames: list[bytes]) -> None:
        """Answer a message, or put it into the queue of the policy."""
        *envelope, content = frames
        try:
            message = decode(content, self._most_bytes)
            if not self._is_allowed(message.get("api_token")):
                raise ServingError("request", "Unauthorized: Invalid API token")
            endpoint, data = str(message.get("endpoint", "get_action")), message.get("data")
            direct = {
                "ping": lambda: {"status": "ok", "message": "Server is running"},
                "get_modality_config": lambda: isaac_format.modality_configs(self.policy.config),
                "describe": self.policy.description._asdict,
                "health": self._health,
            }
            if endpoint == "kill":
                problem = "a server is not stopped over the network; end its process."
                raise ServingError("kill", problem)
            if endpoint in direct:
                self._send(envelope, direct[endpoint]())
                return
            if endpoint not in ("get_action", "act"):
                hint = did_you_mean(endpoint[:40], (*direct, "get_action", "act"))
                raise ServingError(endpoint[:40], f"there is no such endpoint; {hint}.")
            if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
                raise ServingError("request", "`data` is no observation by name.")
            same = sum(request.envelope == envelope for request in self._waiting)
            if len(self._waiting) >= _MOST_WAITING or same >= _MOST_OF_CLIENT:
                raise ServingError("request", "too many requests wait; ask again later.")
        except Gr00tAssetsError as error:
            self._refuse(envelope, str(error))
        except Exception as error:  # no message ends the server, whatever is wrong with it
            self._refuse(envelope, printable(f"{type(error).__name__}: {error}"))
        else:
            self._waiting.append(_Request(envelope, endpoint, data))
            self._next()

    def _is_allowed(self, token: object) -> bool:
        if self.token is None:
            return True
        given = token.encode(errors="replace") if isinstance(token, str) else b""
        return hmac.compare_digest(given, self.token.encode())

    def _next(self) -> None:
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._worker.start(partial(self._answer, self._running))

    def _answer(self, request: _Request) -> dict[str, Any]:
        if request.endpoint == "get_action":
            asked, batched = isaac_format.observations(request.data)
            chunks = self.policy.act_many(asked, [self._seed] * len(asked))
            self._warn([warning for chunk in chunks for warning in chunk.warnings])
            return isaac_format.actions(chunks, batched)
        chunk = self.policy.act(request.data, self._seed)
        self._warn(chunk.warnings)
        return chunk._asdict()

    def _warn(self, warnings: list[str] | tuple[str, ...]) -> None:
        if warnings and time.monotonic() - self._warned > _WARN_EVERY:
            self._warned = time.monotonic()
            self._log("; ".join(warnings))

    def _finish(self, answer: dict[str, Any]) -> None:
        request, self._running = self._running, None
        if request is not None and not request.answered:
            if "error" in answer:
                self._refuse(request.envelope, answer["error"])
            else:
                self._send(request.envelope, answer)
                self.latency.add(time.monotonic() - request.began)
        self._next()

    def _give_up(self) -> None:
        """Tell clients of requests that are too old."""
        oldest = time.monotonic() - self._time_limit
        late = [request for request in self._waiting if request.began < oldest]
        for request in late:
            self._waiting.remove(request)
        if self._running is not None and self._running.began < oldest:
            late += [] if self._running.answered else [self._running]
        for request in late:
            request.answered = True
            self._refuse(request.envelope, f"no answer within {self._time_limit:g} s")

    def _refuse(self, envelope: list[bytes], why: str) -> None:
        self.refused += 1
        self._log(f"refused: {' '.join(why.split())[:300]}")
        self._send(envelope, {"error": why})

    def _send(self, envelope: list[bytes], message: dict[str, Any]) -> None:
        import zmq

        try:
            self._socket.send_multipart([*envelope, encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError as error:  # the client is gone
            self._log(f"not sent: {error}")

    def _health(self) -> dict[str, Any]:
        latency = self.latency.summary(self.policy.device)
        running = self._running
        return {
            "status": "ok",
            "device": self.policy.device,
            "requests": self.latency.requests,
            "refused": self.refused,
            "waiting": len(self._waiting),
            "busy_seconds": round(time.monotonic() - running.began, 3) if running else 0.0,
            "p50_ms": latency.p50_ms if latency else None,
            "p99_ms": latency.p99_ms if latency else None,
        }


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def serving(server: PolicyServer) -> Iterator[PolicyServer]:
    """Serve in a thread until the block ends."""
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
