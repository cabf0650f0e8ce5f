"""The comparison table: ranked runs by class, then everything that has no place in a ranking."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gr00t_assets.comparison.columns import FIXED, LEADING, TRAILING, Column, Dtype
from gr00t_assets.comparison.run import Run, unrankable
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.training.manifest import LossWindow


def shown_runs(runs: Sequence[Run]) -> list[Run]:
    """One run for each experiment: the current one, else the newest stale one, else its place."""
    shown: dict[str, Run] = {}
    for run in runs:
        held = shown.get(run.name)
        if held is None or (held.stale and not run.stale):
            shown[run.name] = run
    return list(shown.values())


def ranked_classes(runs: Sequence[Run]) -> list[list[Run]]:
    """The rankable runs of each comparability class, lowest final loss first.

    Classes with verified frames come first, then larger ones, then the first to appear. Their
    losses have no say in it: losses of two classes say nothing of each other.
    """
    classes: dict[str, list[Run]] = {}
    for run in shown_runs(runs):
        if run.rankable and run.comparability_class:
            classes.setdefault(run.comparability_class.short_id, []).append(run)
    ranked = [sorted(members, key=lambda run: _final(run).mean) for members in classes.values()]
    return sorted(ranked, key=_class_order)


def comparison_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row an experiment; columns, types and units are those of :mod:`columns`.

    Ranked runs come first, class by class. A rank counts within its class. Runs without a rank
    (failed, interrupted, unfinished, missing, stale) follow in the order of the sweep file.
    """
    shown = shown_runs(runs)
    varying = varying_hyperparameters(shown)
    rows = []
    placed: set[str] = set()
    for members in ranked_classes(shown):
        for place, (run, noise) in enumerate(zip(members, noise_notes(members), strict=True)):
            rows.append(_row(run, varying, place + 1, noise))
            placed.add(run.name)
    rows += [_row(run, varying, None, None) for run in shown if run.name not in placed]
    columns = table_columns(varying)
    return pd.DataFrame(
        {
            column.name: pd.array([row[column.name] for row in rows], dtype=column.dtype)
            for column in columns
        }
    )


def table_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dictionaries by column name; missing values are ``pandas.NA``."""
    return [
        dict(zip(table.columns, values, strict=True))
        for values in table.itertuples(index=False, name=None)
    ]


def noise_notes(members: Sequence[Run]) -> list[str | None]:
    """For each run a sentence where it cannot be told from a better one; None where it can.

    Two means differ where their difference is at least ``2 * sqrt(se1^2 + se2^2)``. Of all better
    runs that one cannot be told from, the best is named.

    Args:
        members: Rankable runs of one class, best first.
    """
    means, noise = _means_and_errors(members)
    notes: list[str | None] = []
    for place in range(len(members)):
        differences = means[place] - means[:place]
        limits = 2 * np.hypot(noise[place], noise[:place])
        tied = np.flatnonzero(differences < limits)[:1]
        notes += [
            f"Within noise of rank {better + 1}: {differences[better]:.2g} higher, "
            f"where noise is {limits[better]:.2g}."
            for better in tied
        ] or [None]
    return notes


def tied_with_best(members: Sequence[Run]) -> list[Run]:
    """The runs of one class that cannot be told from its best."""
    means, noise = _means_and_errors(members)
    tied = means - means[:1] < 2 * np.hypot(noise, noise[:1])
    return [run for run, same in zip(members[1:], tied[1:], strict=True) if same]


def _means_and_errors(members: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    windows = [_final(run) for run in members]
    means = np.array([window.mean for window in windows], dtype=float)
    return means, np.array([window.standard_error for window in windows], dtype=float)


def varying_hyperparameters(runs: Sequence[Run]) -> list[str]:
    """Hyperparameters that differ among the runs and have no column of their own, in order."""
    settings = [run.hyperparameters for run in runs if run.hyperparameters]
    return [
        name
        for name in Hyperparameters.model_fields
        if name not in FIXED and len({getattr(values, name) for values in settings}) > 1
    ]


def table_columns(varying: Sequence[str]) -> tuple[Column, ...]:
    """Every column of a table in order."""
    middle = [
        Column(name, _dtype(name), "", Hyperparameters.model_fields[name].description or "")
        for name in varying
    ]
    return (*LEADING, *middle, *TRAILING)


def note(run: Run) -> str:
    """What a reader must know of a run beside its numbers."""
    parts = [_status_note(run)]
    if run.failed_checks:
        parts.append(f"Failed check: {', '.join(run.failed_checks)}.")
    parts += run.problems
    return " ".join(part for part in parts if part)


def _status_note(run: Run) -> str:
    where = f"at step {run.steps} of {_max_steps(run)}" if run.steps is not None else ""
    match run.status:
        case "missing":
            return "Not run yet."
        case "stale":
            older = f"Older configuration: {'; '.join(run.changes)}." if run.changes else ""
            return f"The present configuration has not run. {older}".strip()
        case "failed":
            reason = _first_line(run.manifest.failure if run.manifest else None)
            return f"Failed {where}: {reason}" if reason else f"Failed {where}."
        case "interrupted":
            return f"Stopped {where}; loss so far."
        case "unfinished":
            return f"No manifest; last logged {where}; loss so far." if where else "No step logged."
        case _:
            return ""


def _row(run: Run, varying: Sequence[str], rank: int | None, noise: str | None) -> dict[str, Any]:
    manifest, settings = run.manifest, run.hyperparameters
    first, final = run.first_loss, run.final_loss
    group = run.comparability_class
    row: dict[str, Any] = {
        "rank": rank,
        "experiment": run.name,
        "status": run.status,
        "final_loss": _finite(final.mean) if final else None,
        "final_loss_se": _finite(final.standard_error) if final else None,
        "first_loss": _finite(first.mean) if first else None,
        "loss_fall": _ratio(first, final),
        "steps": run.steps,
        "max_steps": _max_steps(run),
        "samples_seen": run.samples_seen,
        "epochs": manifest.epochs if manifest else (run.metrics[-1].epoch if run.metrics else None),
        "learning_rate": settings.learning_rate if settings else None,
        "batch_size": settings.batch_size if settings else None,
        "samples_per_second": manifest.samples_per_second if manifest else None,
        "wall_seconds": manifest.wall_seconds if manifest else _wall_seconds(run),
        "gpu_hours": manifest.gpu_seconds / 3600 if manifest else None,
        "class": group.short_id if group else None,
        "config_hash": run.config_hash,
        "failed_checks": ", ".join(run.failed_checks) or None,
        "note": " ".join(part for part in (noise, note(run)) if part) or None,
    }
    values = {name: getattr(settings, name) if settings else None for name in varying}
    return {name: _missing(value) for name, value in (row | values).items()}


def _missing(value: Any) -> Any:
    return pd.NA if value is None else value


def _dtype(hyperparameter: str) -> Dtype:
    default = Hyperparameters.model_fields[hyperparameter].default
    if isinstance(default, bool):
        return "boolean"
    if isinstance(default, int):
        return "Int64"
    return "Float64" if isinstance(default, float) else "string"


def _class_order(members: Sequence[Run]) -> tuple[bool, int]:
    group = members[0].comparability_class
    return (group is None or not group.frames_verified, -len(members))


def _final(run: Run) -> LossWindow:
    if run.final_loss is None:
        raise ValueError(f"{run.name} is not rankable: {unrankable(run.manifest)}")
    return run.final_loss


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ratio(first: LossWindow | None, final: LossWindow | None) -> float | None:
    if first is None or final is None or not final.mean > 0:
        return None
    return _finite(first.mean / final.mean)


def _max_steps(run: Run) -> int | None:
    if run.manifest:
        return run.manifest.max_steps
    return run.hyperparameters.max_steps if run.hyperparameters else None


def _wall_seconds(run: Run) -> float | None:
    return run.metrics[-1].wall_seconds if run.metrics else None


def _first_line(text: str | None) -> str:
    return text.strip().splitlines()[0] if text and text.strip() else ""
