"""The rows of one episode: finite, numbered in order, of listed tasks, and a frame apart.

GR00T looks a row's image up by its timestamp, so that a wrong timestamp is a wrong image. And
``meta/stats.json`` is held against statistics of the rows.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.checks.meta_files import number_names
from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.metadata import Metadata
from gr00t_assets.datasets.lerobot.rows import Rows
from gr00t_assets.datasets.lerobot.statistics import STATISTIC_NAMES, STATS, RunningStatistics
from gr00t_assets.modality.modality_json import Modality, ModalityFile

Report = Callable[..., None]  # ``report(fault, found, **texts)``, of the file that is looked at

LEROBOT_VARIANCE = 1e-6  # of the squared mean, by which LeRobot's variance may be off, at 0.6.1


def measured_fps(times: np.ndarray) -> float | None:
    """Rows a second by the median step of times in seconds; none where none goes forward."""
    if len(times) < 3 or not np.isfinite(times).all():
        return None
    step = float(np.median(np.diff(times)))
    return 1 / step if step > 1e-6 else None


def check_timestamps(report: Report, times: np.ndarray, fps: float) -> None:
    """Hold the timestamps of an episode, seconds, ``(rows,)``, finite, against the rate.

    The first fault alone is reported.
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
        report(fault, f"the first row is at {times[0]:.4g} s, so row i gets frame i{shift:+d}")
    rate, off = measured_fps(times), np.abs(steps - 1 / fps)
    drift = times - times[0] - np.arange(len(times)) / fps
    if rate is not None and abs(rate - fps) > 0.01 * fps:
        report("timestamp-fps", f"{rate:.4g} rows a second by the timestamps", fps=fps)
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
    """Report NaN and infinite values; gives the columns that have some."""
    columns = set()
    for name, values in rows.values.items():
        wrong = ~np.isfinite(values)
        if count := np.count_nonzero(wrong):
            columns.add(name)
            row, number = np.argwhere(wrong)[0].tolist()
            fault = "timestamp-not-finite" if name == "timestamp" else "not-finite"
            first = f"first {values[row, number]} at row {row}, number {number}"
            report(fault, f"{count} values of {name}, {first}")
    return columns


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


def check_tasks(
    report: Report, rows: Rows, columns: Iterable[str], episode: Episode, metadata: Metadata
) -> None:
    """Report task indices that are not listed, and instructions that the episode does not list."""
    tasks, info, collector = metadata.tasks or {}, metadata.info, metadata.folder.collector
    for name in columns:
        values = rows.values.get(name, ())
        if unknown := [value for value in np.unique(values).tolist() if value not in tasks]:
            found = f"{name} is {short(unknown[0])}"
            found += f", and {len(unknown) - 1} more unknown" if len(unknown) > 1 else ""
            report("task-index-unknown", found, file=info.tasks_file)
    indices = np.unique(rows.values.get("task_index", ())).tolist()
    texts = [tasks[index] for index in indices if index in tasks]
    others = [text for text in texts if text not in episode.tasks]
    if others and episode.tasks:
        found = f"episode {episode.index} is listed with {short(episode.tasks[0])}"
        found += f" and {len(episode.tasks) - 1} more" if len(episode.tasks) > 1 else ""
        task = short(others[0])
        collector.report("episode-task-differs", info.episodes_file, found, task=task)


def content_digest(rows: Rows, columns: Iterable[str]) -> bytes | None:
    """A digest that episodes with the same numbers share; none where a column cannot be read."""
    arrays = [rows.values.get(name) for name in columns]
    digest = hashlib.blake2b(digest_size=16)
    for values in arrays:
        if values is None or not values.size:
            return None
        digest.update(values.tobytes())
    return digest.digest() if arrays else None


def check_statistics(
    collector: Collector,
    modality: ModalityFile | None,
    stored: Mapping[str, Any],
    columns: Iterable[tuple[Feature, Modality, RunningStatistics | None]],
    used: bool,
) -> None:
    """Hold ``stats.json`` against statistics of the rows; none where some could not be read.

    In v2.x a training uses what is stored. Nothing uses what is stored in v3.0, since the store
    computes statistics from the rows, so nothing of it is an error. LeRobot's quantiles are means
    of those of the episodes, or read off a histogram: of all that differ one is reported.
    """
    of_quantiles, first = 0, ""
    for column, kind, running in columns:
        entry = stored.get(column.name)
        entry = entry if isinstance(entry, dict) else {}
        if lacking := [name for name in STATISTIC_NAMES if name not in entry]:
            found = f"no {', '.join(lacking)} of {column.name}"
            collector.report("stats-incomplete", STATS, found, names=", ".join(STATISTIC_NAMES))
        truth = running.result() if running is not None and running.count else {}
        differing: dict[str, np.ndarray] = {}
        for name in (name for name in STATISTIC_NAMES if name in entry):
            values = _numbers(entry[name])
            # LeRobot merges the leading ones of several axes with the rows.
            is_merged = column.is_flattened and column.shape[-1] != column.width
            if is_merged and values is not None and values.size == column.shape[-1]:
                continue
            if values is None or values.shape != (column.width,) or not np.isfinite(values).all():
                shown = "no list of numbers" if values is None else f"{values.size} numbers"
                finite = values is None or np.isfinite(values).all()
                found = f"{name} of {column.name} is {shown if finite else 'not finite'}"
                fault = "stats-field" if used else "stats-field-unused"
                collector.report(fault, STATS, found, width=column.width)
            elif running is not None and name in truth:
                errors = np.abs(values - truth[name]) / _tolerance(name, truth, running.count, used)
                differing[name] = np.nan_to_num(errors, nan=np.inf)
        quantiles = {} if used else {n: e for n, e in differing.items() if n[0] == "q"}
        others = {name: errors for name, errors in differing.items() if name not in quantiles}
        for wrong in (others, quantiles):
            count = sum(int((values > 1).sum()) for values in wrong.values())
            if not count:
                continue
            name = max(wrong, key=lambda name: wrong[name].max())
            number = int(wrong[name].argmax())
            where = number_names(modality, kind, column, [number])
            found = f"{name} of {column.name}, {where}, is {np.ravel(entry[name])[number]:.6g}"
            right = float(truth[name][number])
            if wrong is quantiles:
                first = first or f"{found} in place of {right:.6g}"
                of_quantiles += count
            else:
                found += f"; {count - 1} more differ" if count > 1 else ""
                fault = "stats-mismatch" if used else "stats-mismatch-unused"
                collector.report(fault, STATS, found, right=right)
    if of_quantiles:
        found = f"{of_quantiles} quantiles are not those of the rows: {first}"
        collector.report("stats-quantiles", STATS, found)


def _tolerance(name: str, truth: Mapping[str, np.ndarray], rows: int, used: bool) -> np.ndarray:
    """How far a number may be off: rounding in float32, and other definitions of deviation.

    LeRobot's standard deviations come of ``mean(x ** 2) - mean(x) ** 2`` in float32.
    """
    largest = np.maximum(np.abs(truth["min"]), np.abs(truth["max"]))
    rounding = 1e-6 + 1e-5 * largest
    spread = truth["max"] - truth["min"]
    if name in ("min", "max"):
        return rounding + 1e-4 * spread
    if name not in ("mean", "std"):
        return rounding + 0.01 * spread
    rounding += 0.01 * truth["std"] + 3e-8 * min(rows, 1_000_000) * largest
    if name == "std" and not used:
        variance = truth["std"] ** 2 + LEROBOT_VARIANCE * truth["mean"] ** 2
        rounding += np.sqrt(variance) - truth["std"]
    return rounding


def _numbers(value: Any) -> np.ndarray | None:
    items = np.array(value, dtype=object).ravel().tolist()
    plain = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    try:
        return np.array(items, dtype=np.float64) if plain else None
    except OverflowError:
        return None
