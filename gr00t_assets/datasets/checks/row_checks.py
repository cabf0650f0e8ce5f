"""The rows of one episode: finite, numbered in order, of listed tasks, and a frame apart.

GR00T looks a row's image up by its timestamp, so that a wrong timestamp is a wrong image.
"""

import hashlib
from collections.abc import Collection, Iterable

import numpy as np

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.lerobot.rows import WRITE_AGAIN, Rows

RECORD_TIMES = "record the time of each frame from the start of its episode"


def measured_fps(times: np.ndarray) -> float | None:
    """Rows a second by the median step; none where there is no step forward.

    Args:
        times: Seconds, shape ``(rows,)``.
    """
    if len(times) < 3 or not np.isfinite(times).all():
        return None
    step = float(np.median(np.diff(times)))
    return 1 / step if step > 1e-6 else None


def check_timestamps(collector: Collector, file: str, times: np.ndarray, fps: float) -> None:
    """Hold the timestamps of an episode against the rate.

    Args:
        collector: Takes the findings.
        file: The episode's file.
        times: Seconds, shape ``(rows,)``, finite.
        fps: Rows a second.
    """
    steps = np.diff(times)
    back = np.flatnonzero(steps <= 0)
    if len(back):
        row = int(back[0])
        collector.report(
            "timestamp-order",
            file,
            f"row {row + 1} is at {times[row + 1]:g} s after {times[row]:g} s"
            + (f", and {len(back) - 1} more rows" if len(back) > 1 else ""),
        )
        return
    _check_start(collector, file, float(times[0]), fps)
    rate = measured_fps(times)
    if rate is not None and abs(rate - fps) > 0.01 * fps:
        collector.report(
            "timestamp-fps", file, f"{rate:.4g} rows a second by the timestamps", fps=fps
        )
        return
    off = np.abs(steps - 1 / fps)
    if len(off) and off.max() > 0.5 / fps:
        row = int(off.argmax())
        collector.report(
            "timestamp-step",
            file,
            f"{steps[row]:.4g} s between rows {row} and {row + 1}",
            step=1 / fps,
        )
        return
    drift = times - times[0] - np.arange(len(times)) / fps
    if np.abs(drift).max() > 0.5 / fps:
        row = int((np.abs(drift) > 0.5 / fps).argmax())
        collector.report(
            "timestamp-drift",
            file,
            f"row {row} is {drift[row] * fps:+.2f} frames from its place; "
            f"{rate or fps:.6g} rows a second by the timestamps",
            fps=fps,
        )


def _check_start(collector: Collector, file: str, first: float, fps: float) -> None:
    shift = round(first * fps)
    if shift == 0:
        return
    report = collector.warn if abs(shift) == 1 else collector.error
    report(
        "timestamp-start",
        file,
        f"the first row is at {first:.4g} s, so row i gets frame i{shift:+d}",
        "0 s",
        "subtract the first timestamp of each episode",
    )


def check_finite(collector: Collector, file: str, rows: Rows) -> set[str]:
    """Report NaN and infinite values.

    Returns:
        The columns that have some.
    """
    wrong_columns = set()
    for name, values in rows.values.items():
        if values.dtype.kind != "f":
            continue
        wrong = ~np.isfinite(values)
        count = int(np.count_nonzero(wrong))
        if not count:
            continue
        wrong_columns.add(name)
        row, number = (int(place) for place in np.argwhere(wrong)[0])
        collector.report(
            "not-finite",
            file,
            f"{count} values of {name}, first {values[row, number]} at row {row}, number {number}",
            remedy=RECORD_TIMES if name == "timestamp" else WRITE_AGAIN,
        )
    return wrong_columns


def check_indices(collector: Collector, file: str, rows: Rows, episode: int) -> None:
    """Hold the columns that number episodes and rows against the episode."""
    _check_numbers(
        collector, file, rows, "episode_index", np.full(rows.count, episode), f"{episode}"
    )
    frames = np.arange(rows.count)
    _check_numbers(collector, file, rows, "frame_index", frames, f"0 to {rows.count - 1} in order")
    index = rows.values.get("index")
    if index is not None and len(index) and (np.diff(index[:, 0]) != 1).any():
        collector.report("index-column", file, "index does not count up by one")


def _check_numbers(
    collector: Collector, file: str, rows: Rows, name: str, right: np.ndarray, expected: str
) -> None:
    values = rows.values.get(name)
    if values is None or np.array_equal(values[:, 0], right):
        return
    row = int((values[:, 0] != right).argmax())
    collector.error(
        name.replace("_", "-"),
        file,
        f"{name} is {values[row, 0]} at row {row}",
        expected,
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
            collector.report(
                "task-index-unknown",
                file,
                f"{name} is {short(unknown[0])}"
                + (f", and {len(unknown) - 1} more unknown" if len(unknown) > 1 else ""),
            )


def content_digest(rows: Rows, columns: Iterable[str]) -> bytes | None:
    """A digest that episodes with the same numbers share; none where a column cannot be read."""
    digest, is_empty = hashlib.blake2b(digest_size=16), True
    for name in columns:
        values = rows.values.get(name)
        if values is None or not values.size:
            return None
        digest.update(np.ascontiguousarray(values).tobytes())
        is_empty = False
    return None if is_empty else digest.digest()
