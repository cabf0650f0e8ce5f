"""State and action by episode: keys, ranges, quantiles and jumps."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Vector
from gr00t_assets.datasets.quality.thresholds import (
    JUMP,
    MOVING,
    NOISE_STEP,
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
    def size(self) -> int:
        """How many dimensions."""
        return self.end - self.start

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
            width = dataset.features[column].width if column in dataset.features else 0
            if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= width:
                slices.append(Slice(str(key), column, start, end))
    if not slices and default in dataset.features:
        slices.append(Slice("all", default, 0, dataset.features[default].width))
    return slices


def dimension_names(
    dataset: LeRobotDataset, column: str, width: int, keys: list[Slice]
) -> tuple[str, ...]:
    """A name for each dimension: its key and its number in the key, or the name that
    ``meta/info.json`` gives it, or its number alone.
    """
    declared = dataset.features[column].names if column in dataset.features else ()
    names = list(declared) if len(declared) == width else [str(number) for number in range(width)]
    for item in keys:
        if item.column == column and item.key != "all":
            for number in range(max(item.start, 0), min(item.end, width)):
                names[number] = f"{item.key} {number - item.start}"
    return tuple(names)


def matching_keys(states: list[Slice], actions: list[Slice]) -> list[tuple[Slice, Slice]]:
    """State and action of each key that is in both, of one size."""
    by_key = {item.key: item for item in actions}
    pairs = [(state, by_key[state.key]) for state in states if state.key in by_key]
    return [(state, action) for state, action in pairs if state.size == action.size]


def stored_quantiles(statistics: Any, column: str, width: int) -> np.ndarray | None:
    """``(2, width)``: q01 and q99 of meta/stats.json, or None where it has none that fit."""
    try:
        entry = statistics[column]
        quantiles = np.array([entry["q01"], entry["q99"]], np.float64).reshape(2, -1)
    except (KeyError, TypeError, ValueError):
        return None
    fits = quantiles.shape == (2, width) and np.isfinite(quantiles).all()
    return quantiles if fits else None


def rows_by_episode(
    dataset: LeRobotDataset, columns: Iterable[str]
) -> Iterator[dict[str, np.ndarray]]:
    """Columns by name, episode by episode, ``(rows, width)`` float64; what is not finite becomes
    NaN.

    Raises:
        DatasetError: One cannot be read, or its width changes.
    """
    widths: dict[str, int] = {}
    names = list(dict.fromkeys(columns))
    for episode in dataset.episodes if names else ():
        rows = dataset.vectors(episode.index, names)
        for column in names:
            values = rows[column] = rows[column].astype(np.float64)
            width = widths.setdefault(column, values.shape[1])
            if values.shape[1] != width:
                problem = f"{column} has {values.shape[1]} numbers in episode {episode.index}."
                raise DatasetError(dataset.name, problem, [f"the episodes before it have {width}"])
            values[~np.isfinite(values)] = np.nan
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
        noise: Dimensions whose usual step between rows is as large as their values are spread, as
            of a sensor that is read but not used.
    """

    minimum: np.ndarray
    maximum: np.ndarray
    quantiles: np.ndarray
    stored: bool
    switches: np.ndarray
    noise: np.ndarray

    @property
    def extent(self) -> np.ndarray:
        """Maximum less minimum, by dimension."""
        return self.maximum - self.minimum

    @property
    def moving(self) -> np.ndarray:
        """Dimensions that change."""
        return self.extent > 0

    @property
    def counted(self) -> np.ndarray:
        """Dimensions that change and are no switches."""
        return self.moving & ~self.switches

    @property
    def scale(self) -> np.ndarray:
        """The extent; 1 of a dimension that never changes."""
        return np.where(self.moving, self.extent, 1.0)


def robot_moves(
    rows: Mapping[str, np.ndarray], joints: Mapping[str, Ranges], count: int
) -> np.ndarray:
    """Whether a joint moves between each of ``count`` rows and the next; False of the last."""
    moves = np.zeros(count, dtype=bool)
    for column, ranges in joints.items():
        steps = np.abs(np.diff(rows[column].astype(np.float64), axis=0)) / ranges.scale
        moves[: len(steps)] |= ((steps > MOVING) & ~ranges.noise).any(axis=1)
    return moves


def column_ranges(dataset: LeRobotDataset, column: str, statistics: object) -> Ranges:
    """First pass over a column, one episode in memory and at most ``SAMPLED_ROWS`` rows.

    Raises:
        DatasetError: The column cannot be read.
    """
    every = -(-dataset.frame_count // SAMPLED_ROWS) or 1
    low = high = None
    sampled, steps = [], []
    for rows in (parts[column] for parts in rows_by_episode(dataset, [column])):
        if not len(rows):
            continue
        smallest, largest = np.fmin.reduce(rows), np.fmax.reduce(rows)
        low = smallest if low is None else np.fmin(low, smallest)
        high = largest if high is None else np.fmax(high, largest)
        sampled.append(rows[::every].copy())
        steps.append(np.abs(np.nan_to_num(np.diff(rows, axis=0, prepend=rows[:1])[::every])))
    if low is None or high is None:
        low = high = np.zeros(0)
        sampled = steps = [np.zeros((1, 0))]
    sample = np.nan_to_num(np.concatenate(sampled), nan=0.0)
    quantiles = stored_quantiles(statistics, column, len(low))
    quartiles = np.quantile(sample, [0.25, 0.75], axis=0)
    values = np.array([len(np.unique(dimension)) for dimension in sample.T], dtype=int)
    return Ranges(
        minimum=np.nan_to_num(low),
        maximum=np.nan_to_num(high),
        quantiles=np.quantile(sample, [0.01, 0.99], axis=0) if quantiles is None else quantiles,
        stored=quantiles is not None,
        switches=values <= SWITCH_VALUES,
        noise=np.median(np.concatenate(steps), axis=0) > NOISE_STEP * np.ptp(quartiles, axis=0),
    )


def measure_vector(
    dataset: LeRobotDataset, column: str, ranges: Ranges, keys: list[Slice]
) -> Vector:
    """Second pass: rows outside the quantiles, and steps between successive rows.

    Raises:
        DatasetError: The column cannot be read.
    """
    width = len(ranges.minimum)
    names = dimension_names(dataset, column, width, keys)
    slack = 1e-6 * ranges.scale
    outside, largest = np.zeros(width), np.zeros(width)
    rows_seen = steps = 0
    jumps: dict[int, int] = {}
    first = None
    for episode, parts in zip(dataset.episodes, rows_by_episode(dataset, [column]), strict=True):
        rows = parts[column]
        low, high = ranges.quantiles[0] - slack, ranges.quantiles[1] + slack
        outside += ((rows < low) | (rows > high)).sum(axis=0)
        rows_seen += len(rows)
        steps_taken = np.nan_to_num(np.abs(np.diff(rows, axis=0)) / ranges.scale)
        moved = np.where(ranges.counted, steps_taken, 0.0)
        steps += len(moved)
        if not moved.size:
            continue
        largest = np.maximum(largest, moved.max(axis=0))
        jumping = np.flatnonzero((moved > JUMP).any(axis=1))
        if len(jumping):
            jumps[episode.index] = len(jumping)
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
        jumps=sum(jumps.values()),
        jumps_by_episode=jumps,
        first_jump=first,
    )
