"""A ``modality.json`` proposed for a dataset that has none, for a person to look at and accept.

The proposal is written beside the dataset's versions in the store, never into a dataset.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel, write_json
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.core.yaml_files import validation_problems
from gr00t_assets.datasets.fit.fit_check import fitting_data_configs
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.data_config import data_configs
from gr00t_assets.modality.modality_json import DEFAULT_COLUMNS, Modality, parse_modality
from gr00t_assets.modality.vector_names import SO_ROBOTS, is_so_arm, named_parts, number_names

_CAMERA_PREFIXES = ("observation.images.", "observation.image.", "observation.")
_TASK = "human.task_description"


class ModalityProposal(FrozenModel):
    """A proposed ``modality.json``, what of it is guessed, and what it would fit."""

    dataset: str
    notes: tuple[str, ...] = Field(description="What is guessed, or could not be")
    data_configs: tuple[str, ...] = Field(description="N1.5's data configs that it fits")
    modality: dict[str, Any] = Field(description="The content of meta/modality.json; edit this")


def propose_modality(dataset: LeRobotDataset | Mapping[str, Any]) -> ModalityProposal:
    """Propose a ``modality.json`` from the names of a dataset's features.

    Args:
        dataset: An open dataset, or the content of its ``meta/info.json``. Without the dataset
            itself cameras are believed to have files, and no fitting data config is named.

    Raises:
        DatasetError: It has no vector of state or of action, so that no proposal can be made.
    """
    opened = dataset if isinstance(dataset, LeRobotDataset) else None
    info = dataset.info.raw if isinstance(dataset, LeRobotDataset) else dataset
    name = opened.name if opened else str(info.get("robot_type") or "dataset")
    features = {key: item for key, item in info["features"].items() if isinstance(item, Mapping)}
    robot = str(info.get("robot_type") or "")
    notes: list[str] = []
    sections: dict[str, Any] = {}
    problems = []
    for modality in DEFAULT_COLUMNS:
        sections[modality] = _vectors(modality, features, robot, notes)
        if not sections[modality]:
            problems.append(f"there is no vector of {modality}: {DEFAULT_COLUMNS[modality]}")
    if problems:
        has = f"the dataset has: {', '.join(features)}"
        raise DatasetError(name, "no modality.json can be proposed.", [*problems, has])
    videos = [key for key, item in features.items() if item.get("dtype") == "video"]
    sections["video"] = _cameras(opened.cameras if opened else videos, notes)
    notes += [
        f"camera {key} is kept as images in the rows, which GR00T does not read"
        for key, item in features.items()
        if item.get("dtype") == "image"
    ]
    sections["annotation"] = _annotations(features, notes)
    fitting = _fitting(opened, sections)
    if opened and not fitting:
        notes.append(f"it fits none of the data configs: {', '.join(data_configs())}")
    return ModalityProposal(
        dataset=name, notes=tuple(notes), data_configs=fitting, modality=sections
    )


def proposal_path(name: str, store: Store) -> Path:
    """Where a dataset's proposal is; one of before keeps its name, ``modality.draft.json``."""
    older = store.dataset_record(name).with_name("modality.draft.json")
    return older if older.is_file() else older.with_name("modality.proposed.json")


def accepted_path(name: str, store: Store) -> Path:
    """Where a dataset's accepted ``modality.json`` is, for as long as its source has none."""
    return store.dataset_record(name).with_name("modality.accepted.json")


def save_proposal(name: str, proposal: ModalityProposal, store: Store) -> Path:
    """Write a proposal beside the dataset's versions; one that a person has edited is kept.

    Returns:
        The file.
    """
    path = proposal_path(name, store)
    if not path.exists():
        write_json(path, proposal.model_dump(mode="json") | {"dataset": name})
    return path


def missing_modality(dataset: LeRobotDataset, store: Store) -> DatasetError:
    """The error for a dataset without ``modality.json``, whose proposal is written beside it."""
    proposal = propose_modality(dataset)
    existed = proposal_path(dataset.name, store).exists()
    path = save_proposal(dataset.name, proposal, store)
    parts = []
    for section in ("state", "action", "video", "annotation"):
        keys = (_shown(key, entry) for key, entry in proposal.modality[section].items())
        parts.append(f"{section}: {', '.join(keys) or 'none'}")
    fits = ", ".join(proposal.data_configs) or "none of N1.5's"
    return DatasetError(
        dataset.name,
        "meta/modality.json is missing; a proposal was written from the names of its features.",
        [
            *parts,
            *proposal.notes,
            f"data configs that the proposal fits: {fits}",
            *(["the file was there before and is kept as it is"] if existed else []),
            f"look at it, and change what is wrong: {path}",
            f"then run: gr00t-assets dataset accept-modality {dataset.name}, "
            "and materialise the dataset again",
        ],
    )


def accept_proposal(name: str, store: Store) -> Path:
    """Make a dataset's proposal its ``modality.json``, which ingest adds to the dataset.

    Returns:
        The accepted file.

    Raises:
        DatasetError: There is no proposal, or it was edited into something that is not valid; the
            proposal is kept.
    """
    path, accepted = proposal_path(name, store), accepted_path(name, store)
    if not path.is_file():
        if accepted.is_file():
            raise DatasetError(name, "its modality.json was accepted before.", [str(accepted)])
        command = materialize_command("dataset", name)
        raise DatasetError(
            name,
            "there is no proposal of a modality.json for this dataset.",
            [f"it would be {path}", f"it is written by: {command}"],
        )
    try:
        proposal = ModalityProposal.model_validate(json.loads(path.read_text(encoding="utf-8")))
        parse_modality(proposal.modality, name)
    except DatasetError as error:
        details = [*error.details, str(path)]
        raise DatasetError(name, "the proposal is not valid.", details) from error
    except ValidationError as error:
        problems = validation_problems(error, ModalityProposal)
        lines = [f"{item.subject or 'the file'}: {item.text}" for item in problems]
        raise DatasetError(name, "the proposal is not valid.", [*lines, str(path)]) from error
    except (OSError, ValueError) as error:
        raise DatasetError(name, "the proposal cannot be read.", [str(error), str(path)]) from error
    write_json(accepted, proposal.modality)
    path.unlink()
    return accepted


def _vectors(
    modality: Modality, features: Mapping[str, Any], robot: str, notes: list[str]
) -> dict[str, dict[str, Any]]:
    """Slices of the modality's column, or of each column that stands in for it."""
    default = DEFAULT_COLUMNS[modality]
    if default in features:
        return _slices(modality, default, features[default], robot, notes)
    others = {
        key: _size(item)
        for key, item in features.items()
        if key.startswith((f"{default}s", f"{default}.")) and _size(item)
    }
    if others:
        notes.append(f"{default} is missing; taken for {modality}: {', '.join(others)}")
    return {
        key.removeprefix(f"{default}s").removeprefix(default).strip(".").replace(".", "_")
        or modality: {"start": 0, "end": size, "original_key": key}
        for key, size in others.items()
    }


def _slices(
    modality: Modality, column: str, feature: Mapping[str, Any], robot: str, notes: list[str]
) -> dict[str, dict[str, Any]]:
    size = _size(feature)
    if not size:
        return {}
    names = number_names(feature.get("names"), size)
    single_arm = {"single_arm": {"start": 0, "end": 5}, "gripper": {"start": 5, "end": 6}}
    if names and is_so_arm(names):
        return single_arm
    if not names and size == 6 and robot.lower().startswith(SO_ROBOTS):
        notes.append(
            f"{column}: its numbers have no names; taken for {robot}'s 5 joints and gripper"
        )
        return single_arm
    parts = named_parts(names) if names else None
    if not names or not parts:
        why = f"named {names[0]} to {names[-1]}" if names else "not named"
        notes.append(f"{column}: its {size} numbers are {why}; kept as one key '{modality}'")
        return {modality: {"start": 0, "end": size}}
    listed = ", ".join(f"{name} ({names[start]} to {names[end - 1]})" for name, start, end in parts)
    notes.append(f"{column}: parts guessed from the names of its numbers: {listed}")
    return {name: {"start": start, "end": end} for name, start, end in parts}


def _size(feature: Mapping[str, Any]) -> int:
    """Numbers of a floating vector; 0 where it is none."""
    shape = feature.get("shape")
    if not str(feature.get("dtype")).startswith("float") or not isinstance(shape, list | tuple):
        return 0
    return shape[0] if len(shape) == 1 and isinstance(shape[0], int) and shape[0] > 0 else 0


def _cameras(cameras: tuple[str, ...] | list[str], notes: list[str]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for camera in cameras:
        prefix = next((prefix for prefix in _CAMERA_PREFIXES if camera.startswith(prefix)), "")
        key = camera.removeprefix(prefix).replace(".", "_")
        keys[camera if key in keys else key] = {"original_key": camera}
    if not keys:
        notes.append("it has no camera with videos")
    return keys


def _annotations(features: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Columns of task indices: those named so, and LeRobot's own."""
    prefix = "annotation."
    keys: dict[str, Any] = {
        key.removeprefix(prefix): {} for key in features if key.startswith(prefix)
    }
    if _TASK not in keys and "task_index" in features:
        keys[_TASK] = {"original_key": "task_index"}
    if not keys:
        notes.append("it has no task_index: there is no instruction")
    return keys


def _fitting(dataset: LeRobotDataset | None, modality: dict[str, Any]) -> tuple[str, ...]:
    if dataset is None:
        return ()
    return tuple(fitting_data_configs(dataclasses.replace(dataset, modality=modality)))


def _shown(key: str, entry: Mapping[str, Any]) -> str:
    return f"{key} {entry['start']}:{entry['end']}" if "start" in entry else key
