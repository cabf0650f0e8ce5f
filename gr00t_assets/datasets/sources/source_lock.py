"""One process at a time brings a dataset into the store."""

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.core.files import PARTIAL
from gr00t_assets.core.project import Store

_LEFT_BEHIND = (f".fetch{PARTIAL}*", f".*{PARTIAL}*")


@contextmanager
def alone(name: str, store: Store, log: Callable[[str], None]) -> Iterator[Path]:
    """Hold a dataset's folder in the store, and clear away what a killed process left half-made.

    The kernel drops the lock when its holder dies; see flock(2).

    Args:
        name: The dataset.
        store: Where it is kept.
        log: Where a line goes when another process has to be waited for.

    Yields:
        The dataset's folder in the store.
    """
    folder = store.dataset_record(name).parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"{name}: another process brings it into the store; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        for left in {path for pattern in _LEFT_BEHIND for path in folder.glob(pattern)}:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
        yield folder
