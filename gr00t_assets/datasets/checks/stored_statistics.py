"""``meta/stats.json`` held against statistics of the rows, and numbers that never change."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.checks.features import Feature
from gr00t_assets.datasets.checks.folder import Folder
from gr00t_assets.datasets.checks.json_files import read_object
from gr00t_assets.datasets.checks.modality_file import FILE as MODALITY
from gr00t_assets.datasets.checks.modality_file import number_names
from gr00t_assets.datasets.checks.running import RunningStatistics
from gr00t_assets.modality.schema import Modality, ModalityFile
from gr00t_assets.modality.statistics import FILE, NAMES

RENEW = "remove meta/stats.json: the statistics are then computed from the rows"


def read_statistics(folder: Folder) -> dict[str, Any] | None:
    """What ``stats.json`` holds; ``None`` where it cannot be had."""
    return read_object(folder, FILE, _missing)


def _missing(collector: Collector) -> None:
    collector.warn(
        "stats-missing",
        FILE,
        "no such file",
        "statistics of state and action",
        "nothing, here they are computed from the rows; Isaac-GR00T writes the file into the "
        "dataset",
    )


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
        collector: Takes the findings.
        stored: The content of ``stats.json``.
        column: State or action.
        kind: Which of the two.
        modality: Names of the numbers.
        running: Of every row; none where some row could not be read.
    """
    entry = stored.get(column.name)
    lacking = [name for name in NAMES if not isinstance(entry, dict) or name not in entry]
    if lacking:
        collector.warn(
            "stats-incomplete",
            FILE,
            f"no {', '.join(lacking)} of {column.name}",
            f"{', '.join(NAMES)} of each column",
            "nothing, they are computed from the rows",
        )
    worst: tuple[float, str, int, float, float] | None = None
    wrong = 0
    truth = running.found() if running is not None and running.count else {}
    for name in NAMES:
        values = None if name in lacking or not entry else _numbers(entry[name])
        if name in lacking:
            continue
        if values is None or values.shape != (column.width,) or not np.isfinite(values).all():
            shown = "no list of numbers" if values is None else f"{values.size} numbers"
            finite = values is None or np.isfinite(values).all()
            collector.error(
                "stats-field",
                FILE,
                f"{name} of {column.name} is {shown if finite else 'not finite'}",
                f"{column.width} finite numbers",
                RENEW,
            )
        elif name in truth and running is not None:
            apart = np.abs(values - truth[name]) / _slack(name, truth, running.count)
            apart = np.nan_to_num(apart, nan=np.inf)
            wrong += int((apart > 1).sum())
            number = int(apart.argmax())
            if apart[number] > 1 and (worst is None or apart[number] > worst[0]):
                worst = (
                    float(apart[number]),
                    name,
                    number,
                    float(values[number]),
                    float(truth[name][number]),
                )
    if worst is not None:
        _, name, number, found, right = worst
        where = number_names(modality, kind, column, [number])
        collector.error(
            "stats-mismatch",
            FILE,
            f"{name} of {column.name}, {where}, is {found:.6g}"
            + (f"; {wrong - 1} more differ" if wrong > 1 else ""),
            f"{right:.6g}, as its rows have it",
            RENEW,
        )


def check_constant(
    collector: Collector,
    column: Feature,
    modality: ModalityFile | None,
    running: RunningStatistics,
    used: frozenset[int],
    config: str | None,
) -> None:
    """Warn of action numbers that are the same in every row.

    Args:
        collector: Takes the findings.
        column: An action column.
        modality: Names of the numbers.
        running: Of its rows.
        used: Numbers that the data config trains on.
        config: Its name; none where the check has none.
    """
    if running.count < 2:
        return
    found = running.found()
    still = np.flatnonzero(found["min"] == found["max"]).tolist()
    inside = [number for number in still if number in used]
    outside = [number for number in still if number not in used]
    if inside:
        collector.warn(
            "constant-action-used",
            MODALITY,
            f"{column.name} never changes in {number_names(modality, 'action', column, inside)}",
            f"motion in every number that data config {config} trains on",
            "see that the recording has these joints, or choose a data config without them",
        )
    if outside:
        unused = f"; data config {config} does not use them" if config else ""
        collector.warn(
            "constant-action",
            MODALITY,
            f"{column.name} never changes in {number_names(modality, 'action', column, outside)}",
            f"motion, or a part that is not trained on{unused}",
            "choose a data config without these numbers, or record them",
        )


def _slack(name: str, truth: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
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
    plain = all(isinstance(one, int | float) and not isinstance(one, bool) for one in items)
    try:
        return np.array(items, dtype=np.float64) if plain else None
    except OverflowError:
        return None
