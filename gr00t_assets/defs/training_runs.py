"""Runs that train, as the instance knows them, whoever launched them and in whatever way."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PARTITION_NAME_TAG

from gr00t_assets.experiments.experiment import Experiment

CHECKPOINT = dg.AssetKey("checkpoint")
SWEEP_JOB = "sweep"

PRIORITY = "dagster/priority"
SWEEP = "sweep"
CONFIG_HASH = "gr00t/config_hash"
RETRY_OF = "gr00t/retry_of"
RETRY_NUMBER = "gr00t/retry_number"

_NEWEST = 50


def request(
    experiment: Experiment, config_hash: str, key: str, tags: Mapping[str, str] | None = None
) -> dg.RunRequest:
    """A request to train an experiment, with its priority in the queue.

    Args:
        experiment: What is trained.
        config_hash: That of its present configuration.
        key: Of several requests of one tick, or of one sensor, with one key the first counts.
        tags: Further tags of the run.
    """
    return dg.RunRequest(
        run_key=key,
        partition_key=experiment.name,
        tags={
            SWEEP: experiment.sweep,
            CONFIG_HASH: config_hash,
            PRIORITY: str(experiment.priority),
            **(tags or {}),
        },
    )


def tag_config(context: dg.AssetExecutionContext, config_hash: str) -> None:
    """Put the config hash that a run trains on the run, whoever launched it."""
    if context.run.tags.get(CONFIG_HASH) != config_hash:
        context.instance.add_run_tags(context.run.run_id, {CONFIG_HASH: config_hash})


def trains(run: dg.DagsterRun) -> bool:
    """Whether a run materialises ``checkpoint``."""
    if not run.asset_selection:
        return run.job_name == SWEEP_JOB
    return CHECKPOINT in run.asset_selection


def experiment_of(run: dg.DagsterRun) -> str | None:
    """The partition that a run trains; ``None`` where it trains none."""
    return run.tags.get(PARTITION_NAME_TAG) if trains(run) else None


def unfinished(instance: dg.DagsterInstance) -> dict[str, str]:
    """What waits, starts, trains or is being cancelled: words by experiment.

    Of a backfill that is at work also what has no run yet.
    """
    found: dict[str, str] = {}
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    for backfill in instance.get_backfills(filters=filters):
        names = backfill.partition_names if backfill.job_name == SWEEP_JOB else None
        if backfill.asset_backfill_data is not None:
            target = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
            names = list(target[CHECKPOINT].get_partition_keys()) if CHECKPOINT in target else None
        found |= dict.fromkeys(names or (), f"backfill {backfill.backfill_id} asks for it")
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=NOT_FINISHED_STATUSES)):
        name = experiment_of(run)
        if name is not None:
            found[name] = f"{in_words(run)} is {run.status.value.lower().replace('_', ' ')}"
    return found


def by_a_server(run: dg.DagsterRun) -> bool:
    """Whether a code server carries a run out; one that a terminal carries out has no such tag."""
    return ".dagster/grpc_info" in run.tags


def newest_run(instance: dg.DagsterInstance, experiment: str) -> dg.DagsterRun | None:
    """The run that was made last for an experiment, whatever became of it."""
    filters = dg.RunsFilter(tags={PARTITION_NAME_TAG: experiment})
    runs = instance.get_runs(filters=filters, limit=_NEWEST)
    return next((run for run in runs if trains(run)), None)


def in_words(run: dg.DagsterRun) -> str:
    """A run as the page names it."""
    return f"run {run.run_id[:8]}"
