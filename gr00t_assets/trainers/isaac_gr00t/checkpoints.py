"""Checkpoints that Isaac-GR00T's trainer left, and which of them may be gone on from.

The launcher writes ``complete.json`` into a checkpoint when every file of it is on the disk. What
has none was being written when the trainer died; Isaac-GR00T would resume from it all the same,
since it takes the folder with the highest number.
"""

import json
import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.runs.run_directory import CHECKPOINTS
from gr00t_assets.runs.spec import TrainingSpec

COMPLETE = "complete.json"
PREFIX = "checkpoint-"


class IsaacCheckpoint(BaseModel):
    """``complete.json`` of a checkpoint."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    config_hash: str
    wall_seconds: float = Field(description="Training time up to this step, over every attempt")
    samples_seen: int
    files: dict[str, int] = Field(description="Bytes of each file, by its name in the folder")


def checkpoint_folder(run_directory: Path, step: int) -> Path:
    """``checkpoints/checkpoint-200`` for step 200, where Isaac-GR00T puts it."""
    return run_directory / CHECKPOINTS / f"{PREFIX}{step}"


def latest_checkpoint(spec: TrainingSpec) -> IsaacCheckpoint | None:
    """The newest complete checkpoint; ``None`` where there is none.

    Raises:
        CheckpointError: It belongs to another run, or its files are not what was written.
        TrainingError: It is beyond the steps that are asked for.
    """
    folders = [path for path in _folders(spec.run_directory) if (path / COMPLETE).is_file()]
    if not folders:
        return None
    latest = _read(folders[-1], spec.config_hash)
    asked = spec.experiment.hyperparameters.max_steps
    if latest.step > asked:
        raise TrainingError(
            spec.experiment.name,
            f"its run directory has a checkpoint of step {latest.step}, max_steps is {asked}.",
            [f"delete {folders[-1]} to go on from the checkpoint before it"],
        )
    return latest


def remove_incomplete(run_directory: Path) -> None:
    """Remove checkpoints that a kill cut short; needs the run's lock."""
    for path in _folders(run_directory):
        if not (path / COMPLETE).is_file():
            shutil.rmtree(path)


def _folders(run_directory: Path) -> list[Path]:
    """Folders of checkpoints in order of their steps."""
    found = {
        int(number): path
        for path in (run_directory / CHECKPOINTS).glob(f"{PREFIX}*")
        if (number := path.name.removeprefix(PREFIX)).isdecimal() and path.is_dir()
    }
    return [found[step] for step in sorted(found)]


def _read(folder: Path, config_hash: str) -> IsaacCheckpoint:
    remedy = f"delete {folder} to go on from the checkpoint before it, or from the start"
    try:
        record = IsaacCheckpoint.model_validate(json.loads((folder / COMPLETE).read_text()))
    except ValueError as error:
        problem = f"{COMPLETE} is not a checkpoint's record."
        raise CheckpointError(str(folder), problem, [str(error), remedy]) from error
    if record.config_hash != config_hash or folder.name != f"{PREFIX}{record.step}":
        raise CheckpointError(
            str(folder),
            "this checkpoint belongs to another run.",
            [
                f"it is step {record.step} of config hash {record.config_hash}",
                f"expected: {config_hash}",
                remedy,
            ],
        )
    damaged = [
        f"{name}: {problem}"
        for name, size in record.files.items()
        if (problem := _damage(folder / name, size)) is not None
    ]
    if damaged:
        raise CheckpointError(str(folder), "this checkpoint is corrupt.", [*damaged, remedy])
    return record


def _damage(path: Path, expected: int) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    return None if size == expected else f"has {size} bytes, {expected} were written"
