"""The version of a dataset that the store has: its source, or a copy of it in normal form.

Normal form is LeRobot v2.1 with episodes from 0 on without gaps, the catalog's curation carried
out, and state and action in one axis. A v2.x dataset that has it is taken as it is.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.project import data_files
from gr00t_assets.core.text import did_you_mean, nearest
from gr00t_assets.core.yaml_files import load_yaml, raise_problems, yaml_problem
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.checks.meta_files import check_modality, sliced_columns
from gr00t_assets.datasets.curation import Curated, IdleTrim, bounds
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import V30
from gr00t_assets.datasets.lerobot.metadata import Metadata, read_metadata
from gr00t_assets.datasets.lerobot.v3.convert import CONVERSION, convert_to_v21
from gr00t_assets.datasets.quality.columns import vector_keys

_SHOWN = 8  # tasks that are listed where none is like the one that was named


def check_curation(entry: CatalogEntry, directory: Path) -> None:
    """See that the source has the episodes and tasks that the curation names, and others.

    A DatasetError with the lines of the catalog where it has not.
    """
    curation = entry.curation
    if curation.is_empty:
        return
    metadata = _listed(entry, directory)
    left_out = metadata.folder.left_out
    numbers = sorted({*left_out, *(episode.index for episode in metadata.episodes)})
    problems: list[Finding] = []
    for kind in ("include", "exclude"):
        spans = getattr(curation.episodes, kind) or ()
        for place, span in enumerate(spans if numbers else ()):
            first, last = bounds(span)
            is_there = any(first <= number <= last for number in numbers)
            if not is_there or last > numbers[-1]:
                found = f"there is no episode {last if is_there else span}; "
                found += f"the source has {len(numbers)}, {numbers[0]} to {numbers[-1]}"
                problems.append(yaml_problem((entry.name, "episodes", kind, place), found))
    if numbers and len(left_out) == len(numbers) and not problems:
        found = f"leaves out all {len(numbers)} episodes; name some to take"
        problems.append(yaml_problem((entry.name, "episodes"), found))
    tasks = set((metadata.tasks or {}).values())
    for old in curation.rename if metadata.tasks is not None else ():
        if old not in tasks:
            found, at = f"the source has no task '{old}'", (entry.name, "tasks", "rename", old)
            close = nearest(old, tasks)
            listed = [close] if close else sorted(tasks)[:_SHOWN]
            problems.append(yaml_problem(at, found, did_you_mean(old, listed)))
    if not problems:
        return
    for catalog in data_files("datasets.yaml"):
        located = load_yaml(catalog, DatasetError)
        if isinstance(located.data, dict) and entry.name in located.data:
            raise_problems(located, problems, DatasetError)
    lines = [f"{problem.subject}: {problem.text}" for problem in problems]
    raise DatasetError(entry.name, "its entry in data/datasets.yaml does not fit it.", lines)


def write_normal_form(
    source: Path, target: Path, entry: CatalogEntry, replaced: Mapping[Path, Path]
) -> tuple[tuple[str, ...], Curated | None] | None:
    """Write a dataset in normal form; None where it has it, and nothing is written.

    Returns warnings for the record, and how the episodes differ from the source's.

    Raises:
        DatasetError: It cannot be written; all that is wrong, at once.
        StoreError: The disk is full.
    """
    curation, name = entry.curation, entry.name
    metadata = _listed(entry, source)
    numbers = [episode.index for episode in metadata.episodes]
    has_gaps = numbers != list(range(len(numbers)))
    is_v30 = metadata.info.version == V30
    modality = check_modality(Folder(source, confined=False, replaced=replaced), metadata.info)
    sliced = sliced_columns(modality, metadata.info) if modality else ()
    has_axes = any(metadata.info.features[column].is_flattened for column in sliced)
    if curation.is_empty and not (has_gaps or is_v30 or has_axes):
        return None
    leaves_out = None if curation.episodes.is_empty else curation.episodes.leaves_out
    trimmed = {}
    if curation.trim_idle is not None:
        folder = Folder(source, confined=False, replaced=replaced, leaves_out=leaves_out)
        trimmed = _rows_to_trim(LeRobotDataset.read(folder, name), curation.trim_idle)
    tasks = (metadata.tasks or {}).values()
    renamed = curation.rename | {
        task: text for task in tasks if (text := curation.task(task)) != task
    }
    converted = convert_to_v21(
        source, target, name=name, leaves_out=leaves_out, trimmed=trimmed, renamed=renamed
    )
    warnings = [CONVERSION] if is_v30 else []
    if curation.is_empty and has_gaps:
        last = len(numbers) - 1
        warnings.append(f"the source's episode numbers have gaps: here they are 0 to {last}")
    warnings += converted.warnings
    if curation.is_empty and not has_gaps:
        return tuple(warnings), None
    fps = metadata.info.fps or 1.0
    curated = Curated(
        episodes=tuple(item.source.index for item in converted.episodes),
        left_out=tuple(sorted(metadata.folder.left_out)),
        trimmed={
            item.source.index: (
                round(item.start / fps, 3),
                round((item.source.length - item.start - item.length) / fps, 3),
            )
            for item in converted.episodes
            if item.is_trimmed
        },
        renamed=renamed,
    )
    return tuple(warnings), curated


def _listed(entry: CatalogEntry, directory: Path) -> Metadata:
    leaves_out = entry.curation.episodes.leaves_out
    return read_metadata(Folder(directory, confined=False, leaves_out=leaves_out))


def _rows_to_trim(dataset: LeRobotDataset, trim: IdleTrim) -> dict[int, tuple[int, int]]:
    """Rows at rest that are cut off at start and end of each episode; see ``IdleTrim``."""
    low, high = np.array(np.inf), np.array(-np.inf)
    for _, rows in _joints(dataset):
        low, high = np.fmin(low, np.fmin.reduce(rows)), np.fmax(high, np.fmax.reduce(rows))
    limits, trimmed = trim.threshold * (high - low), {}
    window = max(round(dataset.fps), 1)
    for index, rows in _joints(dataset):
        first = _first_moving(rows, window, limits)
        last = _first_moving(rows[::-1], window, limits)
        if first is None or last is None:
            continue
        start = min(max(first - 1, 0), int(trim.start * dataset.fps))
        end = min(max(last - 1, 0), int(trim.end * dataset.fps))
        if 0 < start + end < len(rows) - 1:
            trimmed[index] = start, end
    return trimmed


def _joints(dataset: LeRobotDataset) -> Iterator[tuple[int, np.ndarray]]:
    """Episode number and all numbers of state and action keys, shape ``(rows, numbers)``; what is
    not finite is NaN.
    """
    slices = [*vector_keys(dataset, "state"), *vector_keys(dataset, "action")]
    for episode in dataset.episodes if slices else ():
        columns = dataset.vectors(episode.index, [item.column for item in slices])
        parts = [columns[item.column][:, item.span].astype(np.float64) for item in slices]
        rows = np.concatenate(parts, axis=1)
        yield episode.index, np.where(np.isfinite(rows), rows, np.nan)


def _first_moving(rows: np.ndarray, window: int, limits: np.ndarray) -> int | None:
    """The first row within whose last ``window`` rows a number goes further than its limit."""
    padded = np.concatenate([np.repeat(rows[:1], window, axis=0), rows])
    seconds = np.lib.stride_tricks.sliding_window_view(padded, window + 1, axis=0)
    moving = ((seconds.max(axis=-1) - seconds.min(axis=-1)) > limits).any(axis=1)
    return int(moving.argmax()) if moving.any() else None
