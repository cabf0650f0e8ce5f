"""A ``modality.json`` drafted from the names of a dataset's features, for a person to look at.

Every column of state and action becomes a key, or a note says why not. Some keys are not trained on
by the drafted data config: columns that say again what the main column says.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.adding.draft_keys import (
    COLUMNS,
    DraftKey,
    column_keys,
    is_bool,
    is_part,
    main_column,
    within_limit,
)
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.modality.modality_json import DEFAULT_COLUMNS, Modality, parse_modality

_NEITHER = re.compile(
    r"annotation\..+|next\..+|is_.+|index|.*(_index|timestamp|reward|done|discount|success).*"
)
_BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_CAMERA_PREFIX = re.compile(r"^observation\.(images?\.)?")
TASK = "human.task_description"


@dataclass(frozen=True)
class ModalityDraft:
    """What ``modality.json`` is to say.

    Attributes:
        state: Keys in the order of the columns.
        action: Likewise.
        video: Feature by camera key.
        unused_cameras: Keys of cameras that a drafted data config leaves out.
        annotation: Column of task indices by key.
        notes: What was guessed, and one line for each column that is left out.
    """

    state: tuple[DraftKey, ...]
    action: tuple[DraftKey, ...]
    video: Mapping[str, str]
    annotation: Mapping[str, str]
    unused_cameras: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def keys(self, modality: Modality) -> tuple[DraftKey, ...]:
        """The keys of state or of action."""
        return self.state if modality == "state" else self.action

    def trained(self, modality: Modality) -> list[DraftKey]:
        """Those that a drafted data config trains on."""
        return [key for key in self.keys(modality) if key.is_trained]

    @property
    def cameras(self) -> list[str]:
        """Camera keys that a drafted data config uses."""
        return [key for key in self.video if key not in self.unused_cameras]

    def content(self) -> dict[str, Any]:
        """The content of the file."""
        sections: dict[str, Any] = {}
        for modality, default in DEFAULT_COLUMNS.items():
            sections[modality] = {
                key.key: {"start": key.start, "end": key.end}
                | ({"original_key": key.column} if key.column != default else {})
                for key in self.keys(modality)
            }
        sections["video"] = {key: {"original_key": name} for key, name in self.video.items()}
        sections["annotation"] = {
            key: {} if column == f"annotation.{key}" else {"original_key": column}
            for key, column in self.annotation.items()
        }
        return sections


def draft_modality(dataset: LeRobotDataset) -> ModalityDraft:
    """Draft the file of a dataset from its features; its first episode is read.

    Raises:
        DatasetError: It has no numbers of state or of action, or no camera.
    """
    notes: list[str] = []
    chosen = _chosen_columns(dataset.features, notes)
    problems = [f"no column of numbers is {kind}" for kind in COLUMNS if not chosen[kind]]
    if not dataset.cameras:
        problems.append("there is no camera of colour with frames")
    if problems:
        has = ", ".join(f"{name} ({item.dtype})" for name, item in dataset.features.items())
        remedy = "name the columns observation.state and action, as LeRobot does"
        lines = [*problems, f"it has: {has}", remedy]
        raise DatasetError(dataset.name, "no modality.json can be drafted.", lines)
    keys = {kind: column_keys(dataset, kind, chosen[kind], notes) for kind in COLUMNS}
    used = {column for columns in chosen.values() for column in columns}
    annotation = _annotation(dataset.features)
    used |= {*annotation.values(), *dataset.cameras, *_BOOKKEEPING}
    notes += [
        f"{name} is left out: {_reason(feature)}"
        for name, feature in dataset.features.items()
        if name not in used
    ]
    video = _cameras(dataset.cameras)
    unused = _of_other_sizes(dataset.features, video, notes)
    return ModalityDraft(keys["state"], keys["action"], video, annotation, unused, tuple(notes))


def draft_of_file(dataset: LeRobotDataset, content: dict[str, Any]) -> ModalityDraft:
    """What a ``modality.json`` that is there already says.

    Raises:
        DatasetError: It is not valid; every wrong field is listed.
    """
    file = parse_modality(content, dataset.name)
    notes: list[str] = []
    keys: dict[Modality, tuple[DraftKey, ...]] = {}
    for kind in COLUMNS:
        listed = []
        for key, part in file.slices(kind).items():
            column = file.vector_column(kind, key)
            continuous = part.continuous and not is_bool(dataset.features.get(column))
            listed.append(DraftKey(key, column, part.start, part.end, continuous))
        keys[kind] = within_limit(kind, listed, notes)
    video = {key: file.video_feature(key) for key in file.video}
    named = (file.annotation or {}).items()
    annotation = {key: item.original_key or f"annotation.{key}" for key, item in named}
    unused = _of_other_sizes(dataset.features, video, notes)
    return ModalityDraft(keys["state"], keys["action"], video, annotation, unused, tuple(notes))


def _chosen_columns(
    features: Mapping[str, Feature], notes: list[str]
) -> dict[Modality, dict[str, Feature]]:
    """Columns of state and of action, the main one first, then others of the observation."""
    numbers = {name: item for name, item in features.items() if item.kind == "number"}
    chosen: dict[Modality, dict[str, Feature]] = {}
    for modality, pattern in COLUMNS.items():
        names = [name for name in numbers if pattern.fullmatch(name)]
        chosen[modality] = {name: numbers[name] for name in sorted(names, key=is_part)}
    named = {*chosen["state"], *chosen["action"]}
    others = [name for name in numbers if not (name in named or _NEITHER.fullmatch(name))]
    if not chosen["state"] and others:
        notes.append(f"no column is called observation.state; state is {', '.join(others)}")
    else:
        others = [name for name in others if name.startswith("observation.")]
    chosen["state"] |= {name: numbers[name] for name in others}
    for modality, default in DEFAULT_COLUMNS.items():
        main = main_column(modality, chosen[modality])
        if main not in (None, default):
            notes.append(f"there is no column {default}; {modality} is {main}")
    return chosen


def _cameras(cameras: Sequence[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for camera in cameras:
        key = _CAMERA_PREFIX.sub("", camera).replace(".", "_") or camera
        keys[camera if key in keys else key] = camera
    return keys


def _of_other_sizes(
    features: Mapping[str, Feature], video: Mapping[str, str], notes: list[str]
) -> frozenset[str]:
    """Cameras of another size than most, which GR00T cannot crop together with them."""
    sizes = {key: features[name].size for key, name in video.items() if name in features}
    if len(set(sizes.values())) < 2:
        return frozenset()
    most = max(sizes.values(), key=list(sizes.values()).count)
    for key, size in sizes.items():
        if size != most and size and most:
            notes.append(
                f"camera {key} is not used: it is {size[1]} x {size[0]}, others "
                f"{most[1]} x {most[0]}, and GR00T crops them as one stack"
            )
    return frozenset(key for key, size in sizes.items() if size != most)


def _annotation(features: Mapping[str, Feature]) -> dict[str, str]:
    """Columns of task indices: those named so, and LeRobot's own."""
    prefix = "annotation."
    named = {
        name.removeprefix(prefix): name
        for name, item in features.items()
        if name.startswith(prefix) and item.kind == "number"
    }
    return {TASK: "task_index", **named} if "task_index" in features else named


def _reason(feature: Feature) -> str:
    reasons = {
        "text": "text; the instructions are those of task_index",
        "depth": "depth, which GR00T does not read",
        "audio": "audio, which GR00T does not read",
        "number": "it is called neither state nor action",
    }
    return reasons.get(feature.kind, "a camera without frames")
