"""A sensor that asks again for runs that died, up to the limit of their sweep."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.defs.automation import automation_sensor
from gr00t_assets.defs.jobs import sweep as sweep_job
from gr00t_assets.defs.partitions import SWEEPS
from gr00t_assets.defs.resources import StoreResource
from gr00t_assets.defs.run_ends import end_of_run
from gr00t_assets.defs.training_runs import (
    CONFIG_HASH,
    RETRY_NUMBER,
    RETRY_OF,
    experiment_of,
    in_words,
    newest_run,
    request,
    unfinished,
)
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.gpu.run_workers import forget
from gr00t_assets.runs.ends import room_needed, trained_by
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.pruned import over
from gr00t_assets.runs.spec import current_config_hash

_INTERVAL = 30
_OVERLAP = 300.0
_FIRST_LOOK = 7 * 24 * 3600.0


@dataclass
class Seen:
    """What the sensor remembers from one tick to the next.

    Attributes:
        since: Runs that failed before this were dealt with, in seconds since 1970.
        waiting: Bytes that were free when a failed run was first seen, for each one that waits for
            room, for data, or for another process to end.
    """

    since: float
    waiting: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, cursor: str | None) -> "Seen":
        """From the cursor; a sensor that never ran looks at the last seven days."""
        if cursor is None:
            return cls(time.time() - _FIRST_LOOK)
        return cls(**json.loads(cursor))

    def written(self) -> str:
        """As the next cursor."""
        return json.dumps({"since": self.since, "waiting": self.waiting})


@dataclass(frozen=True)
class Answer:
    """What is done about a failed run: a request, or words; ``wait``: it is looked at again."""

    request: dg.RunRequest | None = None
    words: str = ""
    wait: bool = False


def resume_requests(
    sweeps: Mapping[str, Sweep], store: Store, instance: dg.DagsterInstance, seen: Seen
) -> tuple[list[dg.RunRequest], list[str]]:
    """Requests for the experiments of runs that died, and a line for each that is not asked for.

    ``seen`` is brought up to date. A failed run is looked at until it is answered for, and a few
    minutes beyond; whatever was requested since has a newer run, so nothing is asked for twice.
    """
    now = time.time()
    experiments = {each.name: each for sweep in sweeps.values() for each in sweep.experiments}
    busy = unfinished(instance)
    requests, lines = [], []
    waiting: dict[str, int] = {}
    for run in _failed(instance, seen):
        experiment = experiments.get(experiment_of(run) or "")
        if experiment is None:
            continue
        limit = sweeps[experiment.sweep].max_retries
        free_then = seen.waiting.get(run.run_id, free_bytes(store.root))
        answer = _answer(run, experiment, limit, busy, free_then, store, instance)
        if answer.request is not None:
            requests.append(answer.request)
        elif answer.words:
            lines.append(f"{experiment.name}, {in_words(run)}: {answer.words}")
        if answer.wait:
            waiting[run.run_id] = free_then
    seen.since, seen.waiting = now - _OVERLAP, waiting
    return requests, lines


def _failed(instance: dg.DagsterInstance, seen: Seen) -> list[dg.DagsterRun]:
    """Failed runs that are not answered for yet, the oldest first."""
    failed = [dg.DagsterRunStatus.FAILURE]
    since = datetime.fromtimestamp(seen.since, UTC)
    runs = list(instance.get_runs(filters=dg.RunsFilter(statuses=failed, updated_after=since)))
    if seen.waiting:
        filters = dg.RunsFilter(statuses=failed, run_ids=list(seen.waiting))
        runs += instance.get_runs(filters=filters)
    unique = {run.run_id: run for run in reversed(runs)}
    return list(unique.values())


def _answer(
    run: dg.DagsterRun,
    experiment: Experiment,
    limit: int,
    busy: Mapping[str, str],
    free_then: int,
    store: Store,
    instance: dg.DagsterInstance,
) -> Answer:
    newest = newest_run(instance, experiment.name)
    if newest is None or newest.run_id != run.run_id:
        return Answer()
    end, words = end_of_run(instance, run)
    if end == "repeats":
        return Answer()
    try:
        config_hash = current_config_hash(experiment, store)
        directory = store.run_directory(experiment.name, config_hash)
        manifest = load_manifest(directory)
    except Gr00tAssetsError as error:
        return Answer(words=error.explain(), wait=True)
    if over(manifest, experiment):
        return Answer(words="it is trained by now")
    same = run.tags.get(CONFIG_HASH, config_hash) == config_hash
    number = int(run.tags.get(RETRY_NUMBER, 0)) if same else 0
    if end == "full disk":
        needed, free = room_needed(directory, free_then), free_bytes(store.root)
        if free < needed:
            return Answer(words=_full(free, needed), wait=True)
    elif number >= limit:
        return Answer(words=f"it died {number + 1} times ({words}); max_retries is {limit}")
    else:
        number += 1
    process = trained_by(directory)
    if experiment.name in busy or process:
        return Answer(words=busy.get(experiment.name, f"{process} still writes"), wait=True)
    tags = {RETRY_OF: run.run_id, RETRY_NUMBER: str(number)}
    key = f"{run.run_id}:{'room' if end == 'full disk' else 'died'}"
    return Answer(request(experiment, config_hash, key, tags))


def _full(free: int, needed: int) -> str:
    return (
        f"the disk is full: {free / 1e6:.0f} MB are free, {needed / 1e6:.0f} MB are needed; "
        "it goes on by itself once there is room: gr00t-assets store prune"
    )


@dg.sensor(
    job=sweep_job,
    minimum_interval_seconds=_INTERVAL,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Asks again for experiments whose run died: killed, without power, or with a full disk, "
        "which is waited for. Not for those that failed of what would fail again."
    ),
)
def resume_crashed_runs(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult:
    """One tick; see :func:`resume_requests`."""
    instance, seen = context.instance, Seen.read(context.cursor)
    requests, lines = resume_requests(SWEEPS, store, instance, seen)
    forget(lambda run: _over(instance, run), store)
    reason = dg.SkipReason("\n".join(lines) or "no run has died") if not requests else None
    for line in lines if requests else ():
        context.log.info(line)
    return dg.SensorResult(run_requests=requests, skip_reason=reason, cursor=seen.written())


def _over(instance: dg.DagsterInstance, run: str) -> bool:
    found = instance.get_run_by_id(run)
    return found is None or found.is_finished


sensors = [resume_crashed_runs, automation_sensor]
