"""Rows at the ends of episodes in which the robot rests; see ``IdleTrim`` for the formula."""

from collections.abc import Iterator

import numpy as np

from gr00t_assets.datasets.curation import IdleTrim
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.columns import vector_keys


def rows_to_trim(dataset: LeRobotDataset, trim: IdleTrim) -> dict[int, tuple[int, int]]:
    """How many rows are cut off at the start and the end of each episode that has some.

    Raises:
        DatasetError: A column of state or action cannot be read.
    """
    extremes = [
        np.stack([np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)]) for _, rows in _joints(dataset)
    ]
    if not extremes:
        return {}
    ranges = np.max(extremes, axis=0)[1] - np.min(extremes, axis=0)[0]
    limits, trimmed = trim.threshold * ranges, {}
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
    """Episode number and all numbers of state and action keys, shape ``(rows, numbers)``."""
    slices = [*vector_keys(dataset, "state"), *vector_keys(dataset, "action")]
    for episode in dataset.episodes if slices else ():
        columns = dataset.vectors(episode.index, [item.column for item in slices])
        parts = [columns[item.column][:, item.span].astype(np.float64) for item in slices]
        yield episode.index, np.concatenate(parts, axis=1)


def _first_moving(rows: np.ndarray, window: int, limits: np.ndarray) -> int | None:
    """The first row within whose last second a number goes further than its limit, or None.

    Args:
        window: Rows of a second.
        limits: How far each number may go in a second.
    """
    padded = np.concatenate([np.repeat(rows[:1], window, axis=0), rows])
    seconds = np.lib.stride_tricks.sliding_window_view(padded, window + 1, axis=0)
    moving = ((seconds.max(axis=-1) - seconds.min(axis=-1)) > limits).any(axis=1)
    return int(moving.argmax()) if moving.any() else None
