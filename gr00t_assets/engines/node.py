"""What runs on a node, inside the allocation, above the trainer.

``python -m gr00t_assets.engines.node SPEC --job NAME ... -- COMMAND...``, by ``job.node_script``.

It refuses to train where the store is not the one that the job was submitted for, with another
version of this package, a full store, or a wrong clock. Else the command runs under the guard
(``gr00t_assets.gpu.guard``), and start and end are written into the run directory.

A signal asks the trainer for a checkpoint and an end. After SIGINT, by which a run is cancelled,
the job is over. After SIGUSR1, which comes some time before the time limit, and where the process
above was killed or another node is lost, the job is requeued. After SIGTERM the engine decides: the
program waits to be killed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from gr00t_assets import __version__
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.processes import ends_within, host_name
from gr00t_assets.engines import job_record
from gr00t_assets.gpu.guard import end_guarded, guarded, new_process_tag
from gr00t_assets.runs.manifest import ENGINE, NODE
from gr00t_assets.runs.retry import MIN_FREE_BYTES
from gr00t_assets.runs.run_directory import wait_until_free

_POLL = 0.2
_UNTIL_KILLED = 600.0

_EARLY, _MOST_EARLY = 60.0, 5
"""Slurm may tell of the time limit so many seconds early (sbatch's manual, "--signal"), even as the
job starts; such a start is made good by so many others before it counts as one without progress."""

_NO_PROGRESS: dict[job_record.Stop | None, str] = {
    "time limit": """no checkpoint was written between two time limits.
raise time_limit or checkpoint_before in data/engines.yaml""",
    "node lost": """another node of the job was lost again, and no checkpoint written in between.
keep jobs from it: --exclude=NODE in the engine's options in data/engines.yaml""",
}

_SIGNALS: dict[int, job_record.Stop] = {
    signal.SIGINT: "cancelled",
    signal.SIGUSR1: "time limit",
    signal.SIGTERM: "ended by the engine",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; the exit code is the trainer's, or one of ``REFUSALS``."""
    parser = argparse.ArgumentParser(prog=__name__)
    parser.add_argument("spec", type=Path)
    for option in ("--job", "--engine", "--version", "--store-id"):
        parser.add_argument(option, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--grace", type=float, default=60.0, help="seconds for a checkpoint")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    run_directory = options.spec.parent
    record = job_record.NodeRecord(
        name=options.job,
        id=_own_id(options.job),
        node=_node_name(),
        version=__version__,
        started_at=job_record.now(),
    )
    try:
        _require_store(options.store, options.store_id)
        job = job_record.read_job(run_directory)
        if job is None or job.name != options.job:  # it came late: its run has another one by now
            raise _RefusalError(job_record.SUPERSEDED)
        if refusal := _refusal_of_node(options.version, options.store, job):
            ended = {"code": refusal.code, "ended_at": job_record.now(), "refused": refusal.text}
            record = record.model_copy(update=ended)
        if (claimed := job_record.claim(record, run_directory)) is None:
            raise _RefusalError(job_record.SUPERSEDED)
        if refusal:
            raise refusal
    except _RefusalError as error:
        sys.stderr.write("EngineError: " + error.text.replace("\n", "\n  ") + "\n")
        return error.code
    return _Node(claimed, options).run()


class _RefusalError(Exception):
    """A node does not train: a code of ``REFUSALS``, and what is wrong, the values, what to do."""

    def __init__(self, code: int, *details: str) -> None:
        self.code = code
        self.text = "\n".join([job_record.REFUSALS[code].format(node=_node_name()), *details])
        super().__init__(self.text)


def _node_name() -> str:
    """As Slurm has it; else that of this machine."""
    return os.environ.get("SLURMD_NODENAME") or host_name()


def _require_store(root: Path, expected: str) -> None:
    """Refuse a store that is not there, or another one."""
    try:
        mark = (root / job_record.STORE_ID).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _RefusalError(job_record.STORE_MISSING, f"{root}: {error.strerror}") from error
    if mark != expected:
        raise _RefusalError(
            job_record.STORE_MISSING, f"{root} has the mark {mark[:8]}, expected {expected[:8]}"
        )


def _refusal_of_node(version: str, root: Path, job: job_record.JobRecord) -> _RefusalError | None:
    """What is refused: another version, a full store, a clock that is behind."""
    if version != __version__:
        return _RefusalError(
            job_record.OTHER_VERSION,
            f"{__version__} at {sys.executable}, the job was submitted with {version}",
            "install the same one on every node, or mend python in data/engines.yaml",
        )
    free = free_bytes(root)
    if free < MIN_FREE_BYTES:
        return _RefusalError(job_record.STORE_FULL, f"{free / 1e6:.0f} MB are free in {root}")
    ahead = datetime.fromisoformat(job.submitted_at).timestamp() - time.time()
    if ahead > job_record.CLOCK_TOLERANCE:
        return _RefusalError(
            job_record.CLOCKS_APART,
            f"the job was submitted {ahead:.0f} s from now, as it has it",
            "set both clocks: chronyc makestep",
        )
    return None


class _Node:
    """One start of a job on this node."""

    def __init__(self, record: job_record.NodeRecord, options: argparse.Namespace) -> None:
        self.record, self.options, self.run_directory = record, options, options.spec.parent
        self.parent = os.getppid()
        self.stopped: job_record.Stop | None = None
        self.began = self.stopped_at = time.monotonic()
        for number in _SIGNALS:
            signal.signal(number, lambda number, _frame: self._stop(_SIGNALS[number]))

    def run(self) -> int:
        """Run the command to its end, or to a stop."""
        step = self._checkpoint()
        # What an earlier start of the job left may still write a checkpoint.
        wait_until_free(self.run_directory, self.options.grace, print, lambda: None)
        tag = new_process_tag()
        variables = {ENGINE: self.options.engine, NODE: self.record.node, "PYTHONUNBUFFERED": "1"}
        command = guarded(self.options.command, self.options.grace, tag)
        guard = subprocess.Popen(command, env={**os.environ, **variables}, start_new_session=True)
        asked = False
        while not ends_within(guard, _POLL):
            if self.stopped and not asked:
                _say(f"asked for a checkpoint: {self.stopped}")
                guard.send_signal(signal.SIGINT)
                asked = True
            self._look_at_parent()
        code = end_guarded(guard, tag)
        self._look_at_parent()
        if code and self.stopped is None and not _every_node_answers():
            self._stop("node lost")
        if code == 0 or self.stopped in (None, "cancelled"):
            return self._end(code)
        early = self.stopped_at - self.began < _EARLY or self.stopped == "node lost"
        forgiven = early and self.record.restarts < _MOST_EARLY
        if self.stopped in _NO_PROGRESS and not forgiven and self._checkpoint() == step:
            return self._end(code, _NO_PROGRESS[self.stopped])
        self.record = job_record.write_node(
            self.record.model_copy(update={"stopped": self.stopped}), self.run_directory
        )
        if self.stopped == "ended by the engine" or _slurm("scontrol", "requeue", self.record.id):
            time.sleep(_UNTIL_KILLED)
        return self._end(code)

    def _look_at_parent(self) -> None:
        """Once its parent is gone nothing of the engine ends this program, or frees its GPUs."""
        if os.getppid() != self.parent:
            self._stop("lost")

    def _stop(self, why: job_record.Stop) -> None:
        if self.stopped is None:
            self.stopped, self.stopped_at = why, time.monotonic()

    def _end(self, code: int, refused: str | None = None) -> int:
        ended = {
            "code": code,
            "ended_at": job_record.now(),
            "stopped": self.stopped,
            "refused": refused,
        }
        job_record.write_node(self.record.model_copy(update=ended), self.run_directory)
        if self.stopped == "lost":
            _slurm("scancel", self.record.id)
        return code

    def _checkpoint(self) -> int:
        """Step of the last complete checkpoint; 0 where there is none."""
        from gr00t_assets.runs.checkpoint_layout import stored_checkpoints

        complete = [item.step for item in stored_checkpoints(self.run_directory) if item.complete]
        return max(complete, default=0)


def _own_id(name: str) -> str:
    """The engine's id of this job; its name where the engine has no other."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array else os.environ.get("SLURM_JOB_ID", name)


def _every_node_answers() -> bool:
    """Whether a program can be run on each node of this job, where it has several.

    Slurm itself knows of a lost node only minutes after a training has failed for the lack of it.
    """
    if (nodes := os.environ.get("SLURM_JOB_NUM_NODES", "1")) == "1":
        return True
    return _slurm("srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--overlap", "true")


def _slurm(*command: str) -> bool:
    """Run a command of Slurm about this job; False where it fails, or where this is no job of it.

    A job of Ray is submitted anew by who follows it.
    """
    if "SLURM_JOB_ID" not in os.environ:
        return False
    with suppress(FileNotFoundError, subprocess.TimeoutExpired):
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
        )
        _say(f"{' '.join(command)}: {done.stderr.strip() or 'done'}")
        # A requeue that takes effect at once kills its own scontrol, which is in the job.
        return done.returncode <= 0
    return False


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
