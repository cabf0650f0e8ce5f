"""Measuring the quality of a dataset: what no check forbids and a policy still learns from."""

import json
from collections import Counter
from contextlib import suppress

import numpy as np

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.info import V30
from gr00t_assets.datasets.lerobot.statistics import STATS
from gr00t_assets.datasets.quality.cameras import measure_camera
from gr00t_assets.datasets.quality.duplicates import RepeatPass
from gr00t_assets.datasets.quality.figures import Language, Lengths, Quality
from gr00t_assets.datasets.quality.motion import MotionPass
from gr00t_assets.datasets.quality.scores import episode_scores
from gr00t_assets.datasets.quality.stillness import measure_copies, measure_idle
from gr00t_assets.datasets.quality.table import find_warnings
from gr00t_assets.datasets.quality.thresholds import LENGTH_FACTOR, PLACEHOLDERS
from gr00t_assets.datasets.quality.vectors import (
    column_ranges,
    key_slices,
    measure_vector,
    rows_by_episode,
)

_PREFERRED = ("human.action.task_description", "human.task_description", "human.coarse_action")
_SHOWN = 50
"""Instructions that are listed."""


def measure_quality(
    dataset: LeRobotDataset, cache: FrameCache | None, language_column: str | None = None
) -> Quality:
    """Figures of a dataset, with a warning for each threshold that one of them passes.

    Reads the rows a few times, an episode at a time, and the frames of some whole episodes.

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
    if dataset.info.version != V30:  # Its quantiles are means of the episodes' quantiles.
        with suppress(OSError, ValueError):  # Other checks report a damaged file.
            statistics = json.loads((dataset.directory / STATS).read_text())
    ranges = {column: column_ranges(dataset, column, statistics) for column in columns}
    at_rest = dict.fromkeys(item.column for item in states or actions)
    joints = {column: ranges[column] for column in at_rest}
    motion, repeats = MotionPass(dataset, states, actions, ranges), RepeatPass(dataset, ranges)
    for rows in rows_by_episode(dataset, columns):
        motion.add(rows)
        repeats.add(rows)
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
        motion=motion.result(),
        repeats=repeats.result(),
        language=measure_language(dataset, language_column),
        cameras=()
        if cache is None
        else tuple(measure_camera(dataset, cache, camera, joints) for camera in cache.cameras),
    )
    scores = episode_scores(measured, [episode.index for episode in dataset.episodes])
    measured = measured.model_copy(update={"scores": scores})
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
