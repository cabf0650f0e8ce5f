"""Which runs have a process that works on them: a lock that the kernel drops when it dies.

A process that carries out a run holds an exclusive ``flock`` on
``<store>/run_workers/<host>/<run id>.lock`` until it ends, whatever ends it. Only processes of the
same machine are judged by it: what another machine holds cannot be told from here on every file
system.
"""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gr00t_assets.core.file_locks import is_locked
from gr00t_assets.core.files import sync_directory
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import host_name

FOLDER = "run_workers"

Life = Literal["alive", "dead", "elsewhere", "unknown"]

_held: dict[str, int] = {}
"""Locks of this process by run id; they are let go of when it ends."""


@dataclass(frozen=True)
class Worker:
    """What is known of the process that carries out a run.

    Attributes:
        life: ``elsewhere`` where it is another machine's; ``unknown`` where no process ever said
            that it works on the run.
        words: The process, for people.
    """

    life: Life
    words: str


def hold(run: str, store: Store) -> None:
    """Say that this process carries out a run, from now until it ends.

    Nothing happens where it said so before. The lock file outlasts a power cut.
    """
    if run in _held:
        return
    folder = _folder(store) / host_name()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{run}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} of {host_name()}\n".encode())
    os.fsync(descriptor)
    sync_directory(folder)
    _held[run] = descriptor


def worker_of(run: str, store: Store) -> Worker:
    """Whether the process that carries out a run is alive."""
    if run in _held:
        return Worker("alive", f"process {os.getpid()} of {host_name()}")
    own = _folder(store) / host_name() / f"{run}.lock"
    if own.is_file():
        return Worker("alive" if is_locked(own) else "dead", own.read_text().strip())
    others = [path for path in _folder(store).glob(f"*/{run}.lock") if path != own]
    if others:
        return Worker("elsewhere", others[0].read_text().strip())
    return Worker("unknown", "no process said that it works on this run")


def forget(ended: Callable[[str], bool], store: Store) -> int:
    """Remove the lock files of this machine whose process is gone and whose run has ended.

    Args:
        ended: Whether the run of an id is over.
        store: The store.

    Returns:
        Files removed.
    """
    removed = 0
    for path in (_folder(store) / host_name()).glob("*.lock"):
        if path.stem not in _held and not is_locked(path) and ended(path.stem):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _folder(store: Store) -> Path:
    return store.root / FOLDER
