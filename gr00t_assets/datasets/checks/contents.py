"""The numbers of one episode's rows: finite, with the right indices and known tasks."""

import hashlib
from collections.abc import Collection, Iterable

import numpy as np

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.checks.columns import AGAIN, Rows
from gr00t_assets.datasets.checks.timestamps import RECORD


def check_finite(collector: Collector, file: str, rows: Rows) -> set[str]:
    """Report NaN and infinite values.

    Returns:
        The columns that have some.
    """
    spoilt = set()
    for name, values in rows.values.items():
        if values.dtype.kind != "f":
            continue
        wrong = ~np.isfinite(values)
        count = int(np.count_nonzero(wrong))
        if not count:
            continue
        spoilt.add(name)
        row, number = (int(place) for place in np.argwhere(wrong)[0])
        collector.error(
            "not-finite",
            file,
            f"{count} values of {name}, first {values[row, number]} at row {row}, number {number}",
            "finite numbers",
            RECORD if name == "timestamp" else AGAIN,
        )
    return spoilt


def check_indices(collector: Collector, file: str, rows: Rows, episode: int) -> None:
    """Hold the columns that number episodes and rows against the episode."""
    _same(collector, file, rows, "episode_index", np.full(rows.count, episode), f"{episode}")
    frames = np.arange(rows.count)
    _same(collector, file, rows, "frame_index", frames, f"0 to {rows.count - 1} in order")
    index = rows.values.get("index")
    if index is not None and len(index) and (np.diff(index[:, 0]) != 1).any():
        collector.warn(
            "index-column",
            file,
            "index does not count up by one",
            "the number of the row in the whole dataset",
            "number the rows anew",
        )


def _same(
    collector: Collector, file: str, rows: Rows, name: str, wanted: np.ndarray, words: str
) -> None:
    found = rows.values.get(name)
    if found is None or np.array_equal(found[:, 0], wanted):
        return
    row = int((found[:, 0] != wanted).argmax())
    collector.error(
        name.replace("_", "-"),
        file,
        f"{name} is {found[row, 0]} at row {row}",
        words,
        "the rows are of another episode, or were cut: put the right file in place",
    )


def check_task_indices(
    collector: Collector, file: str, rows: Rows, columns: Iterable[str], tasks: Collection[int]
) -> None:
    """Report task indices of the rows that ``meta/tasks.jsonl`` does not have."""
    for name in columns:
        values = rows.values.get(name)
        if values is None:
            continue
        unknown = [value for value in np.unique(values).tolist() if value not in tasks]
        if unknown:
            collector.error(
                "task-index-unknown",
                file,
                f"{name} is {short(unknown[0])}"
                + (f", and {len(unknown) - 1} more unknown" if len(unknown) > 1 else ""),
                "task indices of meta/tasks.jsonl",
                "add the task to meta/tasks.jsonl, or correct the rows",
            )


def content_digest(rows: Rows, columns: Iterable[str]) -> bytes | None:
    """What two episodes with the same numbers share; none where a column cannot be read."""
    digest = hashlib.blake2b(digest_size=16)
    seen = False
    for name in columns:
        values = rows.values.get(name)
        if values is None or not values.size:
            return None
        digest.update(np.ascontiguousarray(values).tobytes())
        seen = True
    return digest.digest() if seen else None
