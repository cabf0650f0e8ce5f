"""A request to stop: a file, Ctrl-C or SIGTERM. Runs under the checkout's Python."""

import signal
from pathlib import Path
from types import FrameType


class StopRequest:
    """Asked for when ``file`` exists or a signal came; a second signal ends at once.

    Args:
        file: Made by the driver when it is asked to stop.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._signalled = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    @property
    def asked(self) -> bool:
        """Whether somebody asked."""
        return self._signalled or self._file.exists()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True
        signal.signal(number, signal.SIG_DFL)
