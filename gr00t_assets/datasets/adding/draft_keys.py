"""Keys of ``modality.json`` drafted from columns: which numbers are which part of the robot."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.modality.data_config import DataConfigFile
from gr00t_assets.modality.modality_json import Modality
from gr00t_assets.modality.vector_names import named_parts, part_of_column, usual_parts

COLUMNS: dict[Modality, re.Pattern[str]] = {
    "state": re.compile(r"(observation\.)?(states?|qpos|proprio)(\..+)?"),
    "action": re.compile(r"actions?(\..+)?"),
}
"""What columns of state and of action are called, as a whole or in parts."""

_LEAST_NEEDED = ("leg", "base", "pad", "other", "neck", "waist")
"""Parts that are left out first where the model takes fewer numbers."""


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


def column_keys(
    dataset: LeRobotDataset, modality: Modality, columns: Mapping[str, Feature], notes: list[str]
) -> tuple[DraftKey, ...]:
    """Keys of every column; slices by the parts of the robot where the names tell them."""
    keys: list[DraftKey] = []
    main = main_column(modality, columns)
    for name, feature in columns.items():
        parts = _parts(modality, feature, dataset.robot_type, name == main, notes)
        of_body, taken = {part for part, _, _ in parts}, {key.key for key in keys}
        if of_body & taken:
            parts = [(_key_of_column(name, taken), 0, feature.width)]
        why_not = None
        if not COLUMNS[modality].fullmatch(name) and main is not None:
            why_not = f"it is not called {modality}"
        elif main is not None and name != main:
            why_not = _repeats(dataset, main, name, keys, of_body)
        if why_not:
            keys_named = ", ".join(part for part, _, _ in parts)
            notes.append(f"{name} is the key {keys_named} and is not trained on: {why_not}")
        keys += [
            DraftKey(part, name, start, end, not is_bool(feature), why_not is None)
            for part, start, end in parts
        ]
    return within_limit(modality, keys, notes)


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


def within_limit(
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


def main_column(modality: Modality, columns: Iterable[str]) -> str | None:
    """The column of the whole state or action, where it does not come in parts alone."""
    named = (name for name in columns if COLUMNS[modality].fullmatch(name))
    return next((name for name in named if not is_part(name)), None)


def is_part(name: str) -> bool:
    """Whether a column is one part of state or action: action.gripper beside action."""
    return "." in name.removeprefix("observation.")


def is_bool(feature: Feature | None) -> bool:
    """Whether a column is on and off alone."""
    return feature is not None and feature.dtype == "bool"
