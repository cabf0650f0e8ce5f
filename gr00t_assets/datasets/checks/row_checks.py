"""The rows of one episode: finite, numbered in order, of listed tasks, and a frame apart.

GR00T looks a row's image up by its timestamp, so that a wrong timestamp is a wrong image.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.lerobot.rows import Rows

Report = Callable[..., None]
"""``report(fault, found, **texts)``: adds a finding of the file that is looked at."""


def reporter(collector: Collector, file: str, episode: int | None) -> Report:
    """Reports on the rows of an episode.

    Args:
        episode: Its index where the file holds others, too.
    """
    place = "" if episode is None else f"episode {episode}: "

    def report(fault: str, found: str, **texts: object) -> None:
        collector.report(fault, file, place + found, **texts)

    return report


def measured_fps(times: np.ndarray) -> float | None:
    """Rows a second by the median step; none where there is no step forward.

    Args:
        times: Seconds, shape ``(rows,)``.
    """
    if len(times) < 3 or not np.isfinite(times).all():
        return None
    step = float(np.median(np.diff(times)))
    return 1 / step if step > 1e-6 else None


def check_timestamps(report: Report, times: np.ndarray, fps: float) -> None:
    """Hold the timestamps of an episode against the rate; the first fault alone is reported.

    Args:
        times: Seconds, shape ``(rows,)``, finite.
        fps: Rows a second.
    """
    steps = np.diff(times)
    back = np.flatnonzero(steps <= 0)
    if len(back):
        row = int(back[0])
        found = f"row {row + 1} is at {times[row + 1]:g} s after {times[row]:g} s"
        found += f", and {len(back) - 1} more rows" if len(back) > 1 else ""
        report("timestamp-order", found)
        return
    shift = round(float(times[0]) * fps)
    if shift:
        fault = "timestamp-start-late" if abs(shift) == 1 else "timestamp-start"
        found = f"the first row is at {times[0]:.4g} s, so row i gets frame i{shift:+d}"
        report(fault, found)
    rate = measured_fps(times)
    off = np.abs(steps - 1 / fps)
    drift = times - times[0] - np.arange(len(times)) / fps
    if rate is not None and abs(rate - fps) > 0.01 * fps:
        found = f"{rate:.4g} rows a second by the timestamps"
        report("timestamp-fps", found, fps=fps)
    elif len(off) and off.max() > 0.5 / fps:
        row = int(off.argmax())
        found = f"{steps[row]:.4g} s between rows {row} and {row + 1}"
        report("timestamp-step", found, step=1 / fps)
    elif np.abs(drift).max() > 0.5 / fps:
        row = int((np.abs(drift) > 0.5 / fps).argmax())
        found = f"row {row} is {drift[row] * fps:+.2f} frames from its place; "
        found += f"{rate or fps:.6g} rows a second by the timestamps"
        report("timestamp-drift", found, fps=fps)


def check_finite(report: Report, rows: Rows) -> set[str]:
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
        row, number = np.argwhere(wrong)[0].tolist()
        report(
            "timestamp-not-finite" if name == "timestamp" else "not-finite",
            f"{count} values of {name}, first {values[row, number]} at row {row}, number {number}",
        )
    return wrong_columns


def check_indices(report: Report, rows: Rows, episode: int) -> None:
    """Hold the columns that number episodes and rows against the episode."""
    for name, fault, right in (
        ("episode_index", "episode-index", np.full(rows.count, episode)),
        ("frame_index", "frame-index", np.arange(rows.count)),
    ):
        values = rows.values.get(name)
        if values is not None and not np.array_equal(values[:, 0], right):
            row = int((values[:, 0] != right).argmax())
            texts = {"episode": episode, "last": rows.count - 1}
            report(fault, f"{name} is {values[row, 0]} at row {row}", **texts)
    index = rows.values.get("index")
    if index is not None and len(index) and (np.diff(index[:, 0]) != 1).any():
        report("index-column", "index does not count up by one")


def check_task_indices(
    report: Report, rows: Rows, columns: Iterable[str], tasks: Mapping[int, str], file: str
) -> None:
    """Report task indices of the rows that the list of tasks does not have.

    Args:
        file: The list of tasks.
    """
    for name in columns:
        values = rows.values.get(name)
        if values is None:
            continue
        unknown = [value for value in np.unique(values).tolist() if value not in tasks]
        if unknown:
            found = f"{name} is {short(unknown[0])}"
            found += f", and {len(unknown) - 1} more unknown" if len(unknown) > 1 else ""
            report("task-index-unknown", found, file=file)


def check_episode_tasks(
    collector: Collector, file: str, episode: Episode, rows: Rows, tasks: Mapping[int, str]
) -> None:
    """Report an instruction of the rows that the list of episodes does not have.

    Args:
        file: The list of episodes.
    """
    values = rows.values.get("task_index")
    if values is None or not episode.tasks:
        return
    texts = [tasks[index] for index in np.unique(values).tolist() if index in tasks]
    others = [text for text in texts if text not in episode.tasks]
    if others:
        found = f"episode {episode.index} is listed with {short(episode.tasks[0])}"
        found += f" and {len(episode.tasks) - 1} more" if len(episode.tasks) > 1 else ""
        collector.report("episode-task-differs", file, found, task=short(others[0]))


def content_digest(rows: Rows, columns: Iterable[str]) -> bytes | None:
    """A digest that episodes with the same numbers share; none where a column cannot be read."""
    arrays = [rows.values.get(name) for name in columns]
    digest = hashlib.blake2b(digest_size=16)
    for values in arrays:
        if values is None or not values.size:
            return None
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.digest() if arrays else None
