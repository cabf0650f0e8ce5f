"""Starts a trainer wherever it runs, and follows it there.

The job of a remote engine is submitted once, followed from the shared store, and found again by its
name. What differs between engines is their client. The store tells the rest: the log, the node's
record of start and end, checkpoints and metrics are in the run directory.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import BinaryIO

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.locks import Every
from gr00t_assets.engines import job_record
from gr00t_assets.engines.job import (
    REMIND_EVERY,
    EngineSilentError,
    JobFailure,
    JobRequest,
    JobState,
    patiently,
    submission_lock,
    submit_recorded,
)
from gr00t_assets.engines.ray_engine import RayClient
from gr00t_assets.engines.slurm import Slurm
from gr00t_assets.experiments.engine_file import (
    EngineSettings,
    LocalEngine,
    RayEngine,
    SlurmEngine,
    engine_of,
    usable_engines,
)
from gr00t_assets.gpu.guard import stop_grace
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.runs.run_directory import LOG, wait_until_free
from gr00t_assets.trainers.nodes import require_nodes
from gr00t_assets.trainers.process_launcher import CopiedOutput, LaunchedProcess, launched

_AFTER_GRACE, _POLL = 10.0, 0.25
_SHORTEST, _LONGEST = 3.0, 20.0
"""Seconds between two questions to the engine, while it is young and once it has run for long."""

_RECORD_DELAY = 5.0
"""Seconds after a job's end in which the node's record of it reaches this machine, as over NFS."""

_START_TIMEOUT = "failed to start within"
"""Ray's words once a job has waited for 15 minutes; it waits on under another name."""

_TAIL_BYTES, _LOST = 1 << 16, 137


def engine_of_run(request: JobRequest) -> EngineSettings:
    """Where a run trains: where its last job may still be, else on its experiment's engine.

    It raises as ``Engines.named``.
    """
    settings = engine_of(request.spec.experiment)
    job = job_record.unfinished_job(request.spec.run_directory)
    if job is None or job.engine == settings.name:
        return settings
    request.log(
        f"its job {job.id or job.name} of the engine {job.engine} has not ended; following it"
    )
    try:
        return usable_engines().named(job.engine)
    except EngineError as error:
        remedy = f"declare it again, or cancel {job.name} there and remove job.json"
        raise EngineError(
            str(request.spec.run_directory), error.problem, [*error.details, remedy]
        ) from error


@contextmanager
def started(
    request: JobRequest, settings: EngineSettings
) -> Iterator["LaunchedProcess | RemoteJob"]:
    """Start a trainer on an engine, or attach to the job that its run has there.

    On this machine it waits for slots, and ends with the block. A job of a remote engine runs on
    where the block ends with an exception: only ``stop`` ends it, so that the next one who asks for
    the run attaches to it.

    Of what it gives ``where`` is for one line of a log: ``cuda:0``, ``Slurm job 17 on node3``;
    ``code`` the exit code, 128 + n for signal n, once it has ended and its block is left;
    ``failure`` what ended it where that was not the trainer. ``ended_within`` waits for a moment
    and copies new output, ``stop`` cancels it.

    Raises:
        EngineError: The engine does not answer, or does not take the job; nothing is left of the
            attempt. Or the run takes several nodes, which this engine has not.
    """
    spec, experiment = request.spec, request.spec.experiment
    require_nodes(experiment, settings)
    file = spec.run_directory / LOG
    if not isinstance(settings, LocalEngine):
        with file.open("ab"), file.open("rb") as log:
            yield RemoteJob(request, settings, log)
        return
    wait_until_free(spec.run_directory, stop_grace() + _AFTER_GRACE, request.log, request.check)
    with (
        acquire(
            experiment.hyperparameters.num_gpus,
            request.store,
            experiment.name,
            request.log,
            vram_bytes=experiment.vram_bytes,
            run_id=request.run_id,
            priority=request.priority,
            check=request.check,
        ) as lease,
        launched(request.command, lease, file) as job,
    ):
        yield job


def client_of(settings: SlurmEngine | RayEngine) -> Slurm | RayClient:
    """What submits, finds and cancels the jobs of a remote engine."""
    return Slurm(settings) if isinstance(settings, SlurmEngine) else RayClient(settings)


class RemoteJob(CopiedOutput):
    """A job that is followed, and the next one where the engine has lost it; see ``started``."""

    def __init__(
        self, request: JobRequest, settings: SlurmEngine | RayEngine, log: BinaryIO
    ) -> None:
        super().__init__(log)
        self._request, self._settings, self._log = request, settings, log
        self._client = client_of(settings)
        self._directory = request.spec.run_directory
        self._lost = 0
        self._begin()

    def _begin(self) -> None:
        """Submit the job of the run, or attach to the one that it has."""
        self.record, attached = self._submitted()
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

    def _submitted(self) -> tuple[job_record.JobRecord, bool]:
        """The job of the run, and whether it was there already."""
        request, client = self._request, self._client
        directory, spec = self._directory, request.spec
        with submission_lock(spec, request.log):
            last = job_record.unfinished_job(directory)
            name, job = ("", None) if last is None else (last.name, last.id)
            state = patiently(lambda: client.find(name, job), request)
            if last is not None and state is not None and state.phase != "ended":
                request.log(f"attached to {client.label} {state.id}, submitted {last.submitted_at}")
                return job_record.write_job(
                    last.model_copy(update={"id": state.id}), directory
                ), True
            if last is not None:
                words = state.words if state else "the engine does not have it"
                job_record.write_job(last.model_copy(update={"ended": words}), directory)
            name = job_record.new_job_name(spec.experiment.name, spec.config_hash)
            (record,) = submit_recorded(
                self._settings, {directory: name}, lambda: [client.submit(name, request)]
            )
            request.log(f"submitted {client.label} {record.id} ({record.name})")
            return record, False

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
        node = job_record.read_node(self._directory, self.record.name)
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
        node = job_record.read_node(self._directory, self.record.name)
        if node is None:
            return False
        if node.started_at != self._started:
            self._node, self._started = node.node, node.started_at
            self._request.log(f"{self.where} has started {self._request.spec.experiment.name}")
            ahead = datetime.fromisoformat(node.started_at).timestamp() - time.time()
            if ahead > job_record.CLOCK_TOLERANCE:
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
            return
        if state is not None and state.phase != "ended":
            self._gone_since = None
            if state.phase == "waiting":
                self._say(f"{self._client.label} {self.record.id} waits: {state.words}")
            return
        self._gone_since = self._gone_since or time.monotonic()
        node = job_record.read_node(self._directory, self.record.name)
        if time.monotonic() - self._gone_since >= _RECORD_DELAY or (node and node.stopped):
            self._engine_has_ended(state)

    def _engine_has_ended(self, state: JobState | None) -> None:
        """The job is over and the node has no word of it: take the engine's."""
        self._has_ended = True
        self.code = _LOST if state is None or not state.code else state.code
        words = state.words if state else f"{self._client.label.split()[0]} knows it no longer"
        self._close(words)
        node = (state.node if state else None) or self._node or "its node"
        if (refusal := job_record.REFUSALS.get(self.code)) is not None:
            problem, remedy = refusal.format(node=node), "mend the node, or keep jobs from it"
            self.failure = JobFailure(EngineError(self.where, problem, [remedy]), "job-refused")
            return
        details = [f"on {node}, with exit code {self.code}"] if state else []
        error = EngineError(self.where, f"the job ended: {words}.", details)
        self.failure = JobFailure(error, "job-lost")

    def _close(self, words: str) -> None:
        job_record.write_job(self.record.model_copy(update={"ended": words}), self._directory)

    def _say(self, line: str) -> None:
        if self._remind() or line != self._said:
            self._request.log(line)
        self._said = line
