"""Data configs: the named choice of camera, state, action and language keys, read from YAML.

The built-in ones are the twelve of GR00T N1.5, in ``data_configs/`` beside this module, as they are
classes in ``gr00t/experiment/data_config.py`` of Isaac-GR00T at a86e915; a project has its own in
``data/data_configs/``. A file's name without ``.yaml`` is the data config's name.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from gr00t_assets.core.errors import DataConfigError
from gr00t_assets.core.files import FileStamp, FrozenModel, file_stamp
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import project_root
from gr00t_assets.core.text import did_you_mean, name_problem
from gr00t_assets.core.yaml_files import (
    VISIBLE_YAML,
    load_yaml,
    raise_problems,
    shown_path,
    validation_problems,
    yaml_problem,
)
from gr00t_assets.modality.generations import EMBODIMENT_TAGS, GENERATIONS, GenerationName
from gr00t_assets.modality.key_config import ActionTransforms, CameraTransforms, KeyTransforms

BUILT_IN = Path(__file__).parent / "data_configs"


class ColorJitter(FrozenModel):
    """Half-widths of the random colour factors in training, in torchvision's meaning."""

    brightness: float = Field(default=0.3, ge=0)
    contrast: float = Field(default=0.4, ge=0)
    saturation: float = Field(default=0.5, ge=0)
    hue: float = Field(default=0.08, ge=0, le=0.5, description="Share of the whole colour circle")


class DataConfig(FrozenModel):
    """GR00T's named choice of camera, state, action and language keys and their transforms.

    Keys have the names of ``modality.json`` without their modality: ``left_arm``.
    """

    video: tuple[str, ...] = Field(
        min_length=1, description="Camera keys, in the order that the model sees"
    )
    cameras: dict[str, CameraTransforms] = Field(
        default_factory=dict, description="Of cameras that are cut or resized in their own way"
    )
    language: str = Field(
        pattern=r"^annotation\..+", description="Key with its prefix: annotation.human.validity"
    )
    generation: GenerationName = Field(
        default="n1.5", description="Of GR00T; sets the defaults of what its models take"
    )
    observation_indices: tuple[int, ...] = (0,)
    action_indices: tuple[int, ...] = Field(
        default=tuple(range(16)), min_length=1, description="Rows that the model predicts at once"
    )
    max_state_dim: int = Field(default=64, ge=1)
    max_action_dim: int = Field(default=32, ge=1)
    image_size: int = Field(
        default=224, ge=1, description="Pixels of the square, or the shorter edge, that is seen"
    )
    crop_scale: float = Field(
        default=0.95, gt=0, le=1, description="Share of height and width that is kept"
    )
    color_jitter: ColorJitter = ColorJitter()
    embodiment_tag: str | None = Field(
        default=None, description="Where the catalog names none: gr1, new_embodiment"
    )
    embodiment_id: int | None = Field(
        default=None, ge=0, le=31, description="Row of the per-embodiment weights; the tag's own"
    )

    state: dict[str, KeyTransforms] = Field(min_length=1, description="By key, in order")
    action: dict[str, ActionTransforms] = Field(min_length=1, description="By key, in order")
    _name: str = PrivateAttr(default="")

    def model_post_init(self, context: Any, /) -> None:
        """Take the name from the context, since the file does not have it."""
        self._name = context or ""

    @property
    def name(self) -> str:
        """The name of its file without ``.yaml``."""
        return self._name

    @model_validator(mode="before")
    @classmethod
    def _of_generation(cls, data: Any) -> Any:
        """Fill in what the generation has in place of N1.5's defaults."""
        name = data.get("generation") if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in GENERATIONS:
            return data
        return {**GENERATIONS[name].defaults(), **data}

    @field_validator("embodiment_tag")
    @classmethod
    def _known_tag(cls, value: str | None) -> str | None:
        if value is not None and value not in EMBODIMENT_TAGS:
            hint = did_you_mean(value, EMBODIMENT_TAGS)
            raise ValueError(f"there is no embodiment tag '{value}'; {hint}")
        return value


def is_built_in(name: str) -> bool:
    """Whether a data config is one of N1.5's."""
    return (BUILT_IN / f"{name}.yaml").is_file()


class DataConfigs(dict[str, DataConfig]):
    """Data configs by name: a project's own and the built-in ones, each in alphabetical order.

    ``errors`` say why an own file cannot be used, by the name that it would have.
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
    folder = project_root() / "data" / "data_configs"
    built_in, own = (_read(file_stamp(files.glob(VISIBLE_YAML))) for files in (BUILT_IN, folder))
    problem = "a built-in data config has this name; give the file another."
    taken = {
        name: DataConfigError(shown_path(folder / f"{name}.yaml"), problem)
        for name in built_in
        if name in own or name in own.errors
    }
    return DataConfigs({**own, **built_in}, {**own.errors, **taken})


def load_data_config(file: Path) -> DataConfig:
    """Read a data config; ``DataConfigError`` has every problem with its line and field."""
    located, config = load_yaml(file, DataConfigError), None
    problems = [yaml_problem((), problem)] if (problem := name_problem(file.stem)) else []
    problems += _mismatches(located.data)
    try:
        config = DataConfig.model_validate(located.data, context=file.stem)
    except ValidationError as failure:
        problems += validation_problems(failure, DataConfig)
    raise_problems(located, problems, DataConfigError)
    assert config is not None, "a failure has problems, which are raised"
    return config


def _mismatches(data: Any) -> list[Finding]:
    """Names in one section of a file that another one lacks; wrong sections are passed over."""
    sections, problems = data if isinstance(data, dict) else {}, []
    video, cameras, state, action = (
        sections.get(name) or {} for name in ("video", "cameras", "state", "action")
    )
    if isinstance(video, list) and isinstance(cameras, dict):
        for key in cameras:
            if key not in video:
                hint = did_you_mean(str(key), video)
                problems.append(yaml_problem(("cameras", key), "is no camera of video", hint))
    relative = {
        key: str(transforms.get("state_key") or key)
        for key, transforms in (action.items() if isinstance(action, dict) else ())
        if isinstance(transforms, dict) and str(transforms.get("rep")).lower() == "relative"
    }
    for key, state_key in relative.items() if isinstance(state, dict) else ():
        if state_key not in state:
            text = f"is relative to the state key '{state_key}', which state does not have"
            remedy = f"give it a state_key; {did_you_mean(state_key, state)}"
            problems.append(yaml_problem(("action", key), text, remedy))
    observed, predicted = (
        sections.get(name, [0]) for name in ("observation_indices", "action_indices")
    )
    are_lists = isinstance(observed, list) and isinstance(predicted, list)
    if relative and are_lists and observed[-1:] != predicted[:1]:
        text = "relative actions begin at the row of the state that they are relative to"
        remedy = f"let them begin at {observed[-1] if observed else 0}"
        problems.append(yaml_problem(("action_indices",), text, remedy))
    return problems


@lru_cache(maxsize=8)
def _read(files: FileStamp) -> DataConfigs:
    """The data configs of some files, which are read again when one of them has changed."""
    configs: dict[str, DataConfig] = {}
    errors: dict[str, DataConfigError] = {}
    for file, _, _ in files:
        try:
            configs[file.stem] = load_data_config(file)
        except DataConfigError as error:
            errors[file.stem] = error
    return DataConfigs(configs, errors)
