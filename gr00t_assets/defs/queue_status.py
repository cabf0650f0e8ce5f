"""What waits in Dagster's queue to train, in the order in which it will, and why it waits."""

import os
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG, PRIORITY_TAG
from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.project import project_root
from gr00t_assets.defs.queue import GPU, trainings_at_once

_DAEMON = "QUEUED_RUN_COORDINATOR"
_SILENT = 90.0
"""Seconds without a sign of the daemon after which it is taken for dead."""


class WaitingRun(BaseModel):
    """A run that is to train and does not yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    partition: str | None
    priority: int
    queued_at: float = Field(description="Seconds since the epoch")
    why: str


class QueueStatus(BaseModel):
    """The queue as the instance knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trainings_at_once: int = Field(description="Limit of the pool gpu")
    training: int = Field(description="Places of the pool that are taken")
    daemon_alive: bool
    waiting: tuple[WaitingRun, ...]


@contextmanager
def project_instance() -> Iterator[dg.DagsterInstance | None]:
    """The instance that commands in the project's folder use; ``None`` before the first of them.

    ``DAGSTER_HOME`` where it is set, else that of ``dagster.yaml`` in the project's folder.
    """
    root = project_root()
    if os.environ.get("DAGSTER_HOME"):
        with dg.DagsterInstance.get() as instance:
            yield instance
    elif (root / "dagster.yaml").is_file():
        with chdir(root), dg.DagsterInstance.from_config(str(root)) as instance:
            yield instance
    else:
        yield None


def queue_status(instance: dg.DagsterInstance) -> QueueStatus:
    """What waits, first what the queue takes first."""
    storage = instance.event_log_storage
    limits = {pool.name: pool.limit for pool in storage.get_pool_limits()}
    limit = limits.get(GPU, trainings_at_once(instance))
    pool = storage.get_concurrency_info(GPU)
    standing = pool.pending_run_ids
    beat = instance.get_daemon_heartbeats().get(_DAEMON)
    alive = beat is not None and time.time() - beat.timestamp < _SILENT
    taken = pool.active_slot_count
    waiting = []
    for record in _records(instance, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING):
        if record.dagster_run.run_id in standing:
            why = f"started, first in line: {taken} of {limit} trainings at once"
            waiting.append(_waiting(record, why))
    queued = _records(instance, dg.DagsterRunStatus.QUEUED)
    for record in sorted(queued, key=lambda record: -_priority(record.dagster_run)):
        why = "next to be started" if taken < limit else f"{taken} of {limit} trainings at once"
        if not alive:
            why = "no daemon takes runs from the queue: start it with `make dev`"
        waiting.append(_waiting(record, why))
    return QueueStatus(
        trainings_at_once=limit, training=taken, daemon_alive=alive, waiting=tuple(waiting)
    )


def _records(instance: dg.DagsterInstance, *statuses: dg.DagsterRunStatus) -> list[dg.RunRecord]:
    """Runs that train, the oldest first."""
    filters = dg.RunsFilter(statuses=list(statuses), tags={GPU: "true"})
    return list(instance.get_run_records(filters=filters, ascending=True))


def _waiting(record: dg.RunRecord, why: str) -> WaitingRun:
    run = record.dagster_run
    return WaitingRun(
        run_id=run.run_id,
        partition=run.tags.get(PARTITION_NAME_TAG),
        priority=_priority(run),
        queued_at=record.create_timestamp.timestamp(),
        why=why,
    )


def _priority(run: dg.DagsterRun) -> int:
    text = run.tags.get(PRIORITY_TAG, "0")
    return int(text) if text.lstrip("-").isdecimal() else 0
