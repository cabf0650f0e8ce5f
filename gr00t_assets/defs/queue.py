"""The run queue: as many trainings at a time as this machine has slots.

A slot (``gr00t_assets.gpu.slots``) holds back every training, however it was asked for, and the
limits of Dagster's queue are derived from the slots. Runs that need a device carry the tag ``gpu``,
for a person who filters the list of runs, and the tag ``gr00t/slot``, which the queue's limit
counts until they have trained; on a remote engine it names the engine, whose ``jobs_at_once``
limits them. The run coordinator adds both, since a run that the page or a backfill launches for
assets has no tags of a job.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from functools import cached_property

import dagster as dg
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from pydantic import Field

from gr00t_assets.core.errors import PageError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import project_root
from gr00t_assets.defs import training_runs
from gr00t_assets.experiments.engine_file import usable_engines
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.gpu.devices import slots_by_device
from gr00t_assets.gpu.slots import MachineStatus

GPU = "gpu"
"""The tag of runs that need a device, with the value ``true``."""

SLOT = "gr00t/slot"
WANTED = "wanted"
RELEASED = "released"
"""The tag that says whether such a run may still wait for a slot or hold one, and its values."""

GPU_TAGS = {GPU: "true", SLOT: WANTED}

OTHER_RUNS = 8
"""Runs that need no device and may run beside those that do."""

NO_DAEMON = "no daemon takes runs from the queue: start it with `make dev`"

_DAEMON = "QUEUED_RUN_COORDINATOR"
_DAEMON_TIMEOUT = 90.0
"""Seconds without a heartbeat of the daemon after which it is taken for dead."""


class GpuTaggingRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's own run queue with limits and tags as above; named in ``dagster.yaml``."""

    @cached_property
    def _started_at_once(self) -> int:
        return started_at_once(self._instance)

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Tag the run, with more where it needs a device, then put it in the queue."""
        run = context.dagster_run
        experiment = training_runs.experiment_of_run(run, read_project().experiments)
        tags = training_runs.origin_tags(run, experiment)
        if training_runs.needs_device(run):
            tags |= device_tags(run, experiment)
            # Runs that a person launches on the page, alone or as a backfill, come without it.
            priority = experiment.priority if experiment is not None else 0
            if priority and training_runs.PRIORITY_TAG not in run.tags:
                tags[training_runs.PRIORITY_TAG] = str(priority)
        self._instance.add_run_tags(run.run_id, tags)
        return super().submit_run(context)

    def get_run_queue_config(self) -> RunQueueConfig:
        """The limits of the queue; one on the tag ``gpu`` in the file takes the place of ours."""
        asked = super().get_run_queue_config()
        limits = [*asked.tag_concurrency_limits]
        most_runs = 2 * self._started_at_once + OTHER_RUNS
        if all(limit["key"] != GPU for limit in limits):
            limits.append({"key": SLOT, "value": WANTED, "limit": self._started_at_once})
        for engine in usable_engines().remote:
            value = _slot_of(engine.name)
            limits.append({"key": SLOT, "value": value, "limit": engine.jobs_at_once})
            most_runs += engine.jobs_at_once
        return asked._replace(
            tag_concurrency_limits=limits,
            max_concurrent_runs=max(asked.max_concurrent_runs, most_runs),
        )


def device_tags(run: dg.DagsterRun, experiment: Experiment | None) -> dict[str, str]:
    """What a run that needs a device is counted by: the engine that it trains on, or a slot.

    Under a remote engine the allocation is the slot, and the engine's own limit counts the run.
    """
    if experiment is None or not training_runs.trains(run):
        return GPU_TAGS
    engines = usable_engines()
    name = run.tags.get(training_runs.ENGINE) or experiment.engine or engines.default
    remote = any(engine.name == name for engine in engines.remote)
    return {training_runs.ENGINE: name, **GPU_TAGS, **({SLOT: _slot_of(name)} if remote else {})}


def _slot_of(engine: str) -> str:
    """The value of the tag ``gr00t/slot`` of a run that trains on a remote engine."""
    return f"engine {engine}"


def started_at_once(instance: dg.DagsterInstance) -> int:
    """Runs that hold a slot or wait for one at once; one that has trained counts no longer.

    One for each slot, and as many that stand ready, so that a slot that becomes free is taken
    within the second; or ``old_pool_limit`` where that is below the slots.
    """
    slots, limit = sum(slots_by_device().values()), old_pool_limit(instance)
    return limit if limit is not None and limit < slots else 2 * slots


def old_pool_limit(instance: dg.DagsterInstance) -> int | None:
    """Trainings at a time by a ``dagster.yaml`` of version 0.1; None where that does not say."""
    return instance.get_settings("concurrency").get("pools", {}).get("default_limit")


class WaitingRun(FrozenModel):
    """A run that is to train and does not yet."""

    run_id: str
    partition: str | None
    priority: int
    queued_at: float = Field(description="Seconds since the epoch")
    why: str


class QueueStatus(FrozenModel):
    """The queue as the instance and the slots know it."""

    trainings_at_once: int = Field(description="Slots of this machine")
    training: int = Field(description="Slots that are held")
    started_at_once: int = Field(description="Runs that hold a slot or wait for one at once")
    old_pool_limit: int | None = Field(description="Of a dagster.yaml of version 0.1")
    daemon_alive: bool
    waiting: tuple[WaitingRun, ...]


@contextmanager
def project_instance() -> Iterator[dg.DagsterInstance]:
    """The instance of ``DAGSTER_HOME``, else of the project's ``dagster.yaml``.

    Raises:
        PageError: There is none here, or its database cannot be opened, with the reason.
    """
    root, home = project_root(), os.environ.get("DAGSTER_HOME")
    if not home and not (root / "dagster.yaml").is_file():
        remedy = "start in a clone of gr00t-assets, or set GR00T_ASSETS_ROOT to one"
        raise PageError("dagster.yaml", f"is not in {root}.", [remedy])
    with ExitStack() as stack:
        try:
            if home:
                instance = dg.DagsterInstance.get()
            else:
                stack.enter_context(chdir(root))
                instance = dg.DagsterInstance.from_config(str(root))
        except Exception as error:  # of Dagster, of YAML, or of the storage that the file names
            problem = "Dagster's database cannot be opened."
            raise PageError("dagster.yaml", problem, [str(error)]) from error
        yield stack.enter_context(instance)


def daemon_is_alive(instance: dg.DagsterInstance) -> bool:
    """Whether a daemon takes runs from the queue, by its last heartbeat."""
    heartbeat = instance.get_daemon_heartbeats().get(_DAEMON)
    return heartbeat is not None and time.time() - heartbeat.timestamp < _DAEMON_TIMEOUT


def queue_status(instance: dg.DagsterInstance, machine: MachineStatus) -> QueueStatus:
    """What waits, in the order in which it will train."""
    training = sum(len(device.holders) for device in machine.devices)
    in_use = f"{training} of {machine.slots} trainings at once"
    begun = _gpu_runs(instance, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED)
    started = {record.dagster_run.run_id: record for record in begun}
    waiting = [
        _waiting_run(started[waiter.run_id], f"started, waits for a slot: {in_use}")
        for waiter in machine.waiting
        if waiter.run_id in started
    ]
    alive = daemon_is_alive(instance)
    limit = started_at_once(instance)
    counted = sum(run.dagster_run.tags.get(SLOT) == WANTED for run in started.values())
    ready = "next to be started" if counted < limit else in_use
    why = ready if alive else NO_DAEMON
    queued = _gpu_runs(instance, dg.DagsterRunStatus.QUEUED)
    queued.sort(key=lambda record: -priority_of(record.dagster_run))
    waiting += [_waiting_run(record, why) for record in queued]
    return QueueStatus(
        trainings_at_once=machine.slots,
        training=training,
        started_at_once=limit,
        old_pool_limit=old_pool_limit(instance),
        daemon_alive=alive,
        waiting=tuple(waiting),
    )


def priority_of(run: dg.DagsterRun, default: int = 0) -> int:
    """The priority that a run's tag gives it in the queue."""
    text = run.tags.get(training_runs.PRIORITY_TAG, "")
    return int(text) if text.lstrip("-").isdecimal() else default


def _gpu_runs(instance: dg.DagsterInstance, *statuses: dg.DagsterRunStatus) -> list[dg.RunRecord]:
    """Runs that need a device, the oldest first."""
    filters = dg.RunsFilter(statuses=list(statuses), tags={GPU: "true"})
    return list(instance.get_run_records(filters=filters, ascending=True))


def _waiting_run(record: dg.RunRecord, why: str) -> WaitingRun:
    run = record.dagster_run
    return WaitingRun(
        run_id=run.run_id,
        partition=run.tags.get(training_runs.PARTITION_TAG),
        priority=priority_of(run),
        queued_at=record.create_timestamp.timestamp(),
        why=why,
    )
