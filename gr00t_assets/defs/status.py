"""What the project is doing, for one screen: queue, engines, trainings, what failed, what ended."""

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import Store
from gr00t_assets.defs import training_runs
from gr00t_assets.defs.queue import RELEASED, SLOT, QueueStatus, queue_status
from gr00t_assets.engines.start import client_of
from gr00t_assets.experiments.engine_file import (
    LOCAL,
    Engines,
    EngineSettings,
    LocalEngine,
    usable_engines,
)
from gr00t_assets.gpu.slots import MachineStatus
from gr00t_assets.runs.progress import Progress, read_progress

FILE = "data/engines.yaml"

LATELY_DAYS = 3
"""Days that failed and finished runs are listed for."""

_MOST_RUNS = 1_000

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


class EngineStatus(FrozenModel):
    """An engine and the runs of this project on it."""

    name: str
    kind: str
    training: int = Field(description="Trainings that run; of local all that hold a slot")
    waiting: int = Field(description="Runs that wait for it, in Dagster's queue or in its own")
    problem: str | None = Field(description="Why it takes no jobs; None where it answers")


class TrainingStatus(FrozenModel):
    """A training that has begun, or a run that waits for a slot or in an engine's queue."""

    experiment: str
    sweep: str | None
    user: str | None
    run_id: str
    engine: str
    trains: bool = Field(description="Whether it has a slot or a node")
    progress: Progress | None


class EndedRun(FrozenModel):
    """A run that failed, or a training that finished."""

    name: str = Field(description="Its experiment or other partition, else as made")
    made: str = Field(description="What it made, or was to make")
    run_id: str
    ended_at: str = Field(description="ISO 8601, UTC")
    reason: str | None = Field(description="Why it failed, the first line")
    progress: Progress | None


class ProjectStatus(FrozenModel):
    """All that one looks for in the morning."""

    queue: QueueStatus
    engines: tuple[EngineStatus, ...]
    training: tuple[TrainingStatus, ...]
    failed: tuple[EndedRun, ...] = Field(description="Of the last days, not those repeated since")
    finished: tuple[EndedRun, ...] = Field(description="Of the last days")
    store: str
    free_bytes: int
    total_bytes: int


def project_status(
    instance: dg.DagsterInstance, machine: MachineStatus, store: Store
) -> ProjectStatus:
    """Look at the instance, the slots, the engines and the run directories; only reads."""
    queue = queue_status(instance, machine)
    unfinished = training_runs.unfinished_runs(instance)
    engines = usable_engines()
    training = tuple(_training(unfinished, machine, engines, store))
    failed, finished = _ended(instance, unfinished, store)
    existing = next(path for path in (store.root, *store.root.parents) if path.exists())
    disk = shutil.disk_usage(existing)
    return ProjectStatus(
        queue=queue,
        engines=tuple(_engines(engines, unfinished, training, queue.training)),
        training=training,
        failed=tuple(failed),
        finished=tuple(finished),
        store=str(store.root),
        free_bytes=disk.free,
        total_bytes=disk.total,
    )


def _training(
    runs: Mapping[str, dg.DagsterRun], machine: MachineStatus, engines: Engines, store: Store
) -> Iterator[TrainingStatus]:
    """Runs that are carried out and have not trained yet."""
    waiting = {waiter.run_id for waiter in machine.waiting}
    for name, run in runs.items():
        if run.status != dg.DagsterRunStatus.STARTED or run.tags.get(SLOT) == RELEASED:
            continue
        progress = _progress(run, store)
        engine = progress.engine if progress else engines.default
        engine = run.tags.get(training_runs.ENGINE) or engine
        has_node = engine == LOCAL or (progress is not None and progress.node is not None)
        yield TrainingStatus(
            experiment=name,
            sweep=run.tags.get(training_runs.SWEEP),
            user=run.tags.get(training_runs.USER),
            run_id=run.run_id,
            engine=engine,
            trains=has_node and run.run_id not in waiting,
            progress=progress,
        )


def _engines(
    engines: Engines,
    runs: Mapping[str, dg.DagsterRun],
    training: Sequence[TrainingStatus],
    slots_held: int,
) -> Iterator[EngineStatus]:
    started = {item.run_id for item in training}
    busy = Counter(item.engine for item in training if item.trains)
    waiting = Counter(item.engine for item in training if not item.trains)
    queued = (run for run in runs.values() if run.run_id not in started)
    waiting.update(run.tags.get(training_runs.ENGINE) or engines.default for run in queued)
    busy[LOCAL] = slots_held
    known = {name: (item.kind, _silence(item)) for name, item in engines.engines.items()}
    known |= {name or FILE: ("not known", item.headline) for name, item in engines.faulty.items()}
    for name, (kind, problem) in known.items():
        yield EngineStatus(
            name=name, kind=kind, training=busy[name], waiting=waiting[name], problem=problem
        )


def _silence(settings: EngineSettings) -> str | None:
    """Why an engine takes no jobs; None where it answers."""
    try:
        if not isinstance(settings, LocalEngine):
            client_of(settings).find("", None)
    except EngineError as error:
        return error.headline
    return None


def _ended(
    instance: dg.DagsterInstance, unfinished: Mapping[str, dg.DagsterRun], store: Store
) -> tuple[list[EndedRun], list[EndedRun]]:
    """Runs that failed lately and were not repeated since, and trainings that finished lately."""
    since = datetime.fromtimestamp(time.time() - LATELY_DAYS * 86_400, UTC)
    filters = dg.RunsFilter(statuses=_ENDED, updated_after=since)
    failed, finished = [], []
    seen: set[tuple[str, str]] = set()
    for record in instance.get_run_records(filters=filters, limit=_MOST_RUNS):
        run = record.dagster_run
        target = _made(run)
        name = run.tags.get(training_runs.PARTITION_TAG) or target
        if (name, target) in seen:
            continue
        seen.add((name, target))
        experiment = training_runs.experiment_of(run)
        is_failure = run.status == dg.DagsterRunStatus.FAILURE
        if is_failure and experiment in unfinished:
            continue
        if not is_failure and (run.status != dg.DagsterRunStatus.SUCCESS or experiment is None):
            continue
        ended = record.end_time or record.update_timestamp.timestamp()
        item = EndedRun(
            name=name,
            made=target,
            run_id=run.run_id,
            ended_at=datetime.fromtimestamp(ended, UTC).isoformat(timespec="seconds"),
            reason=training_runs.end_of_run(instance, run).reason if is_failure else None,
            progress=_progress(run, store),
        )
        (failed if is_failure else finished).append(item)
    return failed, finished


def _made(run: dg.DagsterRun) -> str:
    """The assets of a run, or the name of its job."""
    if run.asset_selection:
        return ", ".join(sorted(key.to_user_string() for key in run.asset_selection))
    return "checkpoint" if training_runs.experiment_of(run) is not None else run.job_name


def _progress(run: dg.DagsterRun, store: Store) -> Progress | None:
    """Of the run directory that a run says it trains in; it says so once it has started."""
    name, config_hash = training_runs.experiment_of(run), run.tags.get(training_runs.CONFIG_HASH)
    if name is None or config_hash is None:
        return None
    return read_progress(store.run_directory(name, config_hash))
