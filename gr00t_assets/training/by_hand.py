"""Training without Dagster: the same process, in the same slot, under the same guard."""

import os
import subprocess
import sys
from pathlib import Path

from gr00t_assets.gpu.guard import guarded
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.project import Store
from gr00t_assets.training.run_directory import place_spec
from gr00t_assets.training.spec import load_spec
from gr00t_assets.training.trainers import trainer_command


def train_by_hand(spec_file: Path) -> int:
    """Train a spec in a slot of this machine, with the output on the terminal.

    Ctrl-C asks the trainer for a checkpoint and waits for it.

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
    with acquire(gpus, Store(Path(spec.store)), name, _say) as lease:
        process = subprocess.Popen(
            guarded(command),
            env={**os.environ, **lease.environment()},
            pass_fds=lease.descriptors,
        )
        lease.record(process.pid, name)
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                _say("stopping: waiting for a checkpoint")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
