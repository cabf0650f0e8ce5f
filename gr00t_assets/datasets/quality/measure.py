"""Measuring the quality of a dataset: what no check forbids and a policy still learns from.

Images are judged by sampled pairs of successive frames.
"""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.statistics import STATS
from gr00t_assets.datasets.quality.figures import Camera, Language, Lengths, Quality
from gr00t_assets.datasets.quality.table import find_warnings
from gr00t_assets.datasets.quality.thresholds import (
    BRIGHT,
    DARK,
    FLICKER,
    LENGTH_FACTOR,
    MOVING,
    PLACEHOLDERS,
    SAMPLED_EPISODES,
    SAMPLED_PAIRS,
)
from gr00t_assets.datasets.quality.vectors import (
    Ranges,
    column_ranges,
    key_slices,
    measure_copies,
    measure_idle,
    measure_vector,
)

_LUMINANCE_WEIGHTS = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue in luminance, ITU-R BT.601."""

_EVERY = 4
"""Pixels of which one is looked at, in each direction."""

_PREFERRED = ("human.action.task_description", "human.task_description", "human.coarse_action")
_SHOWN = 50
"""Instructions that are listed."""


def measure_quality(
    dataset: LeRobotDataset, cache: FrameCache | None, language_column: str | None = None
) -> Quality:
    """Figures of a dataset, with a warning for each threshold that one of them passes.

    Reads the rows a few times, an episode at a time, and of the frames a sample.

    Args:
        cache: Its frames; without them nothing is said of images.
        language_column: Column of task indices of the data config that will be trained; by
            default the one that modality.json names.

    Raises:
        DatasetError: Its rows cannot be read, or the cache is of another dataset.
    """
    states, actions = key_slices(dataset, "state"), key_slices(dataset, "action")
    columns = dict.fromkeys(item.column for item in (*states, *actions))
    statistics = None
    with suppress(OSError, ValueError):  # Other checks report a damaged file.
        statistics = json.loads((dataset.directory / STATS).read_text())
    ranges = {column: column_ranges(dataset, column, statistics) for column in columns}
    at_rest = dict.fromkeys(item.column for item in states or actions)
    joints = {column: ranges[column] for column in at_rest}
    measured = Quality(
        dataset=dataset.name,
        fps=dataset.fps,
        lengths=_lengths(dataset),
        idle=measure_idle(dataset, joints),
        vectors=tuple(
            measure_vector(dataset, column, ranges[column], [*states, *actions])
            for column in columns
        ),
        copies=measure_copies(dataset, states, actions, ranges),
        language=measure_language(dataset, language_column),
        cameras=()
        if cache is None
        else tuple(_camera(dataset, cache, camera, joints) for camera in cache.cameras),
    )
    return measured.model_copy(update={"warnings": tuple(find_warnings(measured))})


def _lengths(dataset: LeRobotDataset) -> Lengths:
    rows = [episode.length for episode in dataset.episodes]
    median = float(np.median(rows))
    return Lengths(
        rows=tuple(rows),
        shortest=min(rows),
        median=median,
        longest=max(rows),
        outliers=tuple(
            episode.index
            for episode in dataset.episodes
            if episode.length * LENGTH_FACTOR < median or episode.length > median * LENGTH_FACTOR
        ),
    )


def _camera(
    dataset: LeRobotDataset, cache: FrameCache, camera: str, states: Mapping[str, Ranges]
) -> Camera:
    """Figures of a camera; ``states`` are the columns that say whether the robot moves."""
    frames: list[tuple[float, float]] = []
    pairs: list[tuple[bool, bool, bool]] = []
    for position in _spread(len(dataset.episodes), SAMPLED_EPISODES):
        episode = dataset.episodes[position]
        rows = cache.rows(episode.index, camera, dataset.timestamps(episode.index))
        moves = _moves(dataset, episode.index, len(rows), states)
        for start in _spread(len(rows) - 1, SAMPLED_PAIRS):
            pair = cache.frames(camera, rows[start : start + 2])
            light = pair[:, ::_EVERY, ::_EVERY].mean(axis=(1, 2)) @ _LUMINANCE_WEIGHTS
            frames.append((position + start / max(len(rows), 1), float(light[0])))
            if len(pair) == 2 and rows[start] != rows[start + 1]:
                same = np.array_equal(pair[0], pair[1])
                pairs.append((same, bool(moves[start]), bool(abs(light[1] - light[0]) > FLICKER)))
    when, light = np.array(frames).T
    same, moving, flickers = np.array(pairs, dtype=bool).reshape(-1, 3).T
    return Camera(
        camera=camera,
        episode=tuple(when.tolist()),
        luminance=tuple(light.tolist()),
        mean=float(light.mean()),
        dark_share=float((light < DARK).mean()),
        bright_share=float((light > BRIGHT).mean()),
        pairs=len(pairs),
        flicker_share=flickers.sum() / max(len(pairs), 1),
        identical_share=same.sum() / max(len(pairs), 1),
        frozen_share=(same & moving).sum() / max(moving.sum(), 1),
    )


def _spread(count: int, most: int) -> list[int]:
    """At most so many positions of a sequence, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, max(count - 1, 0), most).round().astype(int)).tolist()


def _moves(
    dataset: LeRobotDataset, episode: int, length: int, states: Mapping[str, Ranges]
) -> np.ndarray:
    """Whether a joint moves between each row and the next, ``(rows,)``."""
    moves = np.zeros(length, dtype=bool)
    for column, ranges in states.items():
        rows = dataset.vector(episode, column).astype(np.float64)[:, ranges.moving]
        steps = np.abs(np.diff(rows, axis=0)) / ranges.extent[ranges.moving]
        moves[: len(steps)] |= (steps > MOVING).any(axis=1)
    return moves


def measure_language(dataset: LeRobotDataset, column: str | None = None) -> Language | None:
    """Instructions by rows.

    Args:
        column: Column of task indices; by default the instruction that modality.json names, or
            ``task_index``.

    Raises:
        DatasetError: The column cannot be read.
    """
    column = column or _instruction_column(dataset)
    if column is None:
        return None
    rows: Counter[str] = Counter()
    for episode in dataset.episodes:
        indices = dataset.vector(episode.index, column)[:, 0]
        for index, count in zip(*np.unique(indices, return_counts=True), strict=True):
            text = dataset.tasks.get(int(index), "") if np.isfinite(index) else ""
            rows[text] += int(count)
    total = max(rows.total(), 1)
    empty = sorted(text for text in rows if is_placeholder(text))
    return Language(
        column=column,
        shares={text: count / total for text, count in rows.most_common(_SHOWN)},
        distinct=len(rows),
        empty_share=sum(rows[text] for text in empty) / total,
        placeholders=tuple(empty[:_SHOWN]),
    )


def is_placeholder(text: str) -> bool:
    """Whether a text is empty or a placeholder.

    Examples:
        >>> [is_placeholder(text) for text in ("", "valid", "Task 1", "42", "pick the pear")]
        [True, True, True, True, False]
    """
    letters = "".join(letter if letter.isalpha() else " " for letter in text.lower()).split()
    return (len(letters) < 2 and set(letters) <= PLACEHOLDERS) or text in PLACEHOLDERS


def _instruction_column(dataset: LeRobotDataset) -> str | None:
    annotations = (dataset.modality or {}).get("annotation")
    if isinstance(annotations, dict) and annotations:
        names = [name for name in _PREFERRED if name in annotations]
        names += [name for name in annotations if "valid" not in name]
        for name in names:
            item = annotations[name]
            original = item.get("original_key") if isinstance(item, dict) else None
            column = str(original or f"annotation.{name}")
            if column in dataset.features:
                return column
    return "task_index" if "task_index" in dataset.features else None
