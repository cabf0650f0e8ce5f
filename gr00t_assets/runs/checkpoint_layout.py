"""Checkpoints and models of a run: folder names, markers, records, and files as they were written.

The manifest has the SHA-256 of the metrics and of the model's files, compared when they are used;
that of an older version has none, and its files are taken as they are.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gr00t_assets.core.checksums import changed_files, crc32, file_hashes, load_sealed, read_sealed
from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import LARGEST_LIST, FrozenModel, folders
from gr00t_assets.experiments.registry import loadable_trainers
from gr00t_assets.runs.manifest import MANIFEST, Manifest, load_manifest
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.run_directory import CHECKPOINTS, MODEL

COMPLETE = "complete.json"
"""In a checkpoint that training can go on from; written last, with ``step`` and ``config_hash``."""

WEIGHTS_ONLY = "weights.json"
"""What ``COMPLETE`` is called once the optimizer state is dropped; its content stays."""

PROMOTION = "promotion.json"
"""Record of a promoted model, beside its weights."""


@dataclass(frozen=True)
class CheckpointLayout:
    """Names of a trainer's checkpoint folders and of the files in them.

    A checkpoint is complete where ``COMPLETE`` is in it, and its weights alone are whole where
    ``WEIGHTS_ONLY`` is. One that has neither was cut short.

    Attributes:
        prefix: In front of the step in a folder's name: ``step`` of ``step-000200``.
        digits: Digits of the step at least, filled with zeros.
        training_files: Regular expression for names of files that only training needs: optimizer
            moments, the learning rate's schedule, states of the random generators.

    Examples:
        >>> layout = CheckpointLayout()
        >>> layout.folder_name(200), layout.step_of("step-000200"), layout.step_of("other")
        ('step-000200', 200, None)
        >>> [layout.is_training_file(name) for name in ("optimizer.safetensors", "model.pt")]
        [True, False]
    """

    prefix: str = "step"
    digits: int = 6
    training_files: str = r"optimizer\.(?:safetensors|pt|bin)|rng\.safetensors"

    def folder_name(self, step: int) -> str:
        """Name of the folder of a step's checkpoint."""
        return f"{self.prefix}-{step:0{self.digits}d}"

    def folder(self, run_directory: Path, step: int) -> Path:
        """Folder of a step's checkpoint."""
        return run_directory / CHECKPOINTS / self.folder_name(step)

    def step_of(self, folder_name: str) -> int | None:
        """Optimizer steps of the checkpoint of this folder name; ``None`` where it is none."""
        matched = re.fullmatch(rf"{re.escape(self.prefix)}-(\d+)", folder_name)
        return int(matched[1]) if matched else None

    def is_training_file(self, name: str) -> bool:
        """Whether a checkpoint's file of this name is needed by training alone."""
        return re.fullmatch(self.training_files, name) is not None


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint: ``complete`` where training can go on from it, ``whole`` where its weights are.

    ``training_files`` are names of its files that only training needs.
    """

    path: Path
    step: int
    complete: bool
    whole: bool
    training_files: tuple[str, ...]


def stored_checkpoints(run_directory: Path) -> list[StoredCheckpoint]:
    """Checkpoints of a run in order of their steps, of whatever trainer, partial ones included."""
    checkpoints = []
    for path in folders(run_directory / CHECKPOINTS):
        for layout in _installed_layouts():
            if (step := layout.step_of(path.name)) is not None:
                names = sorted(entry.name for entry in path.iterdir())
                complete = COMPLETE in names
                whole = complete or WEIGHTS_ONLY in names
                files = tuple(filter(layout.is_training_file, names))
                checkpoints.append(StoredCheckpoint(path, step, complete, whole, files))
                break
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)


def is_training_file(name: str) -> bool:
    """Whether a file of this name in a checkpoint of whatever trainer is needed by training alone.

    Examples:
        >>> [is_training_file(name) for name in ("optimizer.pt", "model.safetensors")]
        [True, False]
    """
    return any(layout.is_training_file(name) for layout in _installed_layouts())


def _installed_layouts() -> list[CheckpointLayout]:
    layouts = [trainer.checkpoint_layout for trainer in loadable_trainers()]
    return list(dict.fromkeys([*layouts, CheckpointLayout()]))


class FileRecord(FrozenModel):
    """A file of a checkpoint as it was written; Isaac-GR00T's launcher gives its bytes alone."""

    bytes: int
    crc32: int | None = Field(default=None, description="None where only the size is known")

    @model_validator(mode="before")
    @classmethod
    def _of_size(cls, value: Any) -> Any:
        return {"bytes": value} if isinstance(value, int) else value


class CheckpointRecord(BaseModel):
    """``complete.json`` of a checkpoint; a trainer may put more into it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    config_hash: str
    samples_seen: int = 0
    wall_seconds: float = Field(default=0.0, description="Training time, over every attempt")
    scheduler: dict[str, Any] = Field(default_factory=dict, description="Of the learning rate")
    files: dict[str, FileRecord] = Field(min_length=1, description="By name in the folder")


def read_checkpoint(folder: Path) -> CheckpointRecord:
    """The record of a checkpoint, with or without its optimizer state.

    Raises:
        OSError: There is none.
        ValueError: It is no record, or not as it was written.
    """
    marker = folder / COMPLETE
    content = read_sealed(marker if marker.is_file() else folder / WEIGHTS_ONLY)
    return CheckpointRecord.model_validate(content)


def damaged_files(folder: Path, record: CheckpointRecord) -> list[str]:
    """What is wrong with the files of a checkpoint, a sentence each.

    Those that only training needs may be gone where it has no marker that it is complete.
    """
    weights_only = not (folder / COMPLETE).is_file()
    problems = []
    for name, expected in record.files.items():
        path = folder / name
        if weights_only and is_training_file(path.name):
            continue
        if not path.is_file():
            problems.append(f"{name}: is missing")
        elif (size := path.stat().st_size) != expected.bytes:
            problems.append(f"{name}: has {size} bytes, {expected.bytes} were written")
        elif expected.crc32 not in (None, crc32(path)):
            problems.append(f"{name}: its content has changed")
    return problems


def require_whole(folder: Path, remedy: str) -> CheckpointRecord:
    """The record of a complete checkpoint, once every file is as recorded.

    Raises:
        CheckpointError: The record or a file is not what was written; ``remedy`` is what to do.
    """
    try:
        record = read_checkpoint(folder)
    except (OSError, ValueError) as error:
        problem = f"{COMPLETE} is not a checkpoint's record."
        raise CheckpointError(str(folder), problem, [str(error), remedy]) from error
    if damaged := damaged_files(folder, record):
        raise CheckpointError(str(folder), "this checkpoint is corrupt.", [*damaged, remedy])
    return record


def run_hashes(run_directory: Path, model: bool) -> dict[str, str]:
    """SHA-256 of a run's metrics, and of the files of its model where it is to have one."""
    files = [run_directory / METRICS]
    if model:
        files += (run_directory / MODEL).rglob("*")
    return file_hashes(run_directory, files)


def model_hashes(manifest: Manifest) -> dict[str, str]:
    """What a manifest has recorded of the model's files, by their names in ``model/``."""
    begin = f"{MODEL}/"
    return {
        name.removeprefix(begin): value
        for name, value in manifest.files.items()
        if name.startswith(begin)
    }


def metrics_problem(manifest: Manifest, run_directory: Path) -> str | None:
    """What is wrong with the metrics of a run that is over, where its manifest can tell."""
    path = run_directory / METRICS
    if path.is_file() and path.stat().st_size > LARGEST_LIST:
        return f"{METRICS}: is too large"
    recorded = {METRICS: manifest.files[METRICS]} if METRICS in manifest.files else {}
    return next(iter(changed_files(run_directory, recorded)), None)


class PromotedModel(BaseModel):
    """``promotion.json`` of a promoted model, as far as opening it needs."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    experiment: str
    trainer: str
    step: int | None = Field(default=None, description="Of a checkpoint; None for final weights")
    weights: dict[str, str] = Field(description="SHA-256 by name")
    files: dict[str, str] = Field(default_factory=dict, description="SHA-256 of the others")


def read_promotion(folder: Path) -> PromotedModel | None:
    """The record of a promoted model; None of any other folder.

    Raises:
        CheckpointError: The record cannot be read.
        StoreError: This user may not read it.
    """
    record, problem = folder / PROMOTION, "this is not the record of a promotion."

    def refuse(why: str) -> CheckpointError:
        return CheckpointError(str(record), problem, [why, _again(folder)])

    return load_sealed(record, PromotedModel, refuse) if record.is_file() else None


def recorded_hashes(folder: Path) -> dict[str, str]:
    """What is recorded of the files of a run's or a promoted model; nothing of another folder.

    It raises as ``read_promotion`` and ``load_manifest``.
    """
    if promoted := read_promotion(folder):
        return promoted.weights | promoted.files
    folder = folder.absolute()
    if folder.name == MODEL and (folder.parent / MANIFEST).is_file():
        manifest = load_manifest(folder.parent)
        return model_hashes(manifest) if manifest else {}
    return {}


def require_unchanged(folder: Path) -> None:
    """Refuse the model of a run, or a promoted one, whose files are not as they were written.

    A folder that nothing is recorded of is taken as it is.

    Raises:
        CheckpointError: A file has changed or is missing.
    """
    if changed := changed_files(folder, recorded_hashes(folder)):
        raise CheckpointError(str(folder), "this model is damaged.", [*changed, _again(folder)])


def _again(folder: Path) -> str:
    if (folder / PROMOTION).is_file():
        return f"move {folder} away and promote again"
    return f"move {folder.parent} away and materialise again, or put the files back from a copy"
