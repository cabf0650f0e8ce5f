"""Runs whose worker died are closed, and trainings whose Dagster was stopped end.

``run_monitoring`` of ``dagster.yaml`` closes runs whose worker is gone where the run launcher can
tell. Dagster's default launcher cannot: a run whose machine lost power stays STARTED for ever. Here
every run's worker holds a lock for as long as it lives (``gr00t_assets.defs.resources``), and
the launcher looks at it. Runs that were STARTING or CANCELING are closed by Dagster's own time
limits.
"""

import re
from collections.abc import Callable
from contextlib import suppress

import dagster as dg
import psutil

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.processes import is_alive, start_time
from gr00t_assets.core.project import Store
from gr00t_assets.defs.dagster_internals import CheckRunHealthResult, WorkerStatus
from gr00t_assets.defs.failures import ExplainedInterruptError
from gr00t_assets.defs.resources import dead_worker
from gr00t_assets.defs.training_runs import launched_by_server

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
        return CheckRunHealthResult(
            WorkerStatus.FAILED,
            f"{worker} carried out this run and is gone: it was killed, or the machine "
            "lost power. Nothing that was complete is lost; training goes on from the last "
            "checkpoint.",
        )


def parent_check(run: dg.DagsterRun, experiment: str) -> Callable[[], None]:
    """What raises ``ExplainedInterruptError`` once the Dagster that launched this run has ended.

    That are the code servers above this process, and ``gr00t-assets dev``, ``dagster dev`` or the
    daemon that keeps them; a run of ``dagster asset materialize`` has none. Stopped or killed they
    leave the runs that they launched: their code server ends only after those, hours later. A
    training ends with the processes that launched it, with a checkpoint, and is asked for again
    when Dagster is back.
    """
    if not launched_by_server(run):
        return lambda: None
    processes = [(process, start_time(process)) for process in _dagster_ancestors()]

    def check() -> None:
        if not processes or not all(is_alive(*process) for process in processes):
            problem = "the Dagster that launched this run was stopped."
            remedy = "it is asked for again when Dagster is back, and goes on from its checkpoint"
            raise ExplainedInterruptError(TrainingError(experiment, problem, [remedy]))

    return check


def _dagster_ancestors() -> list[int]:
    """Ancestors of this process up to the first that is not Dagster's, the nearest first."""
    ancestors: list[int] = []
    with suppress(psutil.Error):
        for process in psutil.Process().parents():
            if not _DAGSTER.search(" ".join(process.cmdline())):
                break
            ancestors.append(process.pid)
    return ancestors
