"""One trainer a run directory: a lock that the kernel drops when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.errors import TrainingError


@contextmanager
def run_lock(run_directory: Path) -> Iterator[None]:
    """Hold the run directory for as long as the block lasts.

    Raises:
        TrainingError: Another process trains in it; its process id is named.
    """
    run_directory.mkdir(parents=True, exist_ok=True)
    with (run_directory / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise TrainingError(
                str(run_directory),
                f"process {file.read().strip() or 'unknown'} is training here already.",
                ["wait for it, or stop it, and start again: it goes on from its last checkpoint"],
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
