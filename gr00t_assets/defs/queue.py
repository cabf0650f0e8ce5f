"""The run queue: runs that train carry the tag ``gpu``, whoever launched them.

Dagster takes a run's tags from its job, and a run that the page or a backfill launches for assets
has none. A limit on a tag, and a person who filters the list of runs, need it on all of them.
"""

from dagster import DagsterRun
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext

GPU = "gpu"
"""The pool that training steps are in, and the tag of runs that have such a step."""


class GpuTaggingRunCoordinator(QueuedRunCoordinator):
    """Dagster's own run queue, and the tag ``gpu: true`` on runs with a step in the pool ``gpu``.

    Named in ``dagster.yaml``. ``SubmitRunContext`` and the pools of a run are no public names of
    Dagster: the project pins ``dagster<1.14``, and a test submits a run to a real instance.
    """

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag the run where it trains, then put it in the queue."""
        run = context.dagster_run
        concurrency = run.run_op_concurrency
        if concurrency is not None and GPU in (concurrency.all_pools or ()):
            self._instance.add_run_tags(run.run_id, {GPU: "true"})
        return super().submit_run(context)
