"""The run queue: runs that train carry the tag ``gpu``, and one number says how many at a time.

Dagster takes a run's tags from its job, and a run that the page or a backfill launches for assets
has none. A limit on a tag, and a person who filters the list of runs, need it on all of them.

The number is ``concurrency.pools.default_limit`` in ``dagster.yaml``, the limit of the pool
``gpu``. Every other limit is derived from it here.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.storage.tags import PARTITION_NAME_TAG, PRIORITY_TAG

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.project import project_root
from gr00t_assets.experiments.sweeps import load_sweeps

GPU = "gpu"
"""The pool that training steps are in, and the tag of runs that have such a step."""

OTHER_RUNS = 8
"""Runs that train nothing and may run beside those that do."""

_ALLOTTED = "DAGSTER_OP_CONCURRENCY_KEYS_ALLOTTED_FOR_STARTED_RUN_SECONDS"


class GpuTaggingRunCoordinator(QueuedRunCoordinator):
    """Dagster's own run queue; runs with a step in the pool ``gpu`` get tags ``gpu`` and priority.

    Named in ``dagster.yaml``. ``SubmitRunContext``, the pools of a run and the limits of the queue
    are no public names of Dagster: the project pins ``dagster<1.14``, and tests submit runs to a
    real instance and have a real daemon work them off.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        # So long after a run has started the daemon counts it twice, as a run and as its step, and
        # starts no other: 5 s where nothing is said. A step asks for its place in half a second.
        os.environ.setdefault(_ALLOTTED, "1")
        super().__init__(*arguments, **named)

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tag the run where it trains, then put it in the queue."""
        run = context.dagster_run
        concurrency = run.run_op_concurrency
        if concurrency is not None and GPU in (concurrency.all_pools or ()):
            self._instance.add_run_tags(run.run_id, {**_priority(run), GPU: "true"})
        return super().submit_run(context)

    def get_run_queue_config(self) -> RunQueueConfig:
        """The limits of the queue, derived from the pool's where the file gives none.

        Runs that train: those that hold the pool, one that stands ready, and as many again that
        have trained and are being checked. While the queue is looked through, a run that waits
        for the pool takes a place here, so that this limit has to be above the pool's.
        """
        asked = super().get_run_queue_config()
        training = 2 * trainings_at_once(self._instance) + 1
        limits = [*asked.tag_concurrency_limits]
        if all(limit["key"] != GPU for limit in limits):
            limits.append({"key": GPU, "limit": training})
        return asked._replace(
            tag_concurrency_limits=limits,
            max_concurrent_runs=max(asked.max_concurrent_runs, training + OTHER_RUNS),
        )


def _priority(run: dg.DagsterRun) -> dict[str, str]:
    """The tag for the priority that the sweep file gives the run's experiment.

    Runs that a person launches on the page, alone or as a backfill, come without it. One that was
    given by hand is kept. Sweep files that are wrong right now give none; loading the definitions
    says what is wrong with them.
    """
    name = run.tags.get(PARTITION_NAME_TAG)
    if name is None or PRIORITY_TAG in run.tags:
        return {}
    try:
        priority = _priorities().get(name, 0)
    except Gr00tAssetsError:
        return {}
    return {PRIORITY_TAG: str(priority)} if priority else {}


def _priorities() -> Mapping[str, int]:
    folder = project_root() / "data"
    files = [folder / "datasets.yaml", *sorted((folder / "sweeps").glob("*.yaml"))]
    return _read_priorities(tuple((str(file), file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=1)
def _read_priorities(_files: tuple[tuple[str, int], ...]) -> Mapping[str, int]:
    """Read again when a file has changed, so that two hundred runs do not read them each."""
    sweeps = load_sweeps().values()
    return {each.name: each.priority for sweep in sweeps for each in sweep.experiments}


def trainings_at_once(instance: dg.DagsterInstance) -> int:
    """The one number of ``dagster.yaml``; 1 where it is left out."""
    return instance.get_settings("concurrency").get("pools", {}).get("default_limit", 1)


def tag_training(context: dg.AssetExecutionContext) -> None:
    """Put the tag ``gpu`` on the run of a step that trains, where it did not come by the queue.

    ``dagster asset materialize`` runs in its own process, past the queue. With the tag its run is
    counted by the queue's limits and found by whoever filters the list of runs.
    """
    if GPU not in context.run.tags:
        context.instance.add_run_tags(context.run.run_id, {GPU: "true"})


def leave_pool(context: dg.AssetExecutionContext) -> None:
    """Give the step's place in the pool to the next, though the step goes on.

    For a step that has trained: its slot is free already, and drawing its curve needs none.
    """
    step = context.get_step_execution_context().step.key
    context.instance.event_log_storage.free_concurrency_slot_for_step(context.run.run_id, step)
