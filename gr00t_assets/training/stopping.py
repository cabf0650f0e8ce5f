"""Ctrl-C and SIGTERM as a request: finish the step, write a checkpoint, then end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether somebody asked the training to stop."""

    def __init__(self) -> None:
        self.signal_name: str | None = None

    @property
    def asked(self) -> bool:
        """True from the first signal on."""
        return self.signal_name is not None


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
