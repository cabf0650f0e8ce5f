"""Runs that outlive no process: Dagster's monitoring is told which run workers are dead.

``run_monitoring`` of ``dagster.yaml`` closes runs whose worker is gone where the run launcher can
tell. Dagster's default launcher cannot: a run whose machine lost power stays STARTED for ever, and
with it its place in the pool. Here every run worker holds a lock for as long as it lives, and the
launcher looks at it. Runs that were STARTING or CANCELING are closed by Dagster's own time limits.
"""

from collections.abc import Iterator

import dagster as dg
from dagster._core.events import DagsterEvent
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher

from gr00t_assets.core.project import Store
from gr00t_assets.defs.executor import PatientInProcessExecutor
from gr00t_assets.gpu.run_workers import Worker, hold, worker_of


class WatchingRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which can also say whether a run's worker is alive.

    Named in ``dagster.yaml``. A run is called dead only where its worker said that it works on it
    and the kernel has dropped its lock since. Classes that are no public names of Dagster: the
    project pins ``dagster<1.14``, and a test kills everything and starts it again.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True, so that run monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED where the worker's lock is free, RUNNING else."""
        worker = worker_of(run.run_id, Store.from_environment())
        status = WorkerStatus.FAILED if worker.life == "dead" else WorkerStatus.RUNNING
        return CheckRunHealthResult(status, gone(worker) if worker.life == "dead" else worker.words)


def gone(worker: Worker) -> str:
    """What the page says of a run whose worker died."""
    return (
        f"{worker.words} carried out this run and is gone: it was killed, or the machine lost "
        "power. Nothing that was complete is lost; training goes on from the last checkpoint."
    )


class WatchedExecutor(PatientInProcessExecutor):
    """Every step in the run's own process, which says that it is alive for as long as it is."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[DagsterEvent]:
        """Take the run's lock, then carry the steps out."""
        hold(plan_context.run_id, Store.from_environment())
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def watched_in_process_executor(_context: dg.InitExecutorContext) -> WatchedExecutor:
    """Every step of a run in the run's own process, which the launcher knows to be alive."""
    return WatchedExecutor(retries=RetryMode.ENABLED)
