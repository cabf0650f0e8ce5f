"""One trainer a run directory: a lock that the kernel drops when its last holder dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gr00t_assets.errors import TrainingError

_POLL = 0.2


@contextmanager
def run_lock(
    run_directory: Path, *, inherited: bool = False, patience: float = 0.0
) -> Iterator[None]:
    """Hold the run directory for as long as the block lasts.

    Args:
        run_directory: The directory.
        inherited: Processes started with ``close_fds=False`` hold it too, until they end.
        patience: Seconds to wait where whoever took it is dead and a process of its own is not.

    Raises:
        TrainingError: Another process trains in it; its process id is named.
    """
    run_directory.mkdir(parents=True, exist_ok=True)
    with (run_directory / ".lock").open("a+") as file:
        _take(file, run_directory, time.monotonic() + patience)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        os.set_inheritable(file.fileno(), inherited)
        yield


def _take(file: TextIO, run_directory: Path, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip()
            if _alive(holder) or time.monotonic() >= deadline:
                again = "it goes on from its last checkpoint"
                raise TrainingError(
                    str(run_directory),
                    f"process {holder or 'unknown'} is training here already.",
                    [f"wait for it, or stop it, and start again: {again}"],
                ) from error
        time.sleep(_POLL)


def _alive(process: str) -> bool:
    if not process.isdecimal():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
