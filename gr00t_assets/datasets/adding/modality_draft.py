"""A ``modality.json`` drafted from the names of a dataset's features, for a person to look at.

Every column of state and action becomes a key, or a note says why not. Some keys are not trained on
by the drafted data config: columns that say again what the main column says.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.modality.data_config import DataConfig
from gr00t_assets.modality.modality_json import (
    DEFAULT_COLUMNS,
    KeyName,
    Modality,
    ModalityFile,
    VectorSlice,
    parse_modality,
)
from gr00t_assets.modality.vector_names import named_parts, part_of_column, usual_parts

TASK = "human.task_description"

_COLUMNS: dict[Modality, re.Pattern[str]] = {
    "state": re.compile(r"(observation\.)?(states?|qpos|proprio)(\..+)?"),
    "action": re.compile(r"actions?(\..+)?"),
}
"""What columns of state and of action are called, as a whole or in parts."""

_NEITHER = re.compile(
    r"annotation\..+|next\..+|is_.+|index|.*(_index|timestamp|reward|done|discount|success).*"
)
_BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")
_CAMERA_PREFIX = re.compile(r"^observation\.(images?\.)?")
_LEAST_NEEDED = ("leg", "base", "pad", "other", "neck", "waist")  # left out first of too many

_REASONS = {
    "text": "text; the instructions are those of task_index",
    "depth": "depth, which GR00T does not read",
    "audio": "audio, which GR00T does not read",
    "number": "it is called neither state nor action",
}
"""Why a feature of a kind is left out."""

Names = dict[Modality, list[str]]  # columns or keys of state and of action


@dataclass(frozen=True)
class ModalityDraft:
    """A ``modality.json``, and the keys and cameras of it that a drafted data config trains on.

    The notes say what was guessed, and of each column that is left out why.
    """

    file: ModalityFile
    trained: Names
    cameras: Sequence[str]
    notes: tuple[str, ...]

    @property
    def content(self) -> dict[str, Any]:
        """The content of the file as JSON has it."""
        return self.file.model_dump(mode="json", exclude_unset=True)


def modality_draft(dataset: LeRobotDataset) -> ModalityDraft:
    """The file of a dataset where it has one, else one drafted from features and first episode.

    Raises:
        DatasetError: The file is not valid; or there is no state, no action or no camera.
    """
    notes: list[str] = []
    trained: Names = {}
    if dataset.modality is None:
        file = _drafted(dataset, trained, notes)
    else:
        file = parse_modality(dataset.modality, dataset.name)
        trained = {kind: list(file.slices(kind)) for kind in _COLUMNS}
    for kind, keys in trained.items():
        _drop_beyond_limit(kind, file.slices(kind), keys, notes)
    cameras = _of_one_size(dataset, file, notes)
    return ModalityDraft(file, trained, cameras, tuple(notes))


def _drafted(dataset: LeRobotDataset, trained: Names, notes: list[str]) -> ModalityFile:
    """The file; ``trained`` gets the keys that do not say again what others say."""
    features = dataset.features
    chosen = _chosen_columns(features, notes)
    problems = [f"no column of numbers is {kind}" for kind in _COLUMNS if not chosen[kind]]
    if not dataset.cameras:
        problems.append("there is no camera of colour with frames")
    if problems:
        has = ", ".join(f"{name} ({item.dtype})" for name, item in features.items())
        remedy = "name the columns observation.state and action, as LeRobot does"
        lines = [*problems, f"it has: {has}", remedy]
        raise DatasetError(dataset.name, "no modality.json can be drafted.", lines)
    slices: dict[Modality, dict[str, VectorSlice]] = {}
    for kind, columns in chosen.items():
        slices[kind], trained[kind] = _vector_keys(dataset, kind, columns, notes)
    annotation = {TASK: KeyName(original_key="task_index")} if "task_index" in features else {}
    used = {*chosen["state"], *chosen["action"], *dataset.cameras, *_BOOKKEEPING}
    for name, feature in features.items():
        if name.startswith("annotation.") and feature.kind == "number":
            annotation[name.removeprefix("annotation.")] = KeyName()
        elif name not in used:
            reason = _REASONS.get(feature.kind, "a camera without frames")
            notes.append(f"{name} is left out: {reason}")
    video: dict[str, KeyName] = {}
    for camera in dataset.cameras:
        key = _CAMERA_PREFIX.sub("", camera).replace(".", "_") or camera
        video[camera if key in video else key] = KeyName(original_key=camera)
    return ModalityFile.model_validate({**slices, "video": video, "annotation": annotation})


def _chosen_columns(features: Mapping[str, Feature], notes: list[str]) -> Names:
    """Columns of state and of action, the main one first, then others of the observation."""
    numbers = [name for name, feature in features.items() if feature.kind == "number"]
    chosen: Names = {
        modality: sorted(filter(pattern.fullmatch, numbers), key=_is_part)
        for modality, pattern in _COLUMNS.items()
    }
    named = {*chosen["state"], *chosen["action"]}
    others = [name for name in numbers if not (name in named or _NEITHER.fullmatch(name))]
    if not chosen["state"] and others:
        notes.append(f"no column is called observation.state; state is {', '.join(others)}")
    else:
        others = [name for name in others if name.startswith("observation.")]
    chosen["state"] += others
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


def _vector_keys(
    dataset: LeRobotDataset, modality: Modality, columns: Sequence[str], notes: list[str]
) -> tuple[dict[str, VectorSlice], list[str]]:
    """Keys of every column, slices by the parts of the robot, and those that are trained on."""
    slices: dict[str, VectorSlice] = {}
    trained: list[str] = []
    main, of_main = _main_column(modality, columns), []
    for name in columns:
        feature, why_not = dataset.features[name], None
        parts = _parts(modality, feature, dataset.robot_type, name == main, notes)
        of_body = [part for part, _, _ in parts]
        if slices.keys() & of_body:
            short = name.rsplit(".", 1)[-1]
            key = name.replace(".", "_") if short in slices else short
            parts = [(key, 0, feature.width)]
        if name == main:
            of_main = of_body
        elif main is not None and not _COLUMNS[modality].fullmatch(name):
            why_not = f"it is not called {modality}"
        elif main is not None:
            why_not = _repeats(dataset, main, name, of_main, of_body)
        keys = [key for key, _, _ in parts]
        if why_not:
            notes.append(f"{name} is the key {', '.join(keys)} and is not trained on: {why_not}")
        else:
            trained += keys
        column = {} if name == DEFAULT_COLUMNS[modality] else {"original_key": name}
        for key, start, end in parts:
            slices[key] = VectorSlice.model_validate({"start": start, "end": end, **column})
    return slices, trained


def _parts(
    modality: Modality, feature: Feature, robot: str, is_main: bool, notes: list[str]
) -> list[tuple[str, int, int]]:
    """Slices of a column by the parts of the robot, or one of all; names, starts and ends."""
    names, size, column = feature.names, feature.width, feature.name
    if names and (parts := named_parts(names)):
        return parts
    if not is_main:
        return [(part_of_column(column) or column.rsplit(".", 1)[-1], 0, size)]
    if parts := usual_parts(robot, size):
        listed = ", ".join(f"{part} {start}:{end}" for part, start, end in parts)
        notes.append(f"{column}: its names do not tell the joints; those of {robot}: {listed}")
        return parts
    if size > 1:
        why = f"are called {names[0]} to {names[-1]}" if names else "have no names"
        notes.append(f"{column}: its {size} numbers {why}; they are one key '{modality}'")
    return [(modality, 0, size)]


def _repeats(
    dataset: LeRobotDataset, main: str, column: str, of_main: Iterable[str], parts: Iterable[str]
) -> str | None:
    """Why a column says again what the main column says; None where it does not."""
    with suppress(DatasetError, OSError, IndexError):
        rows = dataset.vectors(dataset.episodes[0].index, [main, column])
        if all((number == rows[main].T).all(axis=1).any() for number in rows[column].T):
            return f"{main} has the same numbers"
    if {_body_part(key) for key in of_main} & {_body_part(part) for part in parts}:
        return f"{main} has this part already"
    return None


def _body_part(key: str) -> str:
    """What a key moves, without its side: the end effector is the arm's."""
    plain = re.sub(r"^(left|right|single)_|_(velocity|torque|delta|\d+)$", "", key)
    return "arm" if plain.startswith("eef_") else plain


def _drop_beyond_limit(
    modality: Modality, slices: Mapping[str, VectorSlice], trained: list[str], notes: list[str]
) -> None:
    """Take the keys that the model has no room for from those that are trained on."""
    limit = DataConfig.model_fields[f"max_{modality}_dim"].default

    def rank(key: str) -> int:
        part = re.sub(r"^(left|right)_", "", key)
        return (*_LEAST_NEEDED, part).index(part)

    dropped = []
    while sum(slices[key].end - slices[key].start for key in trained) > limit and trained[1:]:
        dropped.append(min(reversed(trained), key=rank))
        trained.remove(dropped[-1])
    if dropped:
        names = ", ".join(sorted(dropped))
        notes.append(f"{modality} has more than {limit} numbers; not trained on: {names}")


def _of_one_size(dataset: LeRobotDataset, file: ModalityFile, notes: list[str]) -> list[str]:
    """Cameras but for those of another size than most, which GR00T cannot crop together."""
    features = {key: dataset.features.get(file.video_feature(key)) for key in file.video}
    sizes = {key: feature.size for key, feature in features.items() if feature}
    most = max(sizes.values(), key=list(sizes.values()).count, default=None)
    others = {key: size for key, size in sizes.items() if size != most}
    for key, size in others.items():
        if size and most:
            found = f"it is {size[1]} x {size[0]}, others {most[1]} x {most[0]}"
            why_not = f"{found}, and GR00T crops them as one stack"
            notes.append(f"camera {key} is not used: {why_not}")
    return [key for key in file.video if key not in others]
