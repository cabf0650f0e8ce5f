"""Runs whose worker died are closed, and trainings whose Dagster was stopped end.

``run_monitoring`` of ``dagster.yaml`` closes runs whose worker is gone where the run launcher can
tell. Dagster's default launcher cannot: a run whose machine lost power stays STARTED for ever. Here
every process that carries out a run holds an exclusive ``flock`` on
``<store>/run_workers/<host>/<run id>.lock`` until it ends, and the launcher of the same machine
looks at it. Runs that were STARTING or CANCELING are closed by Dagster's own time limits.
"""

import fcntl
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import sync_directory
from gr00t_assets.core.locks import RUN
from gr00t_assets.core.processes import host_name, is_alive, is_locked, open_lock, start_time
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedInterruptError
from gr00t_assets.defs.training_runs import launched_by_server

FOLDER = "run_workers"

_locks: dict[str, int] = {}
"""Locks of this process by run id, released when it ends."""

_DAGSTER = re.compile(
    r"(^|[\s/])(dagster([-_](daemon|webserver))?\s|(dg|gr00t-assets|gr00t_assets\.cli\.main) dev\b)"
)


class WatchingRunLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which also knows dead workers; named in ``dagster.yaml``."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True, so that run monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED where the worker's lock is free, RUNNING else."""
        worker = dead_worker(run.run_id, Store.from_environment())
        if worker is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        text = (
            f"{worker} carried out this run and is gone: it was killed, or the machine lost power. "
            "Nothing that was complete is lost; training goes on from the last checkpoint."
        )
        return CheckRunHealthResult(WorkerStatus.FAILED, text)


def hold_run(run: str, store: Store) -> None:
    """Say, once, that this process carries out a run until it ends; it outlasts a power cut."""
    os.environ[RUN] = run
    if run in _locks:
        return
    file = _lock_file(run, store)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = open_lock(file)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} of {host_name()}\n".encode())
    os.fsync(descriptor)
    sync_directory(file.parent)
    _locks[run] = descriptor


def dead_worker(run: str, store: Store) -> str | None:
    """The process that carried out a run on this machine and is gone; None where none said so."""
    file = _lock_file(run, store)
    is_dead = file.is_file() and not is_locked(file)
    return file.read_text(encoding="utf-8").strip() if is_dead else None


def remove_run_locks(instance: dg.DagsterInstance, store: Store) -> None:
    """Remove the lock files of this machine whose process is gone and whose run has ended."""
    for path in _lock_file("any", store).parent.glob("*.lock"):
        if not is_locked(path):
            run = instance.get_run_by_id(path.stem)
            if run is None or run.is_finished:
                path.unlink(missing_ok=True)


def _lock_file(run: str, store: Store) -> Path:
    return store.root / FOLDER / host_name() / f"{run}.lock"


def parent_check(run: dg.DagsterRun, experiment: str) -> Callable[[], None]:
    """What raises ``ExplainedInterruptError`` once the Dagster that launched this run has ended.

    That are the code servers above this process, and ``gr00t-assets dev``, ``dagster dev`` or the
    daemon that keeps them; a run of ``dagster asset materialize`` has none. A code server itself
    ends only after its runs, hours later. The training ends with a checkpoint, and is asked for
    again when Dagster is back.
    """
    if not launched_by_server(run):
        return lambda: None
    processes = []
    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            if not _DAGSTER.search(" ".join(process.cmdline())):
                break
            processes.append((process.pid, start_time(process.pid)))

    def check() -> None:
        if not processes or not all(is_alive(*process) for process in processes):
            problem = "the Dagster that launched this run was stopped."
            remedy = "it is asked for again when Dagster is back, and goes on from its checkpoint"
            raise ExplainedInterruptError(TrainingError(experiment, problem, [remedy]))

    return check
