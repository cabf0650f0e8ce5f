"""Which job of an engine trains a run: ``job.json`` and ``jobs/`` in the run directory.

``job.json`` is written by whoever submits: with the job's unique name before the submission, with
the engine's id after it. A kill between the two leaves a name without an id, and the next attempt
asks the engine for that name before it submits. ``jobs/NAME.json`` is written by the node, once
when the job starts and once when it ends. The node creates it exclusively: of two jobs with one
name the second one trains nothing. ``.store-id`` in the store's root is the mark by which a node
knows that it has mounted the store, and not another in its place.
"""

import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field

from gr00t_assets.core import files
from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import json_text

JOB, JOBS = "job.json", "jobs"
STORE_ID = ".store-id"

CLOCK_TOLERANCE = 60.0
"""Seconds by which the clocks of a node and of whoever submits may differ."""

Stop = Literal["cancelled", "time limit", "ended by the engine", "lost", "node lost"]
"""Why a node stopped a training before its end: somebody cancelled the run; the time limit comes;
the engine asked for it, as before a preemption; the engine's own process above it was killed;
another node of the job does not answer."""


STORE_MISSING, STORE_FULL, OTHER_VERSION, CLOCKS_APART, SUPERSEDED = 71, 72, 73, 74, 75
"""Exit codes of the node's program where it trains nothing."""

REFUSALS = {
    STORE_MISSING: "{node} has not mounted the store, or another one in its place.",
    STORE_FULL: "the store is full, as {node} sees it.",
    OTHER_VERSION: "{node} has another version of gr00t-assets.",
    CLOCKS_APART: "the clock of {node} is more than a minute wrong.",
    SUPERSEDED: "another job trains this run.",
    126: "{node} cannot run the engine's python.",
    127: "{node} does not have the engine's python.",
}
"""What an exit code means where the node could leave no record."""


class JobRecord(files.FrozenModel):
    """What was submitted for a run; the last one of a run directory."""

    format: Literal[1] = 1
    engine: str
    kind: str
    name: str = Field(description="Unique; the engine can be asked for it")
    id: str | None = Field(default=None, description="The engine's; None until it has answered")
    submitted_at: str = Field(description="ISO 8601, UTC, by the clock of whoever submits")
    ended: str | None = Field(
        default=None, description="How it ended where the node did not say: the engine's words"
    )


class NodeRecord(files.FrozenModel):
    """What the node says of a job. One that is stopped for a requeue has no ``code`` yet."""

    format: Literal[1] = 1
    name: str
    id: str
    node: str
    version: str = Field(description="Of gr00t-assets on the node")
    restarts: int = Field(default=0, description="Times that the engine started it again")
    started_at: str = Field(description="ISO 8601, UTC, of the last start")
    stopped: Stop | None = Field(default=None, description="Why the last start was ended early")
    ended_at: str | None = None
    code: int | None = Field(default=None, description="Exit code, 128 + n for signal n")
    refused: str | None = Field(default=None, description="Why the node did not train: an error")


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_job_name(*parts: str) -> str:
    """A name that no other job has; Slurm and Ray take it.

    Examples:
        >>> new_job_name("lr1e-4", "0123456789ab")[:-8]
        'gr00t-lr1e-4-0123456789ab-'
    """
    return "-".join(["gr00t", *parts, uuid.uuid4().hex[:8]])


def write_job(record: JobRecord, run_directory: Path) -> JobRecord:
    """Write ``job.json`` in one step; it outlasts a power cut."""
    files.write_json(run_directory / JOB, record.model_dump(mode="json"))
    return record


def read_job(run_directory: Path) -> JobRecord | None:
    """The last job of a run, None where it never had one; ``EngineError``: it cannot be read."""
    path = run_directory / JOB
    try:
        return JobRecord.model_validate(files.read_json(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        remedy = "see which jobs the engine has, cancel what trains this run, and remove the file"
        raise EngineError(str(path), "this is no record of a job.", [str(error), remedy]) from error


def read_node(run_directory: Path, name: str) -> NodeRecord | None:
    """What the node says of a job; None before it starts."""
    with suppress(OSError, ValueError):
        return NodeRecord.model_validate(files.read_json(run_directory / JOBS / f"{name}.json"))
    return None


def write_node(record: NodeRecord, run_directory: Path) -> NodeRecord:
    """Write what the node says of a job."""
    files.write_json(run_directory / JOBS / f"{record.name}.json", record.model_dump(mode="json"))
    return record


def claim(record: NodeRecord, run_directory: Path) -> NodeRecord | None:
    """Say that a job starts on this node; None where another job of its name has done so.

    A job that the engine starts again keeps its id, and with it the claim.
    """
    content = json_text(record.model_dump(mode="json")) + "\n"
    if files.create_file(run_directory / JOBS / f"{record.name}.json", content):
        return record
    before = read_node(run_directory, record.name)
    if before is None or before.id != record.id or before.code is not None:
        return None
    return write_node(record.model_copy(update={"restarts": before.restarts + 1}), run_directory)


def store_id(store: Store) -> str:
    """The store's id, made where it has none yet; of two processes that make it one wins."""
    path = store.root / STORE_ID
    if not path.is_file():
        files.create_file(path, uuid.uuid4().hex + "\n")
    return path.read_text(encoding="utf-8").strip()


def unfinished_job(run_directory: Path) -> JobRecord | None:
    """The job of a run that may wait, run or be requeued, as far as the run directory tells."""
    job = read_job(run_directory)
    if job is None or job.ended is not None:
        return None
    node = read_node(run_directory, job.name)
    return None if node is not None and node.code is not None else job
