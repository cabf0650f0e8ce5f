"""Trainers by name: how one is started."""

import sys
from collections.abc import Callable
from pathlib import Path

from gr00t_assets.errors import TrainingError
from gr00t_assets.experiments.experiment import Trainer
from gr00t_assets.training.run_directory import SPEC
from gr00t_assets.training.spec import TrainingSpec


def trainer_command(spec: TrainingSpec) -> list[str]:
    """The command line that trains a spec, which :func:`place_spec` puts where it is read.

    Raises:
        TrainingError: The experiment's trainer cannot be started from here.
    """
    return _COMMANDS[spec.experiment.trainer](spec, spec.run_directory / SPEC)


def _native(spec: TrainingSpec, spec_file: Path) -> list[str]:
    return [sys.executable, "-m", "gr00t_assets.training.native", str(spec_file)]


def _isaac_gr00t(spec: TrainingSpec, spec_file: Path) -> list[str]:
    raise TrainingError(
        spec.experiment.name,
        "the trainer isaac-gr00t cannot be started from Dagster yet.",
        ["set trainer: native in the sweep file"],
    )


_COMMANDS: dict[Trainer, Callable[[TrainingSpec, Path], list[str]]] = {
    "native": _native,
    "isaac-gr00t": _isaac_gr00t,
}
