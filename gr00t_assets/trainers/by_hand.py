"""Training without Dagster: the same process, in the same slot, under the same guard."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.gpu.guard import end_guarded, guarded
from gr00t_assets.gpu.slots import acquire, needed_memory
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import load_spec
from gr00t_assets.trainers.trainers import trainer_command


def train_by_hand(spec_file: Path) -> int:
    """Train a spec in a slot of this machine, with the output on the terminal.

    Ctrl-C asks the trainer for a checkpoint and waits for it; once more, and it ends without.

    Returns:
        The trainer's exit code: 0 finished, 1 failed, 130 stopped on request.

    Raises:
        SpecError: The file is not a spec.
        TrainingError: Its trainer cannot be started, or the machine lacks the GPUs.
    """
    spec = load_spec(spec_file)
    place_spec(spec)
    command = trainer_command(spec)
    gpus, name = spec.experiment.hyperparameters.num_gpus, spec.experiment.name
    memory = needed_memory(spec.experiment)
    with acquire(gpus, Store(Path(spec.store)), name, _say, vram_bytes=memory) as lease:
        guard = subprocess.Popen(
            guarded(command, mark=lease.mark),
            env={**os.environ, **lease.environment()},
            pass_fds=lease.descriptors,
            start_new_session=True,
        )
        try:
            lease.record(guard.pid)
            return _wait(guard)
        finally:
            end_guarded(guard, lease.mark)


def _wait(guard: "subprocess.Popen[bytes]") -> int:
    """The guard's exit code, 128 + n for signal n; Ctrl-C is passed on to it."""
    while True:
        try:
            code = guard.wait()
            return code if code >= 0 else 128 - code
        except KeyboardInterrupt:
            guard.send_signal(signal.SIGINT)
            _say("stopping: waiting for a checkpoint")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
