"""The run directory: whose it is, and that it holds nobody else's files."""

from pathlib import Path

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import write_json
from gr00t_assets.runs.manifest import MANIFEST
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.spec import TrainingSpec, load_spec

SPEC = "spec.json"
CHECKPOINTS = "checkpoints"
MODEL = "model"
MODALITY_CONFIG = "modality_config.json"
"""In ``model/``: what a policy has to know of the data."""

LOG = "log.txt"


def place_spec(spec: TrainingSpec) -> Path:
    """Make sure that the run directory holds the spec of this run; the file's path.

    A spec that is there already stays as it was first asked, with the hypothesis of that time. Two
    things are brought up to date: the store's root, since a store can be moved, and whether a
    hopeless run is given up, which is not of the run's configuration.

    Raises:
        CheckpointError: The spec that is there describes another run, or there is none and yet
            the directory holds a run's files.
        SpecError: The spec that is there cannot be read.
    """
    path = spec.run_directory / SPEC
    if not path.exists():
        _refuse_strangers(spec.run_directory)
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
    experiment = placed.experiment.model_copy(update={"pruning": spec.experiment.pruning})
    current = placed.model_copy(update={"store": spec.store, "experiment": experiment})
    if current != placed:
        write_json(path, current.model_dump(mode="json"))
    return path


def _refuse_strangers(run_directory: Path) -> None:
    """Refuse a directory that holds a run's files and does not say whose."""
    files = (MANIFEST, METRICS, CHECKPOINTS, MODEL)
    strangers = [name for name in files if (run_directory / name).exists()]
    if strangers:
        raise CheckpointError(
            str(run_directory),
            f"this run directory has no {SPEC} but holds a run's files.",
            [f"found: {', '.join(strangers)}", "move the folder away and materialise again"],
        )
