"""Trainers by name: how one is started, and where it finds its spec."""

import sys
from collections.abc import Callable
from pathlib import Path

from gr00t_assets.errors import CheckpointError, TrainingError
from gr00t_assets.experiments.experiment import Trainer
from gr00t_assets.files import write_json
from gr00t_assets.training.spec import TrainingSpec, load_spec

SPEC = "spec.json"


def trainer_command(spec: TrainingSpec) -> list[str]:
    """The command line that trains a spec, which :func:`place_spec` puts where it is read.

    Raises:
        TrainingError: The experiment's trainer cannot be started from here.
    """
    return _COMMANDS[spec.experiment.trainer](spec, spec.run_directory / SPEC)


def place_spec(spec: TrainingSpec) -> Path:
    """Make sure that the run directory holds the spec of this run; the file's path.

    A spec that is there already stays as it was first asked, with the hypothesis of that time. Only
    the store's root is brought up to date, since a store can be moved.

    Raises:
        CheckpointError: The spec that is there describes another run.
        SpecError: The spec that is there cannot be read.
    """
    path = spec.run_directory / SPEC
    if not path.exists():
        write_json(path, spec.model_dump(mode="json"))
        return path
    placed = load_spec(path)
    same = (spec.experiment.name, spec.config_hash)
    if (placed.experiment.name, placed.config_hash) != same:
        raise CheckpointError(
            str(spec.run_directory),
            "this run directory belongs to another run.",
            [
                f"its {SPEC} is of {placed.experiment.name} {placed.config_hash}",
                f"expected: {spec.experiment.name} {spec.config_hash}",
                "move the folder away and materialise again",
            ],
        )
    if placed.store != spec.store:
        moved = placed.model_copy(update={"store": spec.store})
        write_json(path, moved.model_dump(mode="json"))
    return path


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
