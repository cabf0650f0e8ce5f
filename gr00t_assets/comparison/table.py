"""The comparison table: ranked runs by class, then everything that has no place in a ranking."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from gr00t_assets.comparison.columns import FIXED, LEADING, TRAILING, Column, Dtype
from gr00t_assets.comparison.contrasts.observation import Loss
from gr00t_assets.comparison.findings import names_in_words
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.standings import Standing, class_of, ranked_classes, shown_runs
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.manifest import LossWindow


def comparison_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row an experiment; columns, types and units are those of :mod:`columns`.

    Ranked runs come first, class by class. A rank counts within its class. Runs without a rank
    (failed, interrupted, unfinished, missing, stale) follow in the order of the sweep file.
    """
    shown = shown_runs(runs)
    varying = varying_hyperparameters(shown)
    standings = [one for ranked in ranked_classes(shown) for one in ranked.standings]
    placed = {one.run.name for one in standings}
    rows = [_row(one.run, varying, one) for one in standings]
    rows += [_row(run, varying) for run in shown if run.name not in placed]
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
        case "pruned":
            return f"Given up as hopeless {where}; loss so far."
        case "interrupted":
            return f"Stopped {where}; loss so far."
        case "unfinished":
            return f"No manifest; last logged {where}; loss so far." if where else "No step logged."
        case _:
            return ""


def _place_note(standing: Standing | None) -> str:
    if standing is None:
        return ""
    parts = ["Within noise of rank 1."] if standing.tied else []
    if standing.replicates:
        parts.append(f"Ranked as one with {names_in_words(standing.replicates, 3)}: other seeds.")
    return " ".join(parts)


def _row(run: Run, varying: Sequence[str], standing: Standing | None = None) -> dict[str, Any]:
    manifest, settings = run.manifest, run.hyperparameters
    first = run.first_loss
    final = None if run.status == "missing" else run.observation.loss
    row: dict[str, Any] = {
        "rank": standing.place if standing else None,
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
        "class": class_of(run),
        "config_hash": run.config_hash,
        "failed_checks": ", ".join(run.failed_checks) or None,
        "note": " ".join(part for part in (_place_note(standing), note(run)) if part) or None,
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


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ratio(first: LossWindow | None, final: Loss | None) -> float | None:
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
