"""The store that assets and checks work in, and the lock that says which runs have a process.

A process that carries out a run holds an exclusive ``flock`` on
``<store>/run_workers/<host>/<run id>.lock`` until it ends, whatever ends it. Only processes of the
same machine are judged by it: what another machine holds cannot be told from here on every file
system.
"""

import fcntl
import os

import dagster as dg

from gr00t_assets.core.errors import StoreError, system_errors_explained
from gr00t_assets.core.files import sync_directory
from gr00t_assets.core.locks import RUN
from gr00t_assets.core.processes import host_name, is_locked, open_lock
from gr00t_assets.core.project import Store
from gr00t_assets.defs.experiment_versions import observe
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.partitions import EXPERIMENTS
from gr00t_assets.defs.training_runs import experiment_of_run, origin_tags, trains

FOLDER = "run_workers"

StoreResource = dg.ResourceParam[Store]
"""The store, as a parameter named ``store``. It has no run config: where artifacts go is said by
``GR00T_ASSETS_STORE`` for a whole process, not by one run."""

_locks: dict[str, int] = {}
"""Locks of this process by run id, released when it ends."""


def _open_store(context: dg.InitResourceContext) -> Store:
    """The store; every step of every run takes it, so opening it says that the run has a worker.

    One that cannot be written ends the run here, before anything is computed. A run that came past
    the queue gets its tags here, and one that trains says of which version, which has to be said
    before its step begins.
    """
    store = Store.from_environment()
    if (run := context.run) is not None and context.instance is not None:
        try:
            with system_errors_explained(store.root):
                hold_run(run.run_id, store)
                experiment = experiment_of_run(run, EXPERIMENTS)
                if tags := origin_tags(run, experiment):
                    context.instance.add_run_tags(run.run_id, tags)
                if experiment is not None and trains(run):
                    observe(experiment, store, context.instance)
        except StoreError as error:
            raise ExplainedFailureError(error) from None
    return store


resources = {"store": dg.ResourceDefinition(_open_store)}
"""The resources by the name of the parameter that takes them."""


def hold_run(run: str, store: Store) -> None:
    """Say, once, that this process carries out a run until it ends; it outlasts a power cut."""
    os.environ[RUN] = run
    if run in _locks:
        return
    folder = store.root / FOLDER / host_name()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = open_lock(folder / f"{run}.lock")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} of {host_name()}\n".encode())
    os.fsync(descriptor)
    sync_directory(folder)
    _locks[run] = descriptor


def dead_worker(run: str, store: Store) -> str | None:
    """The process that carried out a run on this machine and is gone; None where none said so."""
    file = store.root / FOLDER / host_name() / f"{run}.lock"
    return (
        file.read_text(encoding="utf-8").strip() if file.is_file() and not is_locked(file) else None
    )


def remove_run_locks(instance: dg.DagsterInstance, store: Store) -> None:
    """Remove the lock files of this machine whose process is gone and whose run has ended."""
    for path in (store.root / FOLDER / host_name()).glob("*.lock"):
        if is_locked(path):
            continue
        run = instance.get_run_by_id(path.stem)
        if run is None or run.is_finished:
            path.unlink(missing_ok=True)
