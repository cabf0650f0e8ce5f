"""The store that assets and checks work in, and the lock that says which runs have a process.

A process that carries out a run holds an exclusive ``flock`` on
``<store>/run_workers/<host>/<run id>.lock`` until it ends, whatever ends it. Only processes of the
same machine are judged by it: what another machine holds cannot be told from here on every file
system.
"""

import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import dagster as dg

from gr00t_assets.core.files import sync_directory
from gr00t_assets.core.processes import is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import host_name

FOLDER = "run_workers"

WorkerState = Literal["alive", "dead", "elsewhere", "unknown"]

StoreResource = dg.ResourceParam[Store]
"""The store, as a parameter named ``store``. It has no run config: where artifacts go is said by
``GR00T_ASSETS_STORE`` for a whole process, not by one run."""

_locks: dict[str, int] = {}
"""Locks of this process by run id, released when it ends."""


@dataclass(frozen=True)
class RunWorker:
    """What is known of the process that carries out a run.

    Attributes:
        state: ``elsewhere`` where it is another machine's; ``unknown`` where no process ever said
            that it works on the run.
        description: The process, for people.
    """

    state: WorkerState
    description: str


def resources() -> dict[str, dg.ResourceDefinition]:
    """The resources by the name of the parameter that takes them."""
    return {"store": dg.ResourceDefinition(_open_store)}


def _open_store(context: dg.InitResourceContext) -> Store:
    """The store; every step of every run takes it, so opening it says that the run has a worker."""
    store = Store.from_environment()
    if context.run is not None:
        hold_run(context.run.run_id, store)
    return store


def hold_run(run: str, store: Store) -> None:
    """Say that this process carries out a run, from now until it ends.

    Nothing happens where it said so before. The lock file outlasts a power cut.
    """
    if run in _locks:
        return
    folder = store.root / FOLDER / host_name()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{run}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} of {host_name()}\n".encode())
    os.fsync(descriptor)
    sync_directory(folder)
    _locks[run] = descriptor


def worker_of(run: str, store: Store) -> RunWorker:
    """Whether the process that carries out a run is alive."""
    if run in _locks:
        return RunWorker("alive", f"process {os.getpid()} of {host_name()}")
    own = store.root / FOLDER / host_name() / f"{run}.lock"
    if own.is_file():
        return RunWorker("alive" if is_locked(own) else "dead", own.read_text().strip())
    others = [path for path in (store.root / FOLDER).glob(f"*/{run}.lock") if path != own]
    if others:
        return RunWorker("elsewhere", others[0].read_text().strip())
    return RunWorker("unknown", "no process said that it works on this run")


def remove_run_locks(is_over: Callable[[str], bool], store: Store) -> int:
    """Remove the lock files of this machine whose process is gone and whose run has ended.

    ``is_over`` says whether the run of an id has. Returns how many files were removed.
    """
    removed = 0
    for path in (store.root / FOLDER / host_name()).glob("*.lock"):
        if path.stem not in _locks and not is_locked(path) and is_over(path.stem):
            path.unlink(missing_ok=True)
            removed += 1
    return removed
