"""One trainer a run directory: a lock that the kernel drops when its last holder dies."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.file_locks import try_lock
from gr00t_assets.core.processes import is_alive

LOCK = ".lock"
"""Name of a run directory's lock file; it holds the id of the process that took it last."""

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
    with (run_directory / LOCK).open("a+") as file:
        _take(file, run_directory, time.monotonic() + patience)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        os.set_inheritable(file.fileno(), inherited)
        yield


def _take(file: TextIO, run_directory: Path, deadline: float) -> None:
    while not try_lock(file.fileno()):
        file.seek(0)
        holder = file.read().strip()
        alive = holder.isdecimal() and is_alive(int(holder))
        if alive or time.monotonic() >= deadline:
            again = "it goes on from its last checkpoint"
            raise TrainingError(
                str(run_directory),
                f"process {holder or 'unknown'} is training here already.",
                [f"wait for it, or stop it, and start again: {again}"],
            )
        time.sleep(_POLL)
