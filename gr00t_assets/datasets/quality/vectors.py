"""State and action: ranges, quantiles, jumps, rest, and actions that repeat the state."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Copy, Idle, Vector
from gr00t_assets.datasets.quality.thresholds import (
    COPY_SLACK,
    IDLE_MOVE,
    JUMP,
    SAMPLED_ROWS,
    SWITCH_VALUES,
)
from gr00t_assets.modality.modality_json import DEFAULT_COLUMNS, Modality


@dataclass(frozen=True)
class Slice:
    """A key of modality.json: its column and the dimensions in it."""

    key: str
    column: str
    start: int
    end: int

    @property
    def span(self) -> slice:
        """The dimensions as NumPy takes them."""
        return slice(self.start, self.end)


def key_slices(dataset: LeRobotDataset, modality: Modality) -> list[Slice]:
    """Keys of ``state`` or ``action``; of a dataset without modality.json the whole column."""
    slices, default = [], DEFAULT_COLUMNS[modality]
    keys = (dataset.modality or {}).get(modality)
    for key, item in (keys if isinstance(keys, dict) else {}).items():
        if isinstance(item, dict):
            column = str(item.get("original_key") or default)
            start, end = item.get("start"), item.get("end")
            if column in dataset.features and isinstance(start, int) and isinstance(end, int):
                slices.append(Slice(str(key), column, start, end))
    if not slices and default in dataset.features:
        slices.append(Slice("all", default, 0, dataset.features[default].width))
    return slices


def dimension_names(column: str, width: int, keys: list[Slice]) -> tuple[str, ...]:
    """A name for each dimension: its key and its number in the key, or its number alone."""
    names = [str(number) for number in range(width)]
    for item in keys:
        if item.column == column and item.key != "all":
            for number in range(max(item.start, 0), min(item.end, width)):
                names[number] = f"{item.key} {number - item.start}"
    return tuple(names)


def stored_quantiles(statistics: Any, column: str, width: int) -> np.ndarray | None:
    """``(2, width)``: q01 and q99 of meta/stats.json, or None where it has none that fit."""
    try:
        entry = statistics[column]
        quantiles = np.array([entry["q01"], entry["q99"]], np.float64).reshape(2, -1)
    except (KeyError, TypeError, ValueError):
        return None
    fits = quantiles.shape == (2, width) and np.isfinite(quantiles).all()
    return quantiles if fits else None


def column_by_episode(dataset: LeRobotDataset, column: str) -> Iterator[np.ndarray]:
    """A column, episode by episode, ``(rows, width)`` float64; what is not finite becomes NaN.

    Raises:
        DatasetError: It cannot be read, or its width changes.
    """
    width = None
    for episode in dataset.episodes:
        rows = dataset.vector(episode.index, column).astype(np.float64)
        width = rows.shape[1] if width is None else width
        if rows.shape[1] != width:
            problem = f"{column} has {rows.shape[1]} numbers in episode {episode.index}."
            raise DatasetError(dataset.name, problem, [f"the episodes before it have {width}"])
        rows[~np.isfinite(rows)] = np.nan
        yield rows


@dataclass(frozen=True)
class Ranges:
    """The range of a column's values.

    Attributes:
        minimum: By dimension.
        maximum: By dimension.
        quantiles: ``(2, width)``, q01 and q99.
        stored: The quantiles are those of ``meta/stats.json``.
        switches: Dimensions with a few values only.
    """

    minimum: np.ndarray
    maximum: np.ndarray
    quantiles: np.ndarray
    stored: bool
    switches: np.ndarray

    @property
    def extent(self) -> np.ndarray:
        """Maximum less minimum, by dimension."""
        return self.maximum - self.minimum

    @property
    def moving(self) -> np.ndarray:
        """Dimensions that change."""
        return self.extent > 0


def column_ranges(dataset: LeRobotDataset, column: str, statistics: object) -> Ranges:
    """First pass over a column, one episode in memory and at most ``SAMPLED_ROWS`` rows.

    Raises:
        DatasetError: The column cannot be read.
    """
    every = -(-dataset.frame_count // SAMPLED_ROWS) or 1
    low = high = None
    sampled = []
    for rows in column_by_episode(dataset, column):
        if not len(rows):
            continue
        smallest, largest = np.fmin.reduce(rows), np.fmax.reduce(rows)
        low = smallest if low is None else np.fmin(low, smallest)
        high = largest if high is None else np.fmax(high, largest)
        sampled.append(rows[::every].copy())
    if low is None or high is None:
        low = high = np.zeros(0)
        sampled = [np.zeros((1, 0))]
    sample = np.nan_to_num(np.concatenate(sampled), nan=0.0)
    quantiles = stored_quantiles(statistics, column, len(low))
    values = np.array([len(np.unique(dimension)) for dimension in sample.T], dtype=int)
    return Ranges(
        minimum=np.nan_to_num(low),
        maximum=np.nan_to_num(high),
        quantiles=np.quantile(sample, [0.01, 0.99], axis=0) if quantiles is None else quantiles,
        stored=quantiles is not None,
        switches=values <= SWITCH_VALUES,
    )


def measure_vector(
    dataset: LeRobotDataset, column: str, ranges: Ranges, keys: list[Slice]
) -> Vector:
    """Second pass: rows outside the quantiles, and steps between successive rows.

    Raises:
        DatasetError: The column cannot be read.
    """
    width = len(ranges.minimum)
    names = dimension_names(column, width, keys)
    counted = ranges.moving & ~ranges.switches
    extent = np.where(ranges.moving, ranges.extent, 1.0)
    slack = 1e-6 * extent
    outside, largest = np.zeros(width), np.zeros(width)
    rows_seen = steps = jumps = 0
    first = None
    for episode, rows in zip(dataset.episodes, column_by_episode(dataset, column), strict=True):
        low, high = ranges.quantiles[0] - slack, ranges.quantiles[1] + slack
        outside += ((rows < low) | (rows > high)).sum(axis=0)
        rows_seen += len(rows)
        moved = np.where(counted, np.nan_to_num(np.abs(np.diff(rows, axis=0)) / extent), 0.0)
        steps += len(moved)
        if not moved.size:
            continue
        largest = np.maximum(largest, moved.max(axis=0))
        jumping = np.flatnonzero((moved > JUMP).any(axis=1))
        jumps += len(jumping)
        if first is None and len(jumping):
            row = int(jumping[0])
            name = names[int(moved[row].argmax())]
            first = f"episode {episode.index} row {row + 1}, {name}"
    return Vector(
        column=column,
        labels=names,
        minimum=tuple(ranges.minimum.tolist()),
        maximum=tuple(ranges.maximum.tolist()),
        q01=tuple(ranges.quantiles[0].tolist()),
        q99=tuple(ranges.quantiles[1].tolist()),
        stored=ranges.stored,
        outside=tuple((np.where(ranges.moving, outside, 0) / max(rows_seen, 1)).tolist()),
        largest_step=tuple(largest.tolist()),
        steps=steps,
        jumps=jumps,
        first_jump=first,
    )


def measure_idle(dataset: LeRobotDataset, columns: dict[str, Ranges]) -> Idle | None:
    """Rows at rest at the start and the end of every episode, all of these columns together.

    Raises:
        DatasetError: A column cannot be read.
    """
    used = {column: ranges for column, ranges in columns.items() if ranges.moving.any()}
    if not used:
        return None
    start, end = [], []
    for parts in zip(*(column_by_episode(dataset, column) for column in used), strict=True):
        scaled = [
            rows[:, ranges.moving] / ranges.extent[ranges.moving]
            for rows, ranges in zip(parts, used.values(), strict=True)
        ]
        rows = np.concatenate(scaled, axis=1)
        start.append(_rows_at_rest(rows))
        end.append(_rows_at_rest(rows[::-1]))
    total = max(dataset.frame_count, 1)
    return Idle(
        start=tuple(start),
        end=tuple(end),
        start_share=sum(start) / total,
        end_share=sum(end) / total,
    )


def measure_copies(
    dataset: LeRobotDataset, states: list[Slice], actions: list[Slice], ranges: dict[str, Ranges]
) -> tuple[Copy, ...]:
    """Share of rows whose action is the state of the same row, by key that is in both.

    A joint that is held still repeats its state rightly; one that moves and repeats it was recorded
    without its commands.

    Raises:
        DatasetError: A column cannot be read.
    """
    by_key = {item.key: item for item in actions}
    pairs: list[tuple[Slice, Slice, np.ndarray]] = []
    for state in states:
        action = by_key.get(state.key)
        if action is not None and state.end - state.start == action.end - action.start:
            extents = [ranges[item.column].extent[item.span] for item in (state, action)]
            pairs.append((state, action, np.maximum(*extents)))
    counts = {state.key: np.zeros(3, dtype=int) for state, _, _ in pairs}
    columns = dict.fromkeys(item.column for pair in pairs for item in pair[:2])
    for parts in zip(*(column_by_episode(dataset, column) for column in columns), strict=True):
        rows = dict(zip(columns, parts, strict=True))
        for state, action, extent in pairs:
            slack = COPY_SLACK * extent[extent > 0]
            now = rows[state.column][:, state.span][:, extent > 0]
            commanded = rows[action.column][:, action.span][:, extent > 0]
            equal = (np.abs(now - commanded) <= slack).all(axis=1)
            moving = (np.abs(np.diff(now, axis=0)) > slack).any(axis=1)
            counts[state.key] += equal.sum(), moving.sum(), (equal[:-1] & moving).sum()
    copies = []
    for state, _, extent in pairs:
        same, moved, followed = counts[state.key].tolist()
        share = same / max(dataset.frame_count, 1) if (extent > 0).any() else None
        moving_share = followed / moved if moved else None
        copies.append(Copy(key=state.key, share=share, moving_share=moving_share))
    return tuple(copies)


def _rows_at_rest(rows: np.ndarray) -> int:
    """Rows before the first that is away from the first row; all but one of an idle episode."""
    away = (np.abs(rows - rows[:1]) > IDLE_MOVE).any(axis=1)
    return int(away.argmax()) - 1 if away.any() else max(len(rows) - 1, 0)
