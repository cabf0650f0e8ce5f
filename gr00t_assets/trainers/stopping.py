"""Ctrl-C and SIGTERM as a request: finish the step, write a checkpoint, then end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal


class StopRequest:
    """Whether the training is asked to stop: by somebody, or since it is hopeless."""

    def __init__(self) -> None:
        self.signal_name: str | None = None
        self._hopeless: str | None = None

    @property
    def asked(self) -> bool:
        """True from the first signal on, and once it is pruned."""
        return self.signal_name is not None or self._hopeless is not None

    @property
    def status(self) -> Literal["interrupted", "pruned"]:
        """How a run ends that stops for this."""
        return "interrupted" if self._hopeless is None else "pruned"

    def prune(self, reason: str) -> None:
        """Ask for an end because the run is hopeless."""
        self._hopeless = reason

    def words(self, step: int) -> str:
        """Why and where a run stopped, in a sentence."""
        if self._hopeless is not None:
            return f"pruned, stopped at step {step}: {self._hopeless}"
        return f"stopped by {self.signal_name or 'a signal'} at step {step}"


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Take SIGINT and SIGTERM as requests inside the block; a second SIGINT ends at once."""
    request = StopRequest()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        request.signal_name = signal.Signals(number).name
        signal.signal(signal.SIGINT, signal.default_int_handler)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
