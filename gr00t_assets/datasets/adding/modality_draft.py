"""A ``modality.json`` drafted from the names of a dataset's features, for a person to look at.

Every column of state and action becomes a key, or a note says why not. Some keys are not trained on
by the drafted data config: columns that say again what the main column says.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.modality.data_config import DataConfigFile
from gr00t_assets.modality.modality_json import DEFAULT_COLUMNS, Modality, parse_modality
from gr00t_assets.modality.vector_names import named_parts, part_of_column, usual_parts

_COLUMNS: dict[Modality, re.Pattern[str]] = {
    "state": re.compile(r"(observation\.)?(states?|qpos|proprio)(\..+)?"),
    "action": re.compile(r"actions?(\..+)?"),
}
_NEITHER = re.compile(r"next\..+|is_.+|.*(reward|done|discount|success).*|.*_index|.*timestamp.*")
_BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_CAMERA_PREFIX = re.compile(r"^observation\.(images?\.)?")
_LEAST_NEEDED = ("leg", "base", "pad", "other", "neck", "waist")
"""Parts that are left out first where the model takes fewer numbers."""

TASK = "human.task_description"


@dataclass(frozen=True)
class DraftKey:
    """Some numbers of a column under a name.

    Attributes:
        key: left_arm.
        column: observation.state.
        start: First number.
        end: One past the last number.
        is_continuous: Whether it is more than on and off.
        is_trained: Whether a drafted data config trains on it.
    """

    key: str
    column: str
    start: int
    end: int
    is_continuous: bool = True
    is_trained: bool = True


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
    problems = [f"no column of numbers is {kind}" for kind in _COLUMNS if not chosen[kind]]
    if not dataset.cameras:
        problems.append("there is no camera of colour with frames")
    if problems:
        has = ", ".join(f"{name} ({item.dtype})" for name, item in dataset.features.items())
        remedy = "name the columns observation.state and action, as LeRobot does"
        lines = [*problems, f"it has: {has}", remedy]
        raise DatasetError(dataset.name, "no modality.json can be drafted.", lines)
    keys = {kind: _keys(dataset, kind, chosen[kind], notes) for kind in _COLUMNS}
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
    keys = {}
    for kind in _COLUMNS:
        listed = [
            DraftKey(key, column, part.start, part.end, part.continuous and not is_bool)
            for key, part in file.slices(kind).items()
            for column in [file.vector_column(kind, key)]
            for is_bool in [_is_bool(dataset.features.get(column))]
        ]
        keys[kind] = _within_limit(kind, listed, notes)
    video = {key: file.video_feature(key) for key in file.video}
    annotation = {key: item.original_key or f"annotation.{key}" for key, item in _items(file)}
    unused = _of_other_sizes(dataset.features, video, notes)
    return ModalityDraft(keys["state"], keys["action"], video, annotation, unused, tuple(notes))


def _items(file: Any) -> Iterable[tuple[str, Any]]:
    return (file.annotation or {}).items()


def _chosen_columns(
    features: Mapping[str, Feature], notes: list[str]
) -> dict[Modality, dict[str, Feature]]:
    """Columns of state and of action, the main one first, then others of the observation."""
    numbers = {
        name: item
        for name, item in features.items()
        if item.kind == "number"
        and name not in _BOOKKEEPING
        and not name.startswith("annotation.")
        and not _NEITHER.fullmatch(name)
    }
    chosen: dict[Modality, dict[str, Feature]] = {}
    for modality, pattern in _COLUMNS.items():
        names = [name for name in numbers if pattern.fullmatch(name)]
        chosen[modality] = {name: numbers[name] for name in sorted(names, key=_is_part)}
    others = {name: item for name, item in numbers.items() if name not in chosen["action"]}
    if not chosen["state"] and others:
        notes.append(f"no column is called observation.state; state is {', '.join(others)}")
        chosen["state"] = others
    else:
        observed = {name: others[name] for name in others if name.startswith("observation.")}
        chosen["state"] |= {
            name: observed[name] for name in observed if name not in chosen["state"]
        }
    for modality, default in DEFAULT_COLUMNS.items():
        main = _main_column(modality, chosen[modality])
        if main not in (None, default):
            notes.append(f"there is no column {default}; {modality} is {main}")
    return chosen


def _main_column(modality: Modality, columns: Iterable[str]) -> str | None:
    """The column of the whole state or action, where it does not come in parts alone."""
    named = (name for name in columns if _COLUMNS[modality].fullmatch(name))
    return next((name for name in named if not _is_part(name)), None)


def _is_part(name: str) -> bool:
    """Whether a column is one part of state or action: action.gripper beside action."""
    return "." in name.removeprefix("observation.")


def _keys(
    dataset: LeRobotDataset, modality: Modality, columns: Mapping[str, Feature], notes: list[str]
) -> tuple[DraftKey, ...]:
    """Keys of every column; slices by the parts of the robot where the names tell them."""
    keys: list[DraftKey] = []
    main = _main_column(modality, columns)
    for name, feature in columns.items():
        parts = _parts(modality, feature, dataset.robot_type, name == main, notes)
        of_body, taken = {part for part, _, _ in parts}, {key.key for key in keys}
        if of_body & taken:
            parts = [(_key_of_column(name, taken), 0, feature.width)]
        why_not = None
        if not _COLUMNS[modality].fullmatch(name) and main is not None:
            why_not = f"it is not called {modality}"
        elif main is not None and name != main:
            why_not = _repeats(dataset, main, name, keys, of_body)
        if why_not:
            keys_named = ", ".join(part for part, _, _ in parts)
            notes.append(f"{name} is the key {keys_named} and is not trained on: {why_not}")
        keys += [
            DraftKey(part, name, start, end, not _is_bool(feature), why_not is None)
            for part, start, end in parts
        ]
    return _within_limit(modality, keys, notes)


def _parts(
    modality: Modality, feature: Feature, robot: str, is_main: bool, notes: list[str]
) -> list[tuple[str, int, int]]:
    """Slices of a column by the parts of the robot; one of all its numbers where they are unknown.

    Args:
        is_main: Whether it is the whole state or action, and not a part of it.
    """
    names, size, column = feature.names, feature.width, feature.name
    parts = named_parts(names) if names else None
    if parts is not None:
        return parts
    if not is_main:
        return [(part_of_column(column) or _key_of_column(column), 0, size)]
    parts = usual_parts(robot, size)
    if parts is not None:
        listed = ", ".join(f"{part} {start}:{end}" for part, start, end in parts)
        notes.append(f"{column}: its names do not tell the joints; those of {robot}: {listed}")
        return parts
    if size > 1:
        why = f"are called {names[0]} to {names[-1]}" if names else "have no names"
        notes.append(f"{column}: its {size} numbers {why}; they are one key '{modality}'")
    return [(modality, 0, size)]


def _key_of_column(column: str, taken: Iterable[str] = ()) -> str:
    """``gripper_position`` of ``action.gripper_position``, or a longer name where that is taken."""
    short = column.rsplit(".", 1)[-1]
    return short if short not in taken else column.replace(".", "_")


def _repeats(
    dataset: LeRobotDataset, main: str, column: str, keys: Sequence[DraftKey], parts: Iterable[str]
) -> str | None:
    """Why a column says again what the main column says; None where it does not."""
    try:
        rows = dataset.vectors(dataset.episodes[0].index, [main, column])
        copied = [bool((number == rows[main].T).all(axis=1).any()) for number in rows[column].T]
    except (DatasetError, OSError, IndexError):
        copied = [False]
    if np.all(copied):
        return f"{main} has the same numbers"
    names = {_body_part(key.key) for key in keys if key.column == main}
    if names & {_body_part(part) for part in parts}:
        return f"{main} has this part already"
    return None


def _body_part(key: str) -> str:
    """What a key moves, without its side: the end effector is the arm's."""
    plain = re.sub(r"^(left|right|single)_|_(velocity|torque|delta|\d+)$", "", key)
    return "arm" if plain.startswith("eef_") else plain


def _within_limit(
    modality: Modality, keys: Sequence[DraftKey], notes: list[str]
) -> tuple[DraftKey, ...]:
    """The keys, those that the model has no room for not trained on."""
    limit = DataConfigFile.model_fields[f"max_{modality}_dim"].default
    trained = [key for key in keys if key.is_trained]

    def needed_least(key: DraftKey) -> tuple[int, int]:
        part = re.sub(r"^(left|right)_", "", key.key)
        rank = _LEAST_NEEDED.index(part) if part in _LEAST_NEEDED else len(_LEAST_NEEDED)
        return rank, -trained.index(key)

    dropped: list[str] = []
    for key in sorted(trained, key=needed_least):
        total = sum(item.end - item.start for item in trained if item.key not in dropped)
        if total > limit and len(dropped) < len(trained) - 1:
            dropped.append(key.key)
    if dropped:
        names = ", ".join(sorted(dropped))
        notes.append(f"{modality} has more than {limit} numbers; not trained on: {names}")
    return tuple(replace(key, is_trained=key.is_trained and key.key not in dropped) for key in keys)


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
    match feature.kind:
        case "text":
            return "text; the instructions are those of task_index"
        case "depth" | "audio":
            return f"{feature.kind}, which GR00T does not read"
        case "video" | "image":
            return "a camera without frames"
    return "it is called neither state nor action"


def _is_bool(feature: Feature | None) -> bool:
    return feature is not None and feature.dtype == "bool"
