"""The record of a checkpoint, and whether its files are as it says."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gr00t_assets.core.checksums import crc32, read_sealed
from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.runs.checkpoint_layout import COMPLETE, WEIGHTS_ONLY, is_training_file


class FileRecord(FrozenModel):
    """A file of a checkpoint as it was written."""

    bytes: int
    crc32: int | None = Field(default=None, description="None where only the size is known")


class CheckpointRecord(BaseModel):
    """``complete.json`` of a checkpoint; a trainer may put more into it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    step: int
    config_hash: str
    samples_seen: int = 0
    wall_seconds: float = Field(
        default=0.0, description="Training time up to this step, over every attempt"
    )
    scheduler: dict[str, Any] = Field(
        default_factory=dict, description="State of the learning rate's schedule"
    )
    files: dict[str, FileRecord] = Field(min_length=1, description="By name in the folder")

    @field_validator("files", mode="before")
    @classmethod
    def _sizes(cls, files: Any) -> Any:
        """The launcher of Isaac-GR00T writes the bytes of each file alone."""
        if not isinstance(files, dict):
            return files
        return {k: {"bytes": v} if isinstance(v, int) else v for k, v in files.items()}


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
    return [
        f"{name}: {problem}"
        for name, expected in record.files.items()
        if not (weights_only and is_training_file(Path(name).name))
        and (problem := _damage(folder / name, expected)) is not None
    ]


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


def _damage(path: Path, expected: FileRecord) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != expected.bytes:
        return f"has {size} bytes, {expected.bytes} were written"
    unchanged = expected.crc32 is None or crc32(path) == expected.crc32
    return None if unchanged else "its content has changed"
