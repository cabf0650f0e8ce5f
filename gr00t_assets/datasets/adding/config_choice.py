"""The data config of a new dataset: a built-in one that fits, one of the project's, or a draft."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from gr00t_assets.core.errors import DataConfigError
from gr00t_assets.core.project import project_root
from gr00t_assets.datasets.adding.draft_keys import DraftKey
from gr00t_assets.datasets.adding.modality_draft import TASK, ModalityDraft
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.data_config import (
    BUILT_IN,
    DataConfig,
    DataConfigFile,
    data_configs,
    load_data_config,
)
from gr00t_assets.modality.key_config import ActionTransforms, KeyTransforms, Normalization
from gr00t_assets.modality.vector_names import is_so_arm

_FAMILIES = {"so100": r"so-?10[01]|koch", "unitree": r"(^|[^r])g1", "fourier": r"gr1"}
"""By how the name of a built-in data config begins, the type of the robot."""

_TAGS = {"fourier": "gr1", "oxe_droid": "oxe_droid", "agibot": "agibot_genie1"}
"""By the same, the embodiment tag of weights that the base model has trained."""

_SPARED = re.compile(r"(left_|right_)?(leg|neck|waist)")
"""Parts of a humanoid that a data config of its arms may leave out."""


@dataclass(frozen=True)
class ConfigChoice:
    """A data config and the keys of ``modality.json`` that go with it.

    Attributes:
        config: The data config.
        draft: The modality draft, keys and cameras named as the data config does.
        text: Content of its file where it is a draft; None where it is there already.
        embodiment_tag: Of its robot.
        notes: How cameras were named, and what is not trained on.
    """

    config: DataConfig
    draft: ModalityDraft
    text: str | None = None
    embodiment_tag: str = "new_embodiment"
    notes: tuple[str, ...] = ()


def choose_data_config(
    dataset: LeRobotDataset, draft: ModalityDraft, name: str, asked: str | None, renamed: bool
) -> ConfigChoice:
    """The data config for a dataset.

    Args:
        name: Of the dataset; a drafted data config has it too.
        asked: Name of a data config that it is to be, whether the dataset fits it or not.
        renamed: Whether cameras and the language may be named as a built-in data config does.

    Raises:
        DataConfigError: There is none of the name that is asked for.
    """
    configs = data_configs()
    asked = asked or (name if name in configs and name in _own_names() else None)
    if asked is not None:
        if problem := configs.problem(asked):
            raise DataConfigError(asked, f"{problem}.")
        config = configs[asked]
        named = _named_as(config, draft) if renamed else None
        return named or ConfigChoice(config, draft, embodiment_tag=_tag(config))
    candidates = [
        choice
        for config in configs.values()
        for choice in [_named_as(config, draft) if renamed else _exact(config, draft)]
        if choice is not None and _is_for_robot(config, dataset)
    ]
    exact = [choice for choice in candidates if choice.draft.video == draft.video]
    built_in = [choice for choice in candidates if _is_built_in(choice.config)]
    best = max(exact or built_in, key=lambda choice: len(choice.config.state), default=None)
    return _drafted(draft, name) if best is None else best


def config_path(name: str) -> Path:
    """Where the project has a data config of its own."""
    return project_root() / "data" / "data_configs" / f"{name}.yaml"


def _own_names() -> set[str]:
    return {file.stem for file in config_path("x").parent.glob("*.yaml")}


def _is_for_robot(config: DataConfig, dataset: LeRobotDataset) -> bool:
    """Whether a built-in data config is of this robot; one of the project is of any."""
    pattern = _by_name(config, _FAMILIES)
    if pattern is None or not _is_built_in(config):
        return True
    if config.name.startswith("so100") and dataset.robot_type == "unknown":
        return True
    arms = any(is_so_arm(item.names) for item in dataset.features.values() if item.names)
    is_so = config.name.startswith("so100") and arms
    return is_so or re.search(pattern, dataset.robot_type.lower()) is not None


def _is_built_in(config: DataConfig) -> bool:
    return (BUILT_IN / f"{config.name}.yaml").is_file()


def _by_name(config: DataConfig, values: dict[str, str]) -> str | None:
    return next((value for key, value in values.items() if config.name.startswith(key)), None)


def _tag(config: DataConfig) -> str:
    built_in = _by_name(config, _TAGS) if _is_built_in(config) else None
    return config.embodiment_tag or built_in or "new_embodiment"


def _exact(config: DataConfig, draft: ModalityDraft) -> ConfigChoice | None:
    """The data config where the dataset has all that it names."""
    language = config.language.removeprefix("annotation.")
    if not set(config.video) <= set(draft.video) or language not in draft.annotation:
        return None
    left_out = _left_out(config, draft)
    return None if left_out is None else _chosen(config, draft, left_out)


def _named_as(config: DataConfig, draft: ModalityDraft) -> ConfigChoice | None:
    """The data config where the draft's cameras and language can be named as it names them."""
    left_out, language = _left_out(config, draft), config.language.removeprefix("annotation.")
    cameras = _camera_names(config.video, draft.cameras)
    column = draft.annotation.get(language, draft.annotation.get(TASK))
    if left_out is None or cameras is None or column is None:
        return None
    video = {cameras.get(key, key): name for key, name in draft.video.items()}
    annotation = dict(draft.annotation)
    if language not in annotation:
        annotation = {language: column} | {k: v for k, v in annotation.items() if k != TASK}
    notes = [f"camera {old} is named {new}" for old, new in cameras.items() if old != new]
    return _chosen(
        config, replace(draft, video=video, annotation=annotation), left_out, tuple(notes)
    )


def _chosen(
    config: DataConfig, draft: ModalityDraft, left_out: list[DraftKey], notes: tuple[str, ...] = ()
) -> ConfigChoice:
    names = ", ".join(dict.fromkeys(key.key for key in left_out))
    spared = (f"data config {config.name} does not train on {names}",) if names else ()
    return ConfigChoice(config, draft, None, _tag(config), (*notes, *spared))


def _left_out(config: DataConfig, draft: ModalityDraft) -> list[DraftKey] | None:
    """Keys that the data config does not use; None where it needs others or leaves out an arm."""
    left_out = []
    for kind, keys in (("state", config.state), ("action", config.action)):
        needed = {key.key for key in keys}
        trained = draft.trained(kind)  # pyright: ignore[reportArgumentType]
        if not needed <= {key.key for key in trained}:
            return None
        left_out += [key for key in trained if key.key not in needed]
    return left_out if all(_SPARED.fullmatch(key.key) for key in left_out) else None


def _camera_names(needed: tuple[str, ...], cameras: list[str]) -> dict[str, str] | None:
    """What each camera of the dataset is called in a data config; None where it cannot be told.

    Examples:
        >>> _camera_names(("front", "wrist"), ["image", "wrist_image"])
        {'image': 'front', 'wrist_image': 'wrist'}
        >>> _camera_names(("front", "wrist"), ["laptop", "phone"]) is None
        True
    """
    if set(needed) == set(cameras):
        return {key: key for key in cameras}
    if len(needed) == len(cameras) == 1:
        return {cameras[0]: needed[0]}
    wrists = [[key for key in keys if "wrist" in key] for keys in (needed, cameras)]
    if len(needed) == len(cameras) == 2 and [len(keys) for keys in wrists] == [1, 1]:
        ((own,), (other,)) = wrists[::-1]
        return {key: other if key == own else needed[other == needed[0]] for key in cameras}
    return None


def _drafted(draft: ModalityDraft, name: str) -> ConfigChoice:
    """A data config that trains on every key of the draft, scaled by its least and largest."""
    free = next(item for item in _free_names(name) if item not in data_configs())
    content = DataConfigFile(
        video=tuple(draft.cameras),
        state={
            key.key: KeyTransforms(normalization=_normalization(key))
            for key in draft.trained("state")
        },
        action={
            key.key: ActionTransforms(normalization=_normalization(key))
            for key in draft.trained("action")
        },
        language=f"annotation.{_language(draft)}",
    )
    text = f"# Drafted for {name}; yours to edit. docs/files.md has every key.\n" + _yaml(
        content.model_dump(mode="json", exclude_unset=True)
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"{free}.yaml")
        file.write_text(text, encoding="utf-8")
        return ConfigChoice(load_data_config(file), draft, text)


def _normalization(key: DraftKey) -> Normalization:
    return "min_max" if key.is_continuous else "binary"


def _language(draft: ModalityDraft) -> str:
    """The annotation with the instructions: of the dataset's own columns, else of task_index."""
    own = [key for key, column in draft.annotation.items() if column == f"annotation.{key}"]
    words = ("task_description", "instruction", "action")
    named = [key for word in words for key in own if word in key]
    return next(iter([*named, *draft.annotation]), TASK)


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=96)


def _free_names(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in range(2, 100))
