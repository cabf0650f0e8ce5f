"""``meta/stats.json`` held against statistics of the rows, and numbers that never change."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.checks.modality_file import number_names
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.statistics import STATISTIC_NAMES, STATS, RunningStatistics
from gr00t_assets.modality.modality_json import Modality, ModalityFile

LEROBOT_VARIANCE = 1e-6
"""By how much of its squared mean LeRobot's variance of a number may be off, measured at 0.6.1."""


class StoredStatistics:
    """``stats.json`` held against statistics of the rows.

    In v2.x a training takes what is stored. Nothing takes what is stored in v3.0, since the store
    computes statistics from the rows, so nothing of it is an error. LeRobot's quantiles are means
    of those of the episodes, or read off a histogram, and its standard deviations come of
    ``mean(x ** 2) - mean(x) ** 2`` in float32.
    """

    def __init__(
        self, folder: Folder, modality: ModalityFile | None, stored: Mapping[str, Any], used: bool
    ) -> None:
        self._collector, self._modality = folder.collector, modality
        self._stored, self._used = stored, used
        self._quantiles = 0
        self._quantile = ""

    def check(self, column: Feature, kind: Modality, running: RunningStatistics | None) -> None:
        """Hold what is stored of a column against its rows.

        Args:
            running: Of every row; none where some row could not be read.
        """
        entry = self._stored.get(column.name)
        entry = entry if isinstance(entry, dict) else {}
        lacking = [name for name in STATISTIC_NAMES if name not in entry]
        if lacking:
            found = f"no {', '.join(lacking)} of {column.name}"
            names = ", ".join(STATISTIC_NAMES)
            self._collector.report("stats-incomplete", STATS, found, names=names)
        truth = running.result() if running is not None and running.count else {}
        rows = running.count if running is not None else 0
        differing: dict[str, np.ndarray] = {}
        for name in (name for name in STATISTIC_NAMES if name in entry):
            values = _numbers(entry[name])
            if values is not None and _is_merged(column, values):
                continue
            if values is None or values.shape != (column.width,) or not np.isfinite(values).all():
                shown = "no list of numbers" if values is None else f"{values.size} numbers"
                finite = values is None or np.isfinite(values).all()
                found = f"{name} of {column.name} is {shown if finite else 'not finite'}"
                fault = "stats-field" if self._used else "stats-field-unused"
                self._collector.report(fault, STATS, found, width=column.width)
            elif name in truth:
                errors = np.abs(values - truth[name]) / self._tolerance(name, truth, rows)
                differing[name] = np.nan_to_num(errors, nan=np.inf)
        quantiles = {} if self._used else {n: e for n, e in differing.items() if n[0] == "q"}
        others = {name: errors for name, errors in differing.items() if name not in quantiles}
        for wrong in (others, quantiles):
            count = sum(int((values > 1).sum()) for values in wrong.values())
            if not count:
                continue
            name = max(wrong, key=lambda name: wrong[name].max())
            number = int(wrong[name].argmax())
            where = number_names(self._modality, kind, column, [number])
            found = f"{name} of {column.name}, {where}, is {np.ravel(entry[name])[number]:.6g}"
            right = float(truth[name][number])
            if wrong is quantiles:
                self._quantile = self._quantile or f"{found} in place of {right:.6g}"
                self._quantiles += count
            else:
                found += f"; {count - 1} more differ" if count > 1 else ""
                fault = "stats-mismatch" if self._used else "stats-mismatch-unused"
                self._collector.report(fault, STATS, found, right=right)

    def report_quantiles(self) -> None:
        """Report LeRobot's quantiles once, with one of those that differ."""
        if self._quantiles:
            found = f"{self._quantiles} quantiles are not those of the rows: {self._quantile}"
            self._collector.report("stats-quantiles", STATS, found)

    def _tolerance(self, name: str, truth: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
        """How far a number may be off: rounding in float32, and other definitions of deviation."""
        largest = np.maximum(np.abs(truth["min"]), np.abs(truth["max"]))
        rounding = 1e-6 + 1e-5 * largest
        spread = truth["max"] - truth["min"]
        if name in ("min", "max"):
            return rounding + 1e-4 * spread
        if name not in ("mean", "std"):
            return rounding + 0.01 * spread
        rounding += 0.01 * truth["std"] + 3e-8 * min(rows, 1_000_000) * largest
        if name == "std" and not self._used:
            variance = truth["std"] ** 2 + LEROBOT_VARIANCE * truth["mean"] ** 2
            rounding += np.sqrt(variance) - truth["std"]
        return rounding


def _is_merged(column: Feature, values: np.ndarray) -> bool:
    """Whether statistics are LeRobot's of several axes: the leading ones are merged with rows."""
    return column.is_flattened and values.size == column.shape[-1] != column.width


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


def _numbers(value: Any) -> np.ndarray | None:
    items = np.array(value, dtype=object).ravel().tolist()
    plain = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    try:
        return np.array(items, dtype=np.float64) if plain else None
    except OverflowError:
        return None
