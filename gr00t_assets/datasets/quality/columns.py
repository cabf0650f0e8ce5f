"""State and action columns of a dataset, and the names of their dimensions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset

DEFAULTS = {"state": "observation.state", "action": "action"}


@dataclass(frozen=True)
class Slice:
    """A key of modality.json: its column and the dimensions in it."""

    key: str
    column: str
    start: int
    end: int


def slices(dataset: LeRobotDataset, modality: str) -> list[Slice]:
    """Keys of ``state`` or ``action``; of a dataset without modality.json the whole column."""
    found = []
    keys = (dataset.modality or {}).get(modality)
    for key, item in (keys if isinstance(keys, dict) else {}).items():
        if not isinstance(item, dict):
            continue
        column = str(item.get("original_key") or DEFAULTS[modality])
        start, end = item.get("start"), item.get("end")
        if column in dataset.columns and isinstance(start, int) and isinstance(end, int):
            found.append(Slice(str(key), column, start, end))
    column = DEFAULTS[modality]
    if not found and column in dataset.columns:
        width = int(np.prod(dataset.columns[column].get("shape") or [1]))
        found.append(Slice("all", column, 0, width))
    return found


def labels(column: str, width: int, keys: list[Slice]) -> tuple[str, ...]:
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
        found = np.array([statistics[column]["q01"], statistics[column]["q99"]], dtype=np.float64)
    except (KeyError, TypeError, ValueError):
        return None
    found = found.reshape(2, -1)
    return found if found.shape == (2, width) and np.isfinite(found).all() else None


def episodes_of(dataset: LeRobotDataset, column: str) -> Iterator[np.ndarray]:
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
            details = [f"the episodes before it have {width}"]
            raise DatasetError(dataset.name, problem, details)
        rows[~np.isfinite(rows)] = np.nan
        yield rows
