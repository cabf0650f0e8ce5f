"""A thread that runs a policy, so that whoever reads messages goes on reading them."""

import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.text import printable

Answer = dict[str, Any]


class PolicyWorker:
    """Runs one call after another; a call that fails gives ``{"error": text}``.

    Attributes:
        done: A socket that can be read when a call has ended.
    """

    def __init__(self) -> None:
        self.done, self._wake = socket.socketpair()
        self._calls: queue.SimpleQueue[Callable[[], Answer] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def start(self, call: Callable[[], Answer]) -> None:
        """Run a call when those before it have ended."""
        self._calls.put(call)

    def answer(self) -> Answer:
        """What the oldest call gave whose answer was not taken yet; waits for it."""
        self.done.recv(1)
        return self._answers.get()

    def close(self, wait: bool) -> None:
        """End the thread; without ``wait`` a call that runs is left to end with the process."""
        self._calls.put(None)
        if wait:
            self._thread.join()
            self.done.close()
            self._wake.close()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                answer = call()
            except Gr00tAssetsError as error:
                answer = {"error": str(error)}
            except Exception as error:  # of the model, of torch, or of the driver
                answer = {"error": printable(f"{type(error).__name__}: {error}")}
            self._answers.put(answer)
            self._wake.send(b".")
