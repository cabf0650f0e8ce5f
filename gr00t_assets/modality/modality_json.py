"""``meta/modality.json``: how a dataset names parts of its columns, in Isaac-GR00T's layout.

The fields and their defaults are those of ``gr00t/data/schema.py`` at a86e915. A field that NVIDIA
does not read is kept and listed, since it is more often a misspelling than an extension.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.text import nearest
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.modality.rotations import ROTATION_DIMS, RotationName

MODALITY = "meta/modality.json"

_PRESETS = Path(__file__).parent / "modality_files"

Modality = Literal["state", "action"]

DEFAULT_COLUMNS: dict[Modality, str] = {"state": "observation.state", "action": "action"}


class _OpenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    def unknown_fields(self, prefix: str = "") -> Iterator[str]:
        """Fields that nothing reads, each with the known one that is close to it."""
        fields = type(self).model_fields
        for name in self.model_extra or {}:
            close = nearest(name, fields)
            hint = f"; did you mean '{close}'?" if close else ""
            yield f"{MODALITY}: {prefix}{name} is not read{hint}"
        for section in fields:
            entries = getattr(self, section)
            for key, entry in entries.items() if isinstance(entries, dict) else ():
                yield from entry.unknown_fields(f"{prefix}{section}.{key}.")


class VectorSlice(_OpenModel):
    """A named slice of a state or action column."""

    start: int = Field(ge=0, description="First number of the slice")
    end: int = Field(description="One past the last number of the slice")
    original_key: str | None = Field(default=None, description="Column, where not the default")
    rotation_type: RotationName = None
    absolute: bool = Field(default=True, description="Past an episode's end the last row is kept")
    dtype: str = Field(default="float64", description="NumPy's name of the type")
    range: tuple[float, float] | None = None

    @property
    def continuous(self) -> bool:
        """Whether the numbers are of a floating type."""
        return np.issubdtype(np.dtype(self.dtype), np.floating)

    @field_validator("dtype")
    @classmethod
    def _known_dtype(cls, value: str) -> str:
        try:
            np.dtype(value)
        except (TypeError, SyntaxError):  # The latter of a list of types that is not closed.
            raise ValueError(f"'{value}' is no NumPy type") from None
        return value

    @model_validator(mode="after")
    def _slice_fits_its_rotation(self) -> "VectorSlice":
        size, rotation = self.end - self.start, self.rotation_type
        if size <= 0:
            raise ValueError(f"the slice {self.start}:{self.end} is empty")
        if rotation is not None and size != ROTATION_DIMS[rotation]:
            found = f"the slice {self.start}:{self.end} has {size} numbers"
            raise ValueError(f"{found}; {rotation} takes {ROTATION_DIMS[rotation]}")
        return self


class KeyName(_OpenModel):
    """A camera or an annotation under another name than its column's."""

    original_key: str | None = None


class ModalityFile(_OpenModel):
    """The whole of ``meta/modality.json``."""

    state: dict[str, VectorSlice]
    action: dict[str, VectorSlice]
    video: dict[str, KeyName]
    annotation: dict[str, KeyName] | None = None

    def slices(self, modality: Modality) -> dict[str, VectorSlice]:
        """The keys of state or of action."""
        return self.state if modality == "state" else self.action

    def vector_column(self, modality: Modality, key: str) -> str:
        """The column that a state or action key is a slice of.

        ``observation.state`` or ``action`` where the file names none; the key itself where it
        says ``null``.
        """
        entry = self.slices(modality)[key]
        if "original_key" in entry.model_fields_set:
            return entry.original_key or key
        return DEFAULT_COLUMNS[modality]

    def video_feature(self, key: str) -> str:
        """The feature of a camera: its ``original_key``, or the key itself."""
        return self.video[key].original_key or key

    def annotation_column(self, key: str) -> str | None:
        """The column of task indices of ``annotation.human.validity``; None where there is none."""
        entry = (self.annotation or {}).get(key.removeprefix("annotation."))
        return None if entry is None else entry.original_key or key

    def annotation_keys(self) -> tuple[str, ...]:
        """The annotations with their prefix, as data configs name them."""
        return tuple(f"annotation.{key}" for key in self.annotation or {})


def parse_modality(raw: dict[str, Any] | None, dataset: str) -> ModalityFile:
    """The content of ``meta/modality.json``; DatasetError where it is missing or not right."""
    if raw is None:
        details = [
            "GR00T needs it to know which numbers of state and action are which part",
            "write it with the sections state, action, video and annotation, as in "
            '{"state": {"single_arm": {"start": 0, "end": 5}}, ...}',
        ]
        raise DatasetError(dataset, f"{MODALITY} is missing.", details)
    try:
        return ModalityFile.model_validate(raw)
    except ValidationError as error:
        problems = validation_problems(error, ModalityFile)
        lines = [f"{MODALITY}: {item.subject or 'the file'}: {item.text}" for item in problems]
        problem = "one field is wrong" if len(lines) == 1 else f"{len(lines)} fields are wrong"
        raise DatasetError(dataset, f"{problem} in {MODALITY}.", lines) from error


def preset_names() -> list[str]:
    """Names of the packaged ``modality.json`` files, for datasets that were recorded without one.

    ``so100_dualcam`` has the slices and cameras of the file that Isaac-GR00T gives for the SO-100
    and SO-101 arms; ``gr1_arms`` those of its demonstration ``robot_sim.PickNPlace``.

    Examples:
        >>> preset_names()
        ['gr1_arms', 'so100_dualcam']
    """
    return sorted(path.stem for path in _PRESETS.glob("*.json"))


def preset_path(name: str) -> Path:
    """The packaged file of a name; raises KeyError where there is none."""
    if name not in preset_names():
        raise KeyError(name)
    return _PRESETS / f"{name}.json"
