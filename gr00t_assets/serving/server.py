"""A policy over ZeroMQ for Isaac-GR00T's clients of the N1.5 line, and for our own.

One thread reads and answers messages, another one runs the policy: while the model computes, a
``ping`` is answered, and a request that waits too long is told so. Nothing that a client sends, or
does not send, ends the server: what cannot be read is answered with ``{"error": text}``.

Endpoints: ``ping``, ``get_action`` and ``get_modality_config`` as NVIDIA's; ``act``, ``describe``
and ``health`` for ``gr00t_assets.serving.client``. ``kill`` is refused.
"""

import hmac
import ipaddress
import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from gr00t_assets.core.errors import Gr00tAssetsError, ServingError
from gr00t_assets.core.text import did_you_mean, printable
from gr00t_assets.serving import messages
from gr00t_assets.serving.client import Latency
from gr00t_assets.trainers.policy import Policy

_LOG_EVERY, _WARN_EVERY, _POLL_MS = 60.0, 5.0, 50
"""Seconds between lines on latency, and on odd observations; milliseconds between looks at stop."""

_MOST_WAITING, _MOST_OF_CLIENT, _MOST_TIMES = 32, 4, 10_000
"""Requests that wait for the policy, of all clients and of one; newest ones that are timed."""


@dataclass(eq=False)
class _Request:
    envelope: list[bytes]
    endpoint: str
    data: dict[str, Any]
    began: float = field(default_factory=time.monotonic)
    answer: dict[str, Any] = field(default_factory=dict)
    answered: bool = False


class PolicyServer:
    """Serves one policy until it is stopped.

    Another host than loopback needs a ``token``, which clients send as ``api_token``; port 0 is any
    that is free. The ``seed`` is that of every answer. A request gets an error after ``time_limit``
    seconds; who sends more than ``most_bytes`` in a message is disconnected. ``ServingError`` where
    the address cannot be listened at, or is open to others without a token.
    """

    def __init__(
        self,
        policy: Policy,
        host: str = messages.LOOPBACK,
        port: int = messages.PORT,
        *,
        token: str | None = None,
        seed: int = 0,
        time_limit: float = 10.0,
        most_bytes: int = messages.LARGEST_MESSAGE,
        log: Callable[[str], object] = lambda line: None,
    ) -> None:
        import zmq

        if token is None and not is_loopback(host):
            problem = "whoever reaches this address could move the robot."
            details = ["give a token: --token-env NAME", "or --host 127.0.0.1"]
            raise ServingError(host, problem, details)
        self.policy, self.token, self._seed = policy, token, seed
        self._time_limit, self._most_bytes, self._log = time_limit, most_bytes, log
        self._seconds, self._requests, self._refused = deque[float](maxlen=_MOST_TIMES), 0, 0
        self._waiting, self._running = deque[_Request](), None
        self._stop, self._warned = threading.Event(), 0.0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        for option, value in (
            *((zmq.LINGER, 0), (zmq.MAXMSGSIZE, most_bytes), (zmq.RCVHWM, 2), (zmq.SNDHWM, 16)),
            *((zmq.TCP_KEEPALIVE, 1), (zmq.IPV6, int(":" in host))),
        ):
            self._socket.setsockopt(option, value)
        try:
            local = messages.LOOPBACK if host == "localhost" else host
            address = f"[{local}]" if ":" in local else local
            self._socket.bind(f"tcp://{address}:{port}")
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            problem = f"this address cannot be listened at: {error}."
            raise ServingError(f"{host}:{port}", problem, ["choose another --port"]) from error
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self.port = int(endpoint.rstrip(b"\0").rpartition(b":")[2])

    def stop(self) -> None:
        """Make ``serve`` return; from any thread."""
        self._stop.set()

    def serve(self) -> None:
        """Answer requests until ``stop``."""
        import zmq

        done, wake = socket.socketpair()  # that can be polled beside the clients' socket
        self._calls: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        # A daemon, so that a model that hangs does not keep the process from ending.
        worker = threading.Thread(target=self._work, args=(wake,), daemon=True)
        worker.start()
        poller, logged, logged_requests = zmq.Poller(), time.monotonic(), 0
        poller.register(self._socket, zmq.POLLIN)
        poller.register(done, zmq.POLLIN)
        try:
            while not self._stop.is_set():
                ready = dict(poller.poll(_POLL_MS))
                if done.fileno() in ready:
                    done.recv(1)
                    self._finish()
                if self._socket in ready:
                    self._take(self._socket.recv_multipart())
                self._give_up()
                if time.monotonic() - logged > _LOG_EVERY:
                    if self._requests > logged_requests:
                        self._log(self._summary())
                    logged, logged_requests = time.monotonic(), self._requests
        finally:
            self._calls.put(None)
            if self._running is None:
                worker.join()
                done.close()
                wake.close()
            self._context.destroy(linger=0)
            self._log(self._summary())

    def _latency(self) -> Latency | None:
        if not self._seconds:
            return None
        return Latency.of(self._seconds, self._requests, self.policy.device)

    def _summary(self) -> str:
        latency = self._latency()
        return f"{latency.text if latency else 'no requests'}; {self._refused:,} refused"

    def _take(self, frames: list[bytes]) -> None:
        """Answer a message, or put it into the queue of the policy."""
        *envelope, content = frames
        try:
            message = messages.decode(content, self._most_bytes)
            if not self._is_allowed(message.get("api_token")):
                raise ServingError("request", "Unauthorized: Invalid API token")
            endpoint, data = str(message.get("endpoint", "get_action")), message.get("data")
            direct = {
                "ping": lambda: {"status": "ok", "message": "Server is running"},
                "get_modality_config": lambda: messages.modality_configs(self.policy.config),
                "describe": self.policy.description._asdict,
                "health": self._health,
            }
            if endpoint in direct:
                self._send(envelope, direct[endpoint]())
                return
            if endpoint == "kill":
                problem = "a server is not stopped over the network; end its process."
                raise ServingError("kill", problem)
            if endpoint not in ("get_action", "act"):
                hint = did_you_mean(endpoint[:40], (*direct, "get_action", "act"))
                raise ServingError(endpoint[:40], f"there is no such endpoint; {hint}.")
            if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
                raise ServingError("request", "`data` is no observation by name.")
            same = sum(request.envelope == envelope for request in self._waiting)
            if len(self._waiting) >= _MOST_WAITING or same >= _MOST_OF_CLIENT:
                raise ServingError("request", "too many requests wait; ask again later.")
        except Exception as error:  # no message ends the server, whatever is wrong with it
            self._refuse(envelope, _told(error))
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
            self._calls.put(self._running)

    def _work(self, wake: socket.socket) -> None:
        """Run the policy for one request after another, in the worker's thread."""
        while (request := self._calls.get()) is not None:
            try:
                request.answer = self._answer(request)
            except Exception as error:  # of the model, of torch, or of the driver
                request.answer = {"error": _told(error)}
            wake.send(b".")

    def _answer(self, request: _Request) -> dict[str, Any]:
        if request.endpoint == "get_action":
            asked, batched = messages.observations(request.data)
            chunks = self.policy.act_many(asked, [self._seed] * len(asked))
            self._warn([warning for chunk in chunks for warning in chunk.warnings])
            return messages.actions(chunks, batched)
        chunk = self.policy.act(request.data, self._seed)
        self._warn(chunk.warnings)
        return chunk._asdict()

    def _warn(self, warnings: Sequence[str]) -> None:
        if warnings and time.monotonic() - self._warned > _WARN_EVERY:
            self._warned = time.monotonic()
            self._log("; ".join(warnings))

    def _finish(self) -> None:
        request, self._running = self._running, None
        if request is not None and not request.answered:
            if "error" in request.answer:
                self._refuse(request.envelope, request.answer["error"])
            else:
                self._send(request.envelope, request.answer)
                self._seconds.append(time.monotonic() - request.began)
                self._requests += 1
        self._next()

    def _give_up(self) -> None:
        """Tell clients of requests that are too old."""
        oldest = time.monotonic() - self._time_limit
        for request in [*self._waiting, *([self._running] if self._running else [])]:
            if request.began < oldest and not request.answered:
                request.answered = True
                self._refuse(request.envelope, f"no answer within {self._time_limit:g} s")
        self._waiting = deque(request for request in self._waiting if not request.answered)

    def _refuse(self, envelope: list[bytes], why: str) -> None:
        self._refused += 1
        self._log(f"refused: {' '.join(why.split())[:300]}")
        self._send(envelope, {"error": why})

    def _send(self, envelope: list[bytes], message: dict[str, Any]) -> None:
        import zmq

        try:
            self._socket.send_multipart([*envelope, messages.encode(message)], zmq.NOBLOCK)
        except zmq.ZMQError as error:  # the client is gone
            self._log(f"not sent: {error}")

    def _health(self) -> dict[str, Any]:
        latency, running = self._latency(), self._running
        return {
            "status": "ok",
            "device": self.policy.device,
            "requests": self._requests,
            "refused": self._refused,
            "waiting": len(self._waiting),
            "busy_seconds": round(time.monotonic() - running.began, 3) if running else 0.0,
            "p50_ms": latency and latency.p50_ms,
            "p99_ms": latency and latency.p99_ms,
        }


def _told(error: Exception) -> str:
    is_ours = isinstance(error, Gr00tAssetsError)
    return str(error) if is_ours else printable(f"{type(error).__name__}: {error}")


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
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
