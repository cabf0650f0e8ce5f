"""Sensors: one asks again for runs that died, one for the next round of a sweep, one observes
changed experiments, one compares again when a checkpoint arrives."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

import dagster as dg
from pydantic import BaseModel, Field

from gr00t_assets.core.errors import Gr00tAssetsError, no_inodes
from gr00t_assets.core.files import file_stamp, free_bytes, json_hash
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.defs import training_runs
from gr00t_assets.defs.partitions import loaded_requests
from gr00t_assets.defs.recovery import remove_run_locks
from gr00t_assets.defs.resources import (
    StoreResource,
    changed_versions,
    experiment_versions,
    observation,
    running_sensor,
)
from gr00t_assets.defs.schedules import round_requests, sweep_job
from gr00t_assets.engines.job_record import unfinished_job
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import project_stamp, read_project
from gr00t_assets.experiments.sweeps import Sweeps
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.retry import disk_space_needed, is_complete
from gr00t_assets.runs.run_directory import training_process
from gr00t_assets.runs.spec import current_config_hash

_OVERLAP_SECONDS = 300.0
_MOST_AT_ONCE = 200
"""Observations of one tick, some seconds' work of the daemon."""

_FIRST_TICK_LOOKS_BACK = 7 * 24 * 3600.0
_KEYS = {"crash": "died", "full disk": "room", "broken file": "mended"}
"""What has come to pass when a run is asked for again, by how the one before ended."""


class FailedRunsCursor(BaseModel):
    """What the sensor remembers from one tick to the next; of no tick, the last seven days.

    Runs that failed before ``since``, in seconds since 1970, were dealt with. ``waiting`` has the
    free bytes of the disk when a failed run was first looked at, for each one that waits for disk
    space, for data, or for another process to end.
    """

    since: float = Field(default_factory=lambda: time.time() - _FIRST_TICK_LOOKS_BACK)
    waiting: dict[str, int] = {}


class Decision(NamedTuple):
    """What is done about a failed run: a request, or a message; ``wait``: it is looked at again."""

    request: dg.RunRequest | None = None
    message: str = ""
    wait: bool = False


def resume_requests(
    sweeps: Sweeps, store: Store, instance: dg.DagsterInstance, cursor: FailedRunsCursor
) -> tuple[list[dg.RunRequest], list[str]]:
    """Requests for the experiments of runs that died, and a line for each that is not asked for.

    ``cursor`` is brought up to date. A failed run is looked at until it is answered for, and a few
    minutes beyond; whatever was requested since has a newer run, so nothing is asked for twice.
    """
    now = time.time()
    experiments = sweeps.experiments
    busy = training_runs.unfinished(instance)
    requests, lines = [], []
    waiting: dict[str, int] = {}
    for run in _failed(instance, cursor):
        name = training_runs.experiment_of(run) or ""
        label, experiment = f"{name}, {training_runs.short_name(run)}", experiments.get(name)
        free_then = cursor.waiting.get(run.run_id, free_bytes(store.root))
        if experiment is None:
            if file := sweeps.lost.get(name):
                lines.append(f"{label}: {sweeps.faults[file].headline}")
                waiting[run.run_id] = free_then
            continue
        limit = sweeps[experiment.sweep].max_retries
        decision = _decide(run, experiment, limit, busy, free_then, store, instance)
        if decision.request is not None:
            requests.append(decision.request)
        elif decision.message:
            lines.append(f"{label}: {decision.message}")
        if decision.wait:
            waiting[run.run_id] = free_then
    cursor.since, cursor.waiting = now - _OVERLAP_SECONDS, waiting
    return requests, lines


def _failed(instance: dg.DagsterInstance, cursor: FailedRunsCursor) -> list[dg.DagsterRun]:
    """Failed runs that are not answered for yet, the oldest first."""
    failed = [dg.DagsterRunStatus.FAILURE]
    # A clock that was set back since leaves a cursor in the future.
    since = datetime.fromtimestamp(min(cursor.since, time.time() - _OVERLAP_SECONDS), UTC)
    runs = list(instance.get_runs(filters=dg.RunsFilter(statuses=failed, updated_after=since)))
    if waiting := list(cursor.waiting):
        runs += instance.get_runs(filters=dg.RunsFilter(statuses=failed, run_ids=waiting))
    return list({run.run_id: run for run in reversed(runs)}.values())


def _decide(
    run: dg.DagsterRun,
    experiment: Experiment,
    limit: int,
    busy: Mapping[str, str],
    free_then: int,
    store: Store,
    instance: dg.DagsterInstance,
) -> Decision:
    newest = training_runs.newest_run(instance, experiment.name)
    if newest is None or newest.run_id != run.run_id:
        return Decision()
    end, reason, _ = training_runs.end_of_run(instance, run)
    if end == "repeats":
        return Decision()
    try:
        config_hash = current_config_hash(experiment, store)
        directory = store.run_directory(experiment.name, config_hash)
        manifest = load_manifest(directory)
        followed = unfinished_job(directory)
    except Gr00tAssetsError as error:
        return Decision(message=error.explain(), wait=True)
    if is_complete(manifest, experiment):
        return Decision(message="it is trained by now")
    if end == "broken file" and (fault := _met_fault(reason)):
        return Decision(message=fault, wait=True)
    same = run.tags.get(training_runs.CONFIG_HASH, config_hash) == config_hash
    number = int(run.tags.get(training_runs.RETRY_NUMBER, 0)) if same else 0
    # A job on an engine may live on; the next run attaches to it.
    counts = end == "crash" and followed is None
    if end == "full disk":
        if no_inodes(store.root):
            message = (
                "the disk has no inodes left; it goes on by itself once some files are deleted"
            )
            return Decision(message=message, wait=True)
        needed, free = disk_space_needed(directory, free_then), free_bytes(store.root)
        counts = free_then >= needed  # It was no lack of bytes: a quota, say.
        if not counts and free < needed:
            message = (
                f"the disk is full: {free / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB are needed"
                "; it goes on by itself once there is room: gr00t-assets store prune"
            )
            return Decision(message=message, wait=True)
    if counts:
        number += 1
        if number > limit:
            died = counted(number, "time")
            return Decision(message=f"it died {died} ({reason}); max_retries is {limit}")
    process = None if followed else training_process(directory)
    if experiment.name in busy or process:
        return Decision(message=busy.get(experiment.name, f"{process} still writes"), wait=True)
    tags = {training_runs.RETRY_OF: run.run_id, training_runs.RETRY_NUMBER: str(number)}
    if engine := run.tags.get(training_runs.ENGINE):
        tags[training_runs.ENGINE] = engine
    key = f"{run.run_id}:{_KEYS[end]}"
    return Decision(training_runs.request(experiment, config_hash, key, tags))


def _met_fault(reason: str) -> str | None:
    """The fault that a run met, where its file still has one."""
    file = reason.partition(".yaml")[0] + ".yaml"
    faults = (fault for fault in read_project().faults if file.endswith(fault.file.name))
    return next((fault.line for fault in faults), None)


@running_sensor(
    job=sweep_job,
    description=(
        "Asks again for experiments whose run died: killed, without power, or with a full disk or "
        "a file with a fault, which are waited for. Not for what would fail again."
    ),
)
def resume_crashed_runs(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult:
    """One tick; see ``resume_requests``."""
    cursor = FailedRunsCursor.model_validate_json(context.cursor or "{}")
    sweeps = read_project().sweeps
    requests, lines = resume_requests(sweeps, store, context.instance, cursor)
    remove_run_locks(context.instance, store)
    return _asked(context, requests, lines, "no run has died", cursor.model_dump_json())


@running_sensor(
    job=sweep_job,
    description=(
        "Asks for the next round of seeds of a sweep with 'until' when all before have finished, "
        "until its question is settled or its hours are spent."
    ),
)
def next_rounds(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """One tick; see ``round_requests``."""
    requests, lines = [], []
    for sweep in read_project().sweeps.values():
        if sweep.until is not None:
            try:
                asked, line = round_requests(sweep, store, context.instance)
            except Gr00tAssetsError as error:
                asked, line = [], error.explain()
            requests += asked
            lines.append(line)
    return _asked(context, requests, lines, "no sweep has 'until'")


def _asked(
    context: dg.SensorEvaluationContext,
    requests: list[dg.RunRequest],
    lines: list[str],
    nothing: str,
    cursor: str | None = None,
) -> dg.SensorResult:
    """The result of a tick: the requests that Dagster takes, and the lines of what was found."""
    requests, text = loaded_requests(requests), "\n".join(lines) or nothing
    if requests and lines:
        context.log.info(text)
    return dg.SensorResult(
        requests, skip_reason=None if requests else dg.SkipReason(text), cursor=cursor
    )


@running_sensor(
    description="Tells Dagster of experiments that are new or changed, by their config hash."
)
def observe_experiments(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult | dg.SkipReason:
    """One tick. It starts no run, and where nothing was changed since the last it does nothing.

    An observable source with an automation condition would launch a run instead, of some seconds,
    to look at all of them.
    """
    data = file_stamp(store.modality_config("any").parent.glob("*.json"))
    versions = _versions(store, (project_stamp(), data))
    cursor = json_hash(versions, 16)
    if context.cursor == cursor:
        return dg.SkipReason("no experiment has changed")
    changed = list(changed_versions(versions, context.instance).items())
    experiments = read_project().experiments
    events = [observation(experiments[name], version) for name, version in changed[:_MOST_AT_ONCE]]
    return dg.SensorResult(
        asset_events=events,
        skip_reason=f"{len(events)} of {len(changed)} changed experiments observed",
        cursor=cursor if len(events) == len(changed) else None,
    )


@lru_cache(maxsize=1)
def _versions(store: Store, _stamp: object) -> dict[str, str]:
    """Computed again when a file has changed."""
    return experiment_versions(read_project().experiments, store)


automation_sensor = dg.AutomationConditionSensorDefinition(
    "default_automation_condition_sensor",
    target=dg.AssetSelection.groups("analysis"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Compares again whenever a checkpoint has arrived. It needs seconds and no GPU.",
)

sensors = [resume_crashed_runs, next_rounds, observe_experiments, automation_sensor]
