"""A job: what is to run, what engines say of it, its submission, the node's program."""

import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

from gr00t_assets import __version__
from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.locks import Every, Log, exclusive_lock
from gr00t_assets.core.project import Store
from gr00t_assets.engines.job_record import (
    JOB,
    STORE_ID,
    STORE_MISSING,
    JobRecord,
    now,
    store_id,
    write_job,
)
from gr00t_assets.experiments.engine_file import RayEngine, SlurmEngine
from gr00t_assets.runs.run_directory import LOG, SPEC
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.nodes import NODE_RANK, RENDEZVOUS, RENDEZVOUS_ID

T = TypeVar("T")

Phase = Literal["waiting", "running", "ended"]

SUBMITTING = ".job.lock"
"""In the run directory: the lock of whoever submits its job."""

REMIND_EVERY = 30.0
"""Seconds between two lines of the same reason to wait."""

PATIENCE, _ASK_AGAIN = 300.0, 3.0
"""Seconds for which an engine that does not answer is asked again before a submission, and between
two questions."""

_ON_EACH_NODE = """\
{guarded_log}
{setup}
export {rendezvous}="$SLURM_LAUNCH_NODE_IPADDR:$((10000 + SLURM_JOB_ID % 20000))"
export {run_id}="$SLURM_JOB_ID-${{SLURM_RESTART_COUNT:-0}}" {rank}="$SLURM_PROCID"
exec {command}"""
"""Of the trainer of several nodes. Task 0 of srun is on the first node, where srun itself runs: it
writes into the log itself, which the trainer looks for, and srun what the others say."""


class JobFailure(NamedTuple):
    """A node refused a job, or the engine ended it; see ``gr00t_assets.runs.retry``."""

    error: EngineError
    name: Literal["job-refused", "job-lost"]


@dataclass(frozen=True)
class JobRequest:
    """What is to run, and for whom; the spec is in its run directory by now.

    ``run_id`` is Dagster's, None by hand; of two the one with the higher priority goes first;
    ``log`` takes a line for a person; ``check`` is called now and then, and raises where nobody
    waits for the job any more.
    """

    command: Sequence[str]
    spec: TrainingSpec
    store: Store
    run_id: str | None = None
    priority: int = 0
    log: Callable[[str], object] = print
    check: Callable[[], object] = lambda: None


class EngineSilentError(EngineError):
    """An engine does not answer; asking again may help."""


class JobState(NamedTuple):
    """What an engine says of a job.

    ``words`` are the engine's own: why it waits, or how it ended; ``code`` is its exit code.
    """

    id: str
    phase: Phase
    words: str = ""
    node: str | None = None
    code: int | None = None


def patiently(ask: Callable[[], T], request: JobRequest) -> T:
    """The engine's answer, else its ``EngineSilentError`` after ``PATIENCE`` seconds."""
    deadline, remind = time.monotonic() + PATIENCE, Every(REMIND_EVERY)
    while True:
        try:
            return ask()
        except EngineSilentError as error:
            if time.monotonic() >= deadline:
                raise
            if remind():
                request.log(f"{error}; asking again")
        request.check()
        time.sleep(_ASK_AGAIN)


def submission_lock(spec: TrainingSpec, log: Log) -> AbstractContextManager[int]:
    """Hold the lock of whoever submits the job of a run."""
    what = f"the submission of {spec.experiment.name}"
    return exclusive_lock(spec.run_directory / SUBMITTING, what, log)


def submit_recorded(
    settings: SlurmEngine | RayEngine,
    names: Mapping[Path, str],
    submit: Callable[[], Sequence[str]],
) -> list[JobRecord]:
    """Record jobs, whose names are by run directory, submit them, and record the ids that they got.

    Raises:
        EngineError: They are refused; no record is left.
        EngineSilentError: They may have been submitted: whoever asks next looks for their names.
    """
    engine, kind = settings.name, settings.kind
    records = [
        write_job(JobRecord(engine=engine, kind=kind, name=name, submitted_at=now()), directory)
        for directory, name in names.items()
    ]
    try:
        ids = submit()
    except EngineSilentError:
        raise
    except EngineError:
        for directory in names:
            (directory / JOB).unlink(missing_ok=True)
        raise
    return [
        write_job(record.model_copy(update={"id": job}), directory)
        for job, directory, record in zip(ids, names, records, strict=True)
    ]


def node_script(
    name: str, request: JobRequest, settings: SlurmEngine | RayEngine, grace: float
) -> str:
    """Shell lines that run ``gr00t_assets.engines.node`` for a job, with its output in the log.

    Nothing is written before the store is known to be there.

    The engine's python takes the place of that of this process; ``grace`` are the seconds that the
    trainer has for a checkpoint.
    """
    python, store = settings.python or sys.executable, request.store
    options = {
        "--job": name,
        "--engine": settings.name,
        "--version": __version__,
        "--store": str(store.root),
        "--store-id": store_id(store),
        "--grace": f"{grace:g}",
    }
    flat = [part for option in options.items() for part in option]
    command = [python if part == sys.executable else part for part in request.command]
    if request.spec.experiment.hyperparameters.nodes > 1:
        command = _on_every_node(command, request, settings)
    module = ["-m", "gr00t_assets.engines.node", str(request.spec.run_directory / SPEC)]
    written = f"exec >>{_log(request)} 2>&1 || exit {STORE_MISSING}"
    node = shlex.join([python, *module, *flat, "--", *command])
    return "\n".join([_store_check(store), written, *settings.setup, f"exec {node}"])


def _on_every_node(
    command: Sequence[str], request: JobRequest, settings: SlurmEngine | RayEngine
) -> list[str]:
    """The same command on each node of the job, one task a node; where one fails all are ended."""
    nodes = request.spec.experiment.hyperparameters.nodes
    own_log = f'[ "$SLURM_PROCID" != 0 ] || exec >>{_log(request)} 2>&1'
    script = _ON_EACH_NODE.format(
        guarded_log=f"{_store_check(request.store)}\n{own_log}",
        setup="\n".join(settings.setup),
        rendezvous=RENDEZVOUS,
        run_id=RENDEZVOUS_ID,
        rank=NODE_RANK,
        command=shlex.join(command),
    )
    # SIGINT is for the trainer: without --disable-status it is srun's own.
    options = [f"--nodes={nodes}", f"--ntasks={nodes}", f"--cpus-per-task={settings.cpus}"]
    return ["srun", *options, "--disable-status", "--kill-on-bad-exit=1", "bash", "-c", script]


def _log(request: JobRequest) -> str:
    return shlex.quote(str(request.spec.run_directory / LOG))


def _store_check(store: Store) -> str:
    marker = shlex.quote(str(store.root / STORE_ID))
    return f"grep -qsx {store_id(store)} {marker} || exit {STORE_MISSING}"
