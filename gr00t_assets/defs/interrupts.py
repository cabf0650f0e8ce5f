"""The exit code of a command that a signal ended: 130 after Ctrl-C, 143 after SIGTERM.

Dagster makes one interrupt of both signals, and ends ``dagster asset materialize`` with code 1, as
after a failure; a script that runs one command after another cannot tell them apart.
"""

import atexit
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

INTERRUPTS = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError)
"""What Ctrl-C or SIGTERM raises in an asset or check."""

_exit_codes: list[int] = []


@contextmanager
def signal_is_exit_code() -> Iterator[None]:
    """Have this process end with 128 + n where signal n interrupts the block."""
    with _received_signals() as received:
        try:
            yield
        except INTERRUPTS:
            numbers = (signal.SIGINT, signal.SIGTERM)
            _exit_codes.extend(128 + number for number in received() if number in numbers)
            raise


@contextmanager
def _received_signals() -> Iterator[Callable[[], bytes]]:
    """Tells the numbers of the signals that come in the block, whatever is done about them.

    In a thread there are none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield bytes
        return
    read, written = os.pipe()
    os.set_blocking(written, False)
    before = signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    try:
        yield lambda: os.read(read, 4096) if select.select([read], [], [], 0)[0] else b""
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        os.close(read)
        os.close(written)


@atexit.register
def _exit() -> None:
    """After what was registered later, since the command decides on another code."""
    if _exit_codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_codes[0])
