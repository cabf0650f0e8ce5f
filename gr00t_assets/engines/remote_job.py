"""A job of a remote engine: submitted once, followed from the shared store, found again by name.

What differs between engines is a ``Client``. The store tells the rest: the log, the node's record
of start and end, checkpoints and metrics are in the run directory.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.locks import Every, Log, exclusive_lock
from gr00t_assets.engines.job import (
    REMIND_EVERY,
    Client,
    EngineSilentError,
    JobFailure,
    JobRequest,
    JobState,
    patiently,
)
from gr00t_assets.engines.job_record import (
    CLOCK_TOLERANCE,
    REFUSALS,
    JobRecord,
    new_job_name,
    now,
    read_node,
    remove_job,
    unfinished_job,
    write_job,
)
from gr00t_assets.experiments.engine_file import RayEngine, SlurmEngine
from gr00t_assets.runs.run_directory import LOG
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.process_launcher import CopiedOutput

SUBMITTING = ".job.lock"
"""In the run directory: the lock of whoever submits its job."""

_POLL = 0.25
_SHORTEST, _LONGEST = 3.0, 20.0
"""Seconds between two questions to the engine, while it is young and once it has run for long."""

_RECORD_DELAY = 5.0
"""Seconds after a job's end in which the node's record of it reaches this machine, as over NFS."""

_START_TIMEOUT = "failed to start within"
"""Ray's words once a job has waited for 15 minutes; it waits on under another name."""

_TAIL_BYTES, _LOST = 1 << 16, 137


class RemoteJob(CopiedOutput):
    """A job that is followed, and the next one where the engine has lost it.

    ``code`` is the exit code once it has ended, ``failure`` what ended it but the trainer.
    """

    def __init__(
        self, request: JobRequest, settings: SlurmEngine | RayEngine, client: Client, log: BinaryIO
    ) -> None:
        super().__init__(log)
        self._request, self._settings, self._client, self._log = request, settings, client, log
        self._directory = request.spec.run_directory
        self._lost = 0
        self._begin()

    def _begin(self) -> None:
        """Submit the job of the run, or attach to the one that it has."""
        self.record, attached = _submitted(self._request, self._settings, self._client)
        self.code, self.failure = 0, None
        self._node = self._started = self._gone_since = None
        self._began = self._asked = time.monotonic()
        self._remind, self._said = Every(REMIND_EVERY), ""
        self._has_ended = False
        end = self._log.seek(0, 2)
        self._log.seek(max(0, end - _TAIL_BYTES) if attached else end)
        self._incomplete = b""
        self._lines.clear()
        self._lines.extend(self._log.read().decode(errors="replace").splitlines())

    @property
    def where(self) -> str:
        """Such as ``Slurm job 17 on node3``."""
        node = f" on {self._node}" if self._node else ""
        return f"{self._client.label} {self.record.id}{node}"

    def ended_within(self) -> bool:
        """Wait for a moment, copy new output, and ask the engine where it is time to.

        A job that was lost is submitted again, from its checkpoint, as often as the client says.
        """
        time.sleep(_POLL)
        self.copy_output()
        age = time.monotonic() - self._began
        is_due = time.monotonic() - self._asked >= min(_LONGEST, max(_SHORTEST, age / 20))
        if not self._node_has_ended() and is_due:
            with suppress(EngineSilentError):
                self._look()
            self._asked = time.monotonic()
        reason = self._reason_lost() if self._has_ended else None
        if reason is None:
            return self._has_ended
        self._lost += _START_TIMEOUT not in reason
        if self._lost > self._client.most_lost:
            return True
        self._request.log(f"{reason}; it is submitted again and goes on from its last checkpoint")
        self._begin()
        return False

    def _reason_lost(self) -> str | None:
        """Why the job ended, where the engine ended it; None for any other end."""
        if self.failure is not None:
            return str(self.failure.error) if self.failure.name == "job-lost" else None
        node = read_node(self._directory, self.record.name)
        if self.code and node is not None and node.stopped in ("lost", "ended by the engine"):
            return f"{self.where} was stopped: {node.stopped}"
        return None

    def stop(self) -> None:
        """Cancel it: a checkpoint first where it runs, for as long as its grace lasts."""
        with suppress(EngineSilentError):
            state = self._client.find(self.record.name, self.record.id)
            if state is None or state.phase == "ended":
                return
            deadline = time.monotonic()
            if state.phase == "running":
                self._client.interrupt(state.id)
                deadline += self._client.grace
            while time.monotonic() < deadline and not self._node_has_ended():
                time.sleep(_SHORTEST)
                state = self._client.find(self.record.name, state.id)
                if state is None or state.phase == "ended":
                    break
            self._client.cancel(self.record.id or "")
            if not self._node_has_ended():
                self._close("it was cancelled")
        self.copy_output()

    def _node_has_ended(self) -> bool:
        node = read_node(self._directory, self.record.name)
        if node is None:
            return False
        if node.started_at != self._started:
            self._node, self._started = node.node, node.started_at
            self._request.log(f"{self.where} has started {self._request.spec.experiment.name}")
            ahead = datetime.fromisoformat(node.started_at).timestamp() - time.time()
            if ahead > CLOCK_TOLERANCE:
                self._request.log(f"the clock of {node.node} is {ahead:.0f} s ahead: set it")
        if node.code is None:
            return False
        self.copy_output()
        self.code = node.code
        if node.refused is not None:
            problem, *details = node.refused.split("\n")
            self.failure = JobFailure(EngineError(self.where, problem, details), "job-refused")
        self._has_ended = True
        return True

    def _look(self) -> None:
        """Ask the engine; say why the job waits, and notice an end that the node did not record."""
        try:
            state = self._client.find(self.record.name, self.record.id)
        except EngineSilentError as error:
            self._say(f"{error}; the job is followed from the store meanwhile")
            raise
        if state is not None and state.phase != "ended":
            self._gone_since = None
            if state.phase == "waiting":
                self._say(f"{self._client.label} {self.record.id} waits: {state.words}")
            return
        self._gone_since = self._gone_since or time.monotonic()
        node = read_node(self._directory, self.record.name)
        if time.monotonic() - self._gone_since >= _RECORD_DELAY or (node and node.stopped):
            self._engine_has_ended(state)

    def _engine_has_ended(self, state: JobState | None) -> None:
        """The job is over and the node has no word of it: take the engine's."""
        self._has_ended = True
        self.code = _LOST if state is None or not state.code else state.code
        words = state.words if state else f"{self._client.label.split()[0]} knows it no longer"
        self._close(words)
        node = (state.node if state else None) or self._node or "its node"
        if (refusal := REFUSALS.get(self.code)) is not None:
            problem, remedy = refusal.format(node=node), "mend the node, or keep jobs from it"
            self.failure = JobFailure(EngineError(self.where, problem, [remedy]), "job-refused")
            return
        details = [f"on {node}, with exit code {self.code}"] if state else []
        error = EngineError(self.where, f"the job ended: {words}.", details)
        self.failure = JobFailure(error, "job-lost")

    def _close(self, words: str) -> None:
        write_job(self.record.model_copy(update={"ended": words}), self._directory)

    def _say(self, line: str) -> None:
        if self._remind() or line != self._said:
            self._request.log(line)
        self._said = line


@contextmanager
def remote_job(
    request: JobRequest, settings: SlurmEngine | RayEngine, client: Client
) -> Iterator[RemoteJob]:
    """Submit the job of a run, or attach to the one that it has.

    Raises:
        EngineError: The engine does not answer, or does not take the job; nothing is left of the
            attempt.
    """
    file = request.spec.run_directory / LOG
    with file.open("ab"), file.open("rb") as log:
        yield RemoteJob(request, settings, client, log)


def _submitted(
    request: JobRequest, settings: SlurmEngine | RayEngine, client: Client
) -> tuple[JobRecord, bool]:
    """The job of a run, and whether it was there already."""
    directory, spec = request.spec.run_directory, request.spec
    with submission_lock(spec, request.log):
        last = unfinished_job(directory)
        name, job = ("", None) if last is None else (last.name, last.id)
        state = patiently(lambda: client.find(name, job), request)
        if last is not None and state is not None and state.phase != "ended":
            request.log(f"attached to {client.label} {state.id}, submitted {last.submitted_at}")
            return write_job(last.model_copy(update={"id": state.id}), directory), True
        if last is not None:
            words = state.words if state else "the engine does not have it"
            write_job(last.model_copy(update={"ended": words}), directory)
        record = JobRecord(
            engine=settings.name,
            kind=settings.kind,
            name=new_job_name(spec.experiment.name, spec.config_hash),
            submitted_at=now(),
        )
        name = record.name
        (record,) = submit_recorded({directory: record}, lambda: [client.submit(name, request)])
        request.log(f"submitted {client.label} {record.id} ({record.name})")
        return record, False


def submission_lock(spec: TrainingSpec, log: Log) -> AbstractContextManager[int]:
    """Hold the lock of whoever submits the job of a run."""
    what = f"the submission of {spec.experiment.name}"
    return exclusive_lock(spec.run_directory / SUBMITTING, what, log)


def submit_recorded(
    jobs: Mapping[Path, JobRecord], submit: Callable[[], Sequence[str]]
) -> list[JobRecord]:
    """Write the records of jobs by run directory, submit them, and write the ids that they got.

    Raises:
        EngineError: They are refused; no record is left.
        EngineSilentError: They may have been submitted: whoever asks next looks for their names.
    """
    for directory, record in jobs.items():
        write_job(record, directory)
    try:
        ids = submit()
    except EngineSilentError:
        raise
    except EngineError:
        for directory in jobs:
            remove_job(directory)
        raise
    return [
        write_job(record.model_copy(update={"id": job}), directory)
        for job, (directory, record) in zip(ids, jobs.items(), strict=True)
    ]
