"""Starting a training or an evaluation: in GPU slots, under a guard, with its output in a file.

The one way in which the platform starts such a process, for Dagster and by hand alike. However the
calling process, the guard or the command ends, nothing of them is left.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from gr00t_assets.core.processes import ends_within
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import printable
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.gpu.devices import CPU
from gr00t_assets.gpu.guard import end_guarded, guarded, new_process_tag, stop_grace
from gr00t_assets.gpu.slots import Lease, acquire
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec

_TAIL_LINES = 200  # lines of output that are kept for the message of a failure

_POLL, _AFTER_GRACE = 0.25, 10.0
"""Seconds between two looks at what a process printed, and to wait for its guard."""


class CopiedOutput:
    """Output of a process, copied line by line to standard output; the last lines are kept."""

    def __init__(self, output: BinaryIO | None) -> None:
        self._output = output
        self._lines: deque[str] = deque(maxlen=_TAIL_LINES)
        self._incomplete = b""

    @property
    def last_lines(self) -> list[str]:
        """The last lines of output so far; empty where it is not kept in a file."""
        line = self._incomplete.decode(errors="replace")
        return [*self._lines, line] if line.strip() else [*self._lines]

    def copy_output(self) -> None:
        """Copy the lines that were completed since the last time to standard output."""
        if self._output is None:
            return
        *lines, self._incomplete = (self._incomplete + self._output.read()).split(b"\n")
        for line in lines:
            self._lines.append(line.decode(errors="replace"))
            sys.stdout.write(printable(self._lines[-1].rstrip("\r")) + "\n")
        sys.stdout.flush()


class LaunchedProcess(CopiedOutput):
    """A command under its guard, whose exit code is the command's; made by ``launched``.

    ``code`` is that exit code, 128 + n for signal n, once the block of ``launched`` is left.
    """

    failure = None  # nothing but the trainer ends it here; see ``engines.start.started``

    def __init__(
        self, guard: "subprocess.Popen[bytes]", lease: Lease, grace: float, output: BinaryIO | None
    ) -> None:
        super().__init__(output)
        self.guard, self.lease, self.code, self._grace = guard, lease, 0, grace

    @property
    def where(self) -> str:
        """The devices: ``cuda:0, cuda:1``."""
        return ", ".join(self.lease.devices)

    def ended_within(self) -> bool:
        """Wait for a moment, and copy what was printed; whether it has ended."""
        ended = ends_within(self.guard, _POLL)
        self.copy_output()
        return ended

    def stop(self) -> None:
        """Ask it to end, and wait for that as long as the guard lets it."""
        if self.guard.poll() is None:
            self.guard.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.guard.wait(self._grace + _AFTER_GRACE)


@contextmanager
def launched(
    command: Sequence[str], lease: Lease, log: Path | None = None, *, grace: float | None = None
) -> Iterator[LaunchedProcess]:
    """Start a command on leased devices; what is left of it ends with the block.

    Where the block ends with an exception the command is asked to stop first.

    Args:
        lease: Slots that are held for the block, or ``cpu_lease``.
        log: File that its output is appended to, copied from there to standard output; the
            terminal alone where left out.
        grace: Seconds that it has to stop in; ``GR00T_ASSETS_STOP_GRACE`` where left out.
    """
    seconds = stop_grace() if grace is None else grace
    with ExitStack() as files:
        written = None if log is None else files.enter_context(log.open("ab"))
        output = None if log is None else files.enter_context(log.open("rb"))
        if output is not None:
            output.seek(0, os.SEEK_END)
        guard = subprocess.Popen(
            guarded(command, seconds, lease.process_tag),
            stdout=written,
            stderr=None if written is None else subprocess.STDOUT,
            env={**os.environ, **lease.environment(), "PYTHONUNBUFFERED": "1"},
            pass_fds=lease.descriptors,
            start_new_session=True,
        )
        process = LaunchedProcess(guard, lease, seconds, output)
        try:
            lease.record(guard.pid)
            yield process
        except BaseException:
            process.stop()
            raise
        finally:
            process.code = end_guarded(guard, lease.process_tag)
            process.copy_output()


def cpu_lease() -> Lease:
    """The lease of a process that needs no slot and sees no GPU."""
    return Lease(devices=(CPU,), descriptors=(), holders=(), process_tag=new_process_tag())


def run_on_terminal(command: Sequence[str], lease: Lease, stopping: str) -> int:
    """Run a command for a person at a terminal; its exit code, 128 + n for signal n.

    Ctrl-C asks it to end, prints ``stopping`` and waits for that; once more, and it ends at once.
    """
    with launched(command, lease) as process:
        while True:
            try:
                process.guard.wait()
                break
            except KeyboardInterrupt:
                process.guard.send_signal(signal.SIGINT)
                sys.stderr.write(stopping + "\n")
    return process.code


def train_by_hand(spec: TrainingSpec) -> int:
    """Train a spec in slots of this machine, with the output on the terminal.

    Ctrl-C asks the trainer for a checkpoint and waits for it; once more, and it ends without. The
    exit code is the trainer's: 0 finished, 1 failed, 130 stopped on request.

    Raises:
        CheckpointError: Its run directory is another run's.
        TrainingError: Its trainer cannot be started, or the machine lacks the GPUs.
    """
    place_spec(spec)
    experiment = spec.experiment
    command = trainer_named(experiment.trainer).command(spec)
    with acquire(
        experiment.hyperparameters.num_gpus,
        Store(Path(spec.store)),
        experiment.name,
        lambda line: sys.stderr.write(printable(line) + "\n"),
        vram_bytes=experiment.vram_bytes,
        priority=experiment.priority,
    ) as lease:
        return run_on_terminal(command, lease, "stopping: waiting for a checkpoint")
