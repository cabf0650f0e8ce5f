"""Runs whose worker died are closed, and trainings whose Dagster was stopped end.

``run_monitoring`` of ``dagster.yaml`` closes runs whose worker is gone where the run launcher can
tell. Dagster's default launcher cannot: a run whose machine lost power stays STARTED for ever. Here
every run's worker holds a lock for as long as it lives (``gr00t_assets.defs.resources``), and
the launcher looks at it. Runs that were STARTING or CANCELING are closed by Dagster's own time
limits.
"""

import re

import dagster as dg
import psutil

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.processes import is_alive, start_time
from gr00t_assets.core.project import Store
from gr00t_assets.defs.dagster_internals import CheckRunHealthResult, WorkerStatus
from gr00t_assets.defs.failures import ExplainedInterruptError
from gr00t_assets.defs.resources import dead_worker
from gr00t_assets.defs.training_runs import launched_by_server

_DAGSTER = re.compile(r"(^|[\s/])dagster([-_](daemon|webserver))?\s")


class WatchingRunLauncher(dg.DefaultRunLauncher):
    """Dagster's own launcher, which can also say whether a run's worker is alive.

    Named in ``dagster.yaml``. A run is called dead only where its worker said that it works on it
    and the kernel has dropped its lock since.
    """

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


class DagsterParent:
    """The processes of Dagster above this one, for as long as it carries out a run.

    Those are the code servers, and ``dagster dev`` or the daemon that keeps them; what is above
    those, such as a terminal, does not matter. A run of ``dagster asset materialize`` has none. A
    stopped or killed ``dagster dev`` leaves the runs that it launched: their code server ends only
    after them, hours later. A training ends with the processes that launched it, with a checkpoint,
    and is asked for again when Dagster is back.

    Args:
        run: The run that this process carries out.
        experiment: Whose training is to be stopped, for the message.
    """

    def __init__(self, run: dg.DagsterRun, experiment: str) -> None:
        self._experiment = experiment
        self._needed = launched_by_server(run)
        ancestors = _dagster_ancestors() if self._needed else []
        self._processes = [(process, start_time(process)) for process in ancestors]

    def check(self) -> None:
        """Do nothing while they are all there.

        Raises:
            ExplainedInterruptError: One of them has ended.
        """
        alive = (is_alive(process, started) for process, started in self._processes)
        if self._needed and not (self._processes and all(alive)):
            raise ExplainedInterruptError(
                TrainingError(
                    self._experiment,
                    "the Dagster that launched this run was stopped.",
                    ["it is asked for again when Dagster is back, and goes on from its checkpoint"],
                )
            )


def _dagster_ancestors() -> list[int]:
    """Ancestors of this process up to the first that is not Dagster's, the nearest first."""
    ancestors: list[int] = []
    try:
        for process in psutil.Process().parents():
            if not _DAGSTER.search(" ".join(process.cmdline())):
                break
            ancestors.append(process.pid)
    except psutil.Error:
        pass
    return ancestors
