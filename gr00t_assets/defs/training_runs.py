"""Runs that train, as the instance knows them, and why those failed that did."""

import os
from collections.abc import Mapping
from itertools import takewhile
from typing import NamedTuple

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from gr00t_assets.core.errors import user_name
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.retry import TrainingEnd, end_of_training

CHECKPOINT = dg.AssetKey("checkpoint")
EVALUATION = dg.AssetKey("open_loop_evaluation")
ROLLOUTS = dg.AssetKey("rollouts")
SWEEP_JOB = "sweep"
EVALUATION_JOB = "evaluation"
_JOBS = {SWEEP_JOB: {CHECKPOINT}, EVALUATION_JOB: {EVALUATION, ROLLOUTS}}
_ON_DEVICE = {CHECKPOINT, EVALUATION, ROLLOUTS}

PARTITION_TAG = "dagster/partition"
PRIORITY_TAG = "dagster/priority"
"""Tags of a run that Dagster documents and has no public constant for."""

SWEEP, USER = "sweep", "user"
"""Tags of every run, however it is launched: the sweep of its experiment, and who asked for it."""

ENGINE = "engine"
"""Tag of a run that trains: the engine of data/engines.yaml that it trains on."""

USER_VARIABLE = "GR00T_ASSETS_USER"

CONFIG_HASH = "gr00t/config_hash"
RETRY_OF = "gr00t/retry_of"
RETRY_NUMBER = "gr00t/retry_number"

_NEWEST = 50
_ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
_UNFINISHED = [status for status in dg.DagsterRunStatus if status.value not in _ENDED]


def request(
    experiment: Experiment, config_hash: str, key: str, tags: Mapping[str, str] | None = None
) -> dg.RunRequest:
    """A request to train an experiment's present configuration, with its priority in the queue.

    Of several requests of one tick, or of one sensor, with one ``key`` the first counts.
    """
    own = {SWEEP: experiment.sweep, CONFIG_HASH: config_hash}
    own[PRIORITY_TAG] = str(experiment.priority)
    return dg.RunRequest(run_key=key, partition_key=experiment.name, tags={**own, **(tags or {})})


def experiment_of_run(
    run: dg.DagsterRun, experiments: Mapping[str, Experiment]
) -> Experiment | None:
    """The experiment whose partition a run makes; ``None`` where it is another asset's."""
    by_experiment = _ON_DEVICE | {dg.AssetKey("promoted_model")}
    name = run.tags.get(PARTITION_TAG, "")
    return experiments.get(name) if by_experiment & _assets(run) else None


def origin_tags(run: dg.DagsterRun, experiment: Experiment | None) -> dict[str, str]:
    """Tags that say where a run comes from, those that it does not have yet."""
    tags = {USER: os.environ.get(USER_VARIABLE) or user_name()}
    if experiment is not None:
        tags[SWEEP] = experiment.sweep
    return {key: value for key, value in tags.items() if key not in run.tags}


def trains(run: dg.DagsterRun) -> bool:
    """Whether a run materialises ``checkpoint``."""
    return CHECKPOINT in _assets(run)


def needs_device(run: dg.DagsterRun) -> bool:
    """Whether a run trains, evaluates or rolls out."""
    return bool(_ON_DEVICE & _assets(run))


def _assets(run: dg.DagsterRun) -> set[dg.AssetKey]:
    return set(run.asset_selection or _JOBS.get(run.job_name, ()))


def experiment_of(run: dg.DagsterRun) -> str | None:
    """The partition that a run trains; ``None`` where it trains none."""
    return run.tags.get(PARTITION_TAG) if trains(run) else None


def unfinished(instance: dg.DagsterInstance) -> dict[str, str]:
    """What waits, starts, trains or is being cancelled: why it is busy, by experiment.

    Of a backfill that is at work also what has no run yet.
    """
    from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

    busy: dict[str, str] = {}
    filters = BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])
    for backfill in instance.get_backfills(filters=filters):
        names = backfill.partition_names if backfill.job_name == SWEEP_JOB else None
        if backfill.asset_backfill_data is not None:
            target = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
            names = list(target[CHECKPOINT].get_partition_keys()) if CHECKPOINT in target else None
        busy |= dict.fromkeys(names or (), f"backfill {backfill.backfill_id} asks for it")
    for name, run in unfinished_runs(instance).items():
        busy[name] = f"{short_name(run)} is {run.status.value.lower().replace('_', ' ')}"
    return busy


def unfinished_runs(instance: dg.DagsterInstance) -> dict[str, dg.DagsterRun]:
    """The run that waits, starts, trains or is being cancelled, by experiment; of several the
    first."""
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=_UNFINISHED))
    return {name: run for run in runs if (name := experiment_of(run)) is not None}


def launched_by_server(run: dg.DagsterRun) -> bool:
    """Whether a code server carries a run out; one that a terminal carries out has no such tag."""
    return ".dagster/grpc_info" in run.tags


def newest_run(instance: dg.DagsterInstance, experiment: str) -> dg.DagsterRun | None:
    """The run that was made last for an experiment, whatever became of it."""
    filters = dg.RunsFilter(tags={PARTITION_TAG: experiment})
    runs = instance.get_runs(filters=filters, limit=_NEWEST)
    return next((run for run in runs if trains(run)), None)


def short_name(run: dg.DagsterRun) -> str:
    """A run as the page names it."""
    return f"run {run.run_id[:8]}"


class RunEnd(NamedTuple):
    """How a run ended, the reason in one line, and what its message says below that.

    The end of a log is not among the ``details``.
    """

    end: TrainingEnd
    reason: str
    details: tuple[str, ...] = ()


def end_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunEnd:
    """Why a run of status FAILURE failed.

    A run whose worker, code server or machine was killed has no failed step. One that was
    interrupted without anybody having asked on the page died as well, unless it belonged to a
    terminal, where Ctrl-C is somebody's wish.
    """
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    event = failures[-1].dagster_event if failures else None
    message = event.message if event is not None and event.message else ""
    data = event.event_specific_data if event is not None else None
    reason = data.failure_reason if isinstance(data, JobFailureData) else None
    if reason == RunFailureReason.JOB_INITIALIZATION_FAILURE:
        return RunEnd("repeats", _first_line(message))
    if reason == RunFailureReason.UNEXPECTED_TERMINATION:
        by_person = not launched_by_server(run)
        return RunEnd("repeats" if by_person else "crash", "it was interrupted")
    if not steps:
        return RunEnd("crash", _first_line(message))
    ends = [_step_end(step.dagster_event) for step in steps if step.dagster_event]
    order: tuple[TrainingEnd, ...] = ("repeats", "broken file", "full disk", "crash")
    return min(ends, key=lambda run_end: order.index(run_end.end))


def _step_end(event: dg.DagsterEvent) -> RunEnd:
    data = event.step_failure_data
    failure, source = data.user_failure_data, data.error_source
    message = (failure and failure.description) or (data.error.message if data.error else "")
    metadata = {name: value.value for name, value in failure.metadata.items()} if failure else {}
    end = end_of_training(message, metadata)
    if source is not None and source.value == "INTERRUPT":
        end = "crash"
    below = message.strip().splitlines()[1:] if failure else []
    details = (line.strip() for line in takewhile(lambda line: "last lines:" not in line, below))
    return RunEnd(end, _first_line(message), tuple(details))


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a message"])[0]
