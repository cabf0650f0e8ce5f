"""The data config of a new dataset: a built-in one that fits, one of the project's, or a draft."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import yaml

from gr00t_assets.core.errors import DataConfigError, DatasetError
from gr00t_assets.datasets.adding.modality_draft import TASK, ModalityDraft
from gr00t_assets.datasets.lerobot.dataset import MODALITY, LeRobotDataset
from gr00t_assets.modality.data_config import DataConfig, data_configs, is_built_in
from gr00t_assets.modality.vector_names import is_so_arm

_FAMILIES = {"so100": r"so-?10[01]|koch", "unitree": r"(^|[^r])g1", "fourier": r"gr1"}
"""By how the name of a built-in data config begins, the type of the robot."""

_TAGS = {"fourier": "gr1", "oxe_droid": "oxe_droid", "agibot": "agibot_genie1"}
"""By the same, the embodiment tag of weights that the base model has trained."""

_SPARED = re.compile(r"(left_|right_)?(leg|neck|waist)")  # left out by a config of the arms


@dataclass(frozen=True)
class ConfigChoice:
    """A data config, and the ``modality.json`` with keys and cameras named as it does.

    The text is that of the data config's file where it is a draft; None where it is there already.
    """

    config: DataConfig
    draft: ModalityDraft
    text: str | None = None

    @property
    def embodiment_tag(self) -> str:
        """Of its robot."""
        return self.config.embodiment_tag or _built_in_value(self.config, _TAGS) or "new_embodiment"


def choose_data_config(
    dataset: LeRobotDataset, draft: ModalityDraft, asked: str | None
) -> ConfigChoice:
    """The data config for a dataset; one that is asked for whether the dataset fits it or not.

    Where the dataset has no ``modality.json``, cameras and the language of the draft may be named
    as a data config does. The project's own of the dataset's name is taken before all others; a
    drafted one has that name.

    Raises:
        DataConfigError: There is none of the name that is asked for.
    """
    configs, name, is_drafted = data_configs(), dataset.name, dataset.modality is None
    if asked is None and name in configs and not is_built_in(name):
        asked = name
    if asked is not None:
        if problem := configs.problem(asked):
            raise DataConfigError(asked, f"{problem}.")
        config = configs[asked]
        fitting = _fitting(config, draft, renamed=True) if is_drafted else None
        return fitting or ConfigChoice(config, draft)
    candidates = [
        choice
        for config in configs.values()
        if _is_for_robot(config, dataset) and (choice := _fitting(config, draft, is_drafted))
    ]
    exact = [choice for choice in candidates if choice.draft.file.video == draft.file.video]
    built_in = [choice for choice in candidates if is_built_in(choice.config.name)]
    best = max(exact or built_in, key=lambda choice: len(choice.config.state), default=None)
    return best or _drafted(dataset, draft)


def _built_in_value(config: DataConfig, values: Mapping[str, str]) -> str | None:
    named = (value for key, value in values.items() if config.name.startswith(key))
    return next(named, None) if is_built_in(config.name) else None


def _is_for_robot(config: DataConfig, dataset: LeRobotDataset) -> bool:
    """Whether a built-in data config is of this robot; one of the project is of any."""
    pattern, robot = _built_in_value(config, _FAMILIES), dataset.robot_type.lower()
    if pattern is None or re.search(pattern, robot):
        return True
    arms = any(is_so_arm(item.names) for item in dataset.features.values() if item.names)
    return pattern == _FAMILIES["so100"] and (arms or robot == "unknown")


def _fitting(config: DataConfig, draft: ModalityDraft, renamed: bool) -> ConfigChoice | None:
    """The data config where the dataset has all that it names, perhaps ``renamed`` as it does."""
    language, file = config.language.removeprefix("annotation."), draft.file
    annotation = dict(file.annotation or {})
    names = {} if set(config.video) <= set(file.video) else None
    if renamed:
        names = _camera_names(config.video, draft.cameras)
        if language not in annotation and TASK in annotation:
            annotation = {language: annotation.pop(TASK), **annotation}
    left_out = _left_out(config, draft)
    if names is None or left_out is None or language not in annotation:
        return None
    video = {names.get(key, key): item for key, item in file.video.items()}
    if len(video) < len(file.video):  # one that is not used has the new name of another
        return None
    notes = [f"camera {old} is named {new}" for old, new in names.items() if old != new]
    if left_out:
        spared = ", ".join(dict.fromkeys(left_out))
        notes.append(f"data config {config.name} does not train on {spared}")
    file = file.model_copy(update={"video": video, "annotation": annotation})
    return ConfigChoice(config, replace(draft, file=file, notes=(*draft.notes, *notes)))


def _left_out(config: DataConfig, draft: ModalityDraft) -> list[str] | None:
    """Keys that the data config does not use; None where it needs others or leaves out an arm."""
    state, action = draft.trained["state"], draft.trained["action"]
    if not (config.state.keys() <= set(state) and config.action.keys() <= set(action)):
        return None
    left_out = [key for key in state if key not in config.state]
    left_out += [key for key in action if key not in config.action]
    return left_out if all(map(_SPARED.fullmatch, left_out)) else None


def _camera_names(needed: Sequence[str], cameras: Sequence[str]) -> dict[str, str] | None:
    """What each camera of the dataset is called in a data config; None where it cannot be told.

    Examples:
        >>> _camera_names(("front", "wrist"), ["image", "wrist_image"])
        {'image': 'front', 'wrist_image': 'wrist'}
        >>> _camera_names(("front", "wrist"), ["laptop", "phone"]) is None
        True
    """
    if set(needed) == set(cameras):
        return {key: key for key in cameras}
    ours, theirs = (sorted(keys, key=lambda key: "wrist" in key) for keys in (cameras, needed))
    wrists = [["wrist" in key for key in keys] for keys in (ours, theirs)]
    is_told = wrists == [[False, True]] * 2 or len(ours) == len(theirs) == 1
    return dict(zip(ours, theirs, strict=True)) if is_told else None


def _drafted(dataset: LeRobotDataset, draft: ModalityDraft) -> ConfigChoice:
    """A data config that trains on every key of the draft, scaled by its least and largest; what is
    on or off alone is binary.
    """
    content: dict[str, Any] = {"video": list(draft.cameras), "language": _language(draft)}
    for modality, keys in draft.trained.items():
        content[modality] = {}
        for key in keys:
            feature = dataset.features.get(draft.file.vector_column(modality, key))
            is_binary = feature is not None and feature.dtype == "bool"
            is_binary |= not draft.file.slices(modality)[key].continuous
            content[modality][key] = {"normalization": "binary" if is_binary else "min_max"}
    if empty := [f"{MODALITY} has no key of {part}" for part, keys in content.items() if not keys]:
        raise DatasetError(dataset.name, "no data config can be drafted.", empty)
    text = f"# Drafted for {dataset.name}; yours to edit. docs/files.md has every key.\n"
    text += yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=96)
    configs = data_configs()
    names = chain([dataset.name], (f"{dataset.name}-{number}" for number in count(2)))
    name = next(name for name in names if name not in configs)
    return ConfigChoice(DataConfig.model_validate(content, context=name), draft, text)


def _language(draft: ModalityDraft) -> str:
    """The annotation with the instructions: of the dataset's own columns, else of task_index."""
    names = draft.file.annotation_keys()
    own = [name for name in names if draft.file.annotation_column(name) == name]
    words = ("task_description", "instruction", "action")
    named = [name for word in words for name in own if word in name]
    return next(iter([*named, *names]), f"annotation.{TASK}")
