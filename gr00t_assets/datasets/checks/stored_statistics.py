"""``meta/stats.json`` held against statistics of the rows, and numbers that never change."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.checks.modality_file import number_names
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import Folder, read_object
from gr00t_assets.datasets.lerobot.statistics import STATISTIC_NAMES, STATS, RunningStatistics
from gr00t_assets.modality.modality_json import Modality, ModalityFile


def read_statistics(folder: Folder) -> dict[str, Any] | None:
    """What ``stats.json`` holds; ``None`` where it cannot be had."""
    return read_object(folder, STATS, "stats-missing")


def check_statistics(
    collector: Collector,
    stored: Mapping[str, Any],
    column: Feature,
    kind: Modality,
    modality: ModalityFile | None,
    running: RunningStatistics | None,
) -> None:
    """Hold what is stored of a column against its rows.

    Args:
        running: Of every row; none where some row could not be read.
    """
    entry = stored.get(column.name)
    lacking = [name for name in STATISTIC_NAMES if not isinstance(entry, dict) or name not in entry]
    if lacking:
        found = f"no {', '.join(lacking)} of {column.name}"
        collector.report("stats-incomplete", STATS, found, names=", ".join(STATISTIC_NAMES))
    worst, worst_error, wrong = None, 1.0, 0
    truth = running.result() if running is not None and running.count else {}
    for name in (name for name in STATISTIC_NAMES if name not in lacking):
        values = _numbers(entry[name]) if entry else None
        if values is None or values.shape != (column.width,) or not np.isfinite(values).all():
            shown = "no list of numbers" if values is None else f"{values.size} numbers"
            finite = values is None or np.isfinite(values).all()
            found = f"{name} of {column.name} is {shown if finite else 'not finite'}"
            collector.report("stats-field", STATS, found, width=column.width)
        elif name in truth and running is not None:
            errors = np.abs(values - truth[name]) / _tolerance(name, truth, running.count)
            errors = np.nan_to_num(errors, nan=np.inf)
            wrong += int((errors > 1).sum())
            number = int(errors.argmax())
            if errors[number] > worst_error:
                worst_error = errors[number]
                worst = name, number, float(values[number]), float(truth[name][number])
    if worst is not None:
        name, number, wrong_value, right = worst
        where = number_names(modality, kind, column, [number])
        found = f"{name} of {column.name}, {where}, is {wrong_value:.6g}"
        found += f"; {wrong - 1} more differ" if wrong > 1 else ""
        collector.report("stats-mismatch", STATS, found, right=right)


def check_constant(
    collector: Collector,
    column: Feature,
    modality: ModalityFile | None,
    constant: Collection[int],
    used: Collection[int],
    config: str | None,
) -> None:
    """Warn of action numbers that are the same in every row.

    Args:
        constant: Its numbers that never change.
        used: Numbers that the data config trains on.
        config: Its name; none where the check has none.
    """
    unused = f"; data config {config} does not use them" if config else ""
    for fault, numbers in (
        ("constant-action-used", [number for number in constant if number in used]),
        ("constant-action", [number for number in constant if number not in used]),
    ):
        if numbers:
            names = number_names(modality, "action", column, numbers)
            found = f"{column.name} never changes in {names}"
            collector.report(fault, MODALITY, found, config=config, unused=unused)


def _tolerance(name: str, truth: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """How far a number may be off: rounding in float32, and other definitions of deviation."""
    largest = np.maximum(np.abs(truth["min"]), np.abs(truth["max"]))
    rounding = 1e-6 + 1e-5 * largest
    spread = truth["max"] - truth["min"]
    if name in ("min", "max"):
        return rounding + 1e-4 * spread
    if name in ("mean", "std"):
        return rounding + 0.01 * truth["std"] + 3e-8 * min(rows, 1_000_000) * largest
    return rounding + 0.01 * spread


def _numbers(value: Any) -> np.ndarray | None:
    items = value if isinstance(value, list) else [value]
    plain = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    try:
        return np.array(items, dtype=np.float64) if plain else None
    except OverflowError:
        return None
