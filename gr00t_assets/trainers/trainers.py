"""Trainers by name: how one is started."""

import sys
from collections.abc import Callable
from pathlib import Path

from gr00t_assets.experiments.experiment import Trainer
from gr00t_assets.runs.run_directory import SPEC
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment
from gr00t_assets.trainers.isaac_gr00t.fitness import refuse_unfit
from gr00t_assets.trainers.isaac_gr00t.frames import refuse_wrong_frames


def trainer_command(spec: TrainingSpec) -> list[str]:
    """The command line that trains a spec, which :func:`place_spec` puts where it is read.

    Raises:
        TrainingError: The experiment's trainer is not set up, or would see wrong frames.
    """
    return _COMMANDS[spec.experiment.trainer](spec, spec.run_directory / SPEC)


def _native(spec: TrainingSpec, spec_file: Path) -> list[str]:
    return [sys.executable, "-m", "gr00t_assets.trainers.native", str(spec_file)]


def _isaac_gr00t(spec: TrainingSpec, spec_file: Path) -> list[str]:
    environment = IsaacEnvironment.from_environment()
    environment.require(spec.experiment.name)
    refuse_unfit(environment, spec)
    refuse_wrong_frames(spec, environment)
    return [sys.executable, "-m", "gr00t_assets.trainers.isaac_gr00t", str(spec_file)]


_COMMANDS: dict[Trainer, Callable[[TrainingSpec, Path], list[str]]] = {
    "native": _native,
    "isaac-gr00t": _isaac_gr00t,
}
