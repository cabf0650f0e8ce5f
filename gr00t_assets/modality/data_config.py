"""Data configs: the named choice of camera, state, action and language keys, read from YAML.

The built-in ones are the twelve of GR00T N1.5, in ``data_configs/`` beside this module; a project
has its own in ``data/data_configs/``. A file's name without ``.yaml`` is the data config's name.
The facts are those of ``gr00t/experiment/data_config.py`` and ``gr00t/data/embodiment_tags.py`` in
NVIDIA/Isaac-GR00T at a86e915, where each config is a class.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from gr00t_assets.core.errors import DataConfigError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.names import did_you_mean, name_problem
from gr00t_assets.core.project import project_root
from gr00t_assets.core.yaml_files import (
    load_yaml,
    raise_problems,
    shown_path,
    validation_problems,
    yaml_problem,
)
from gr00t_assets.modality.rotations import ROTATION_DIMS

BUILT_IN = Path(__file__).parent / "data_configs"

Normalization = Literal["min_max", "q99", "mean_std", "binary"]

EMBODIMENT_IDS: Mapping[str, int] = {
    "gr1": 24,
    "oxe_droid": 17,
    "agibot_genie1": 26,
    "new_embodiment": 31,
}
"""Embodiment tag to the row of the action head's per-embodiment weights."""


class KeyTransforms(FrozenModel):
    """What a data config does to one state or action key; nothing by default."""

    target_rotation: str | None = Field(default=None, description="Representation for the model")
    normalization: Normalization | None = None
    sin_cos: bool = Field(default=False, description="Replaced by its sines and cosines")

    @field_validator("target_rotation")
    @classmethod
    def _known_rotation(cls, value: str | None) -> str | None:
        if value is not None and value not in ROTATION_DIMS:
            hint = did_you_mean(value, ROTATION_DIMS)
            raise ValueError(f"there is no representation '{value}'; {hint}")
        return value

    @model_validator(mode="after")
    def _one_kind_of_transform(self) -> "KeyTransforms":
        if self.sin_cos and (self.normalization or self.target_rotation):
            raise ValueError("sin_cos stands alone, without normalization and target_rotation")
        return self


class VectorKeyConfig(KeyTransforms):
    """A state or action key of a data config with its transforms."""

    key: str = Field(description="Name in modality.json, without its modality: left_arm")


class ColorJitter(FrozenModel):
    """Half-widths of the random colour factors in training, in torchvision's meaning."""

    brightness: float = Field(default=0.3, ge=0)
    contrast: float = Field(default=0.4, ge=0)
    saturation: float = Field(default=0.5, ge=0)
    hue: float = Field(default=0.08, ge=0, le=0.5, description="Share of the whole colour circle")


class _Choices(FrozenModel):
    """What a data config and its file have in common."""

    video: tuple[str, ...] = Field(
        min_length=1, description="Camera keys, in the order that the model sees"
    )
    language: str = Field(
        pattern=r"^annotation\..+", description="Key with its prefix: annotation.human.validity"
    )
    observation_indices: tuple[int, ...] = (0,)
    action_indices: tuple[int, ...] = Field(
        default=tuple(range(16)), min_length=1, description="Rows that the model predicts at once"
    )
    max_state_dim: int = Field(default=64, ge=1)
    max_action_dim: int = Field(default=32, ge=1)
    image_size: int = Field(
        default=224, ge=1, description="Pixels of the square that the model sees"
    )
    crop_scale: float = Field(
        default=0.95, gt=0, le=1, description="Share of height and width that is kept"
    )
    color_jitter: ColorJitter = ColorJitter()


class DataConfig(_Choices):
    """GR00T's named choice of camera, state, action and language keys and their transforms."""

    name: str
    state: tuple[VectorKeyConfig, ...] = Field(description="In the order of concatenation")
    action: tuple[VectorKeyConfig, ...] = Field(description="In the order of concatenation")

    def vector_keys(self, modality: Literal["state", "action"]) -> tuple[VectorKeyConfig, ...]:
        """The keys of state or of action."""
        return self.state if modality == "state" else self.action


class DataConfigFile(_Choices):
    """The content of a data config's YAML file."""

    state: dict[str, KeyTransforms] = Field(min_length=1, description="By key, in order")
    action: dict[str, KeyTransforms] = Field(min_length=1, description="By key, in order")


class DataConfigs(dict[str, DataConfig]):
    """Data configs by name: a project's own and the built-in ones, each in alphabetical order.

    Attributes:
        errors: Why an own file cannot be used, by the name that it would have.
    """

    def __init__(
        self, configs: Mapping[str, DataConfig], errors: Mapping[str, DataConfigError]
    ) -> None:
        super().__init__(configs)
        self.errors = errors

    def problem(self, name: str) -> str | None:
        """Why there is no data config of a name, with the closest one; None where there is one."""
        if name in self.errors:
            return f"data config '{name}' cannot be used: {self.errors[name]}"
        if name in self:
            return None
        return f"there is no data config '{name}'; {did_you_mean(name, self)}"


def data_configs() -> DataConfigs:
    """The built-in data configs and those of the project's ``data/data_configs``.

    Examples:
        >>> data_configs()["so100_dualcam"].video
        ('front', 'wrist')
    """
    built_in = _read(_files(BUILT_IN))
    folder = project_root() / "data" / "data_configs"
    own = _read(_files(folder))
    errors = dict(own.errors)
    for name in built_in:
        if name in own or name in errors:
            problem = "a built-in data config has this name; give the file another."
            errors[name] = DataConfigError(shown_path(folder / f"{name}.yaml"), problem)
    return DataConfigs({**own, **built_in}, errors)


def load_data_config(file: Path) -> DataConfig:
    """Read a data config.

    Raises:
        DataConfigError: Every problem of the file with its line and field, and the nearest valid
            name.
    """
    located = load_yaml(file, DataConfigError)
    name = file.stem
    problems = [yaml_problem((), problem)] if (problem := name_problem(name)) else []
    try:
        content = DataConfigFile.model_validate(located.data)
    except ValidationError as failure:
        problems += validation_problems(failure, DataConfigFile)
        raise_problems(located, problems, DataConfigError)
        raise
    raise_problems(located, problems, DataConfigError)
    fields: dict[str, Any] = dict(content)
    for part in ("state", "action"):
        fields[part] = tuple(
            VectorKeyConfig(key=key, **dict(transforms)) for key, transforms in fields[part].items()
        )
    return DataConfig(name=name, **fields)


def _files(folder: Path) -> tuple[tuple[Path, int, int], ...]:
    """The YAML files of a folder, each with the time of its last change and its size."""
    stats = ((path, path.stat()) for path in sorted(folder.glob("*.yaml")))
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats)


@lru_cache(maxsize=8)
def _read(files: tuple[tuple[Path, int, int], ...]) -> DataConfigs:
    """The data configs of some files, which are read again when one of them has changed."""
    configs: dict[str, DataConfig] = {}
    errors: dict[str, DataConfigError] = {}
    for file, _, _ in files:
        try:
            configs[file.stem] = load_data_config(file)
        except DataConfigError as error:
            errors[file.stem] = error
    return DataConfigs(configs, errors)
