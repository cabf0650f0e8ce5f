"""All runs in one pandas table, typed, and written as parquet or CSV."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gr00t_assets.comparison.contrasts.measures import loss_at_fraction, plateau_or_falling
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.tables.columns import (
    BY_NAME,
    COLUMNS,
    DATA,
    SETTINGS,
    meaning,
    setting_dtype,
)
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import write_bytes

FORMATS = ("parquet", "csv")


def runs_table(observations: Sequence[Observation]) -> pd.DataFrame:
    """One row a run, in the order given.

    The columns are those of ``tables.columns`` and then one for each setting that any run has,
    known hyperparameters first. Every type has a missing value, ``pandas.NA``; ``attrs["units"]``
    and ``attrs["meanings"]`` are by column. A setting of no known type keeps the type that pandas
    finds in it.

    Example:
        ``runs_table(read_table(path)).query("status == 'finished'").sort_values("loss")``
    """
    rows = [_row(observation) for observation in observations]
    found = {name for observation in observations for name in observation.settings}
    settings = [name for name in SETTINGS if name in found]
    settings += sorted(found - set(settings))
    names = [*(column.name for column in COLUMNS), *settings]
    table = pd.DataFrame(rows, columns=pd.Index(names))
    for name in names:
        dtype = BY_NAME[name].dtype if name in BY_NAME else setting_dtype(name)
        table[name] = table[name].astype(dtype) if dtype else _typed(table[name])
    table.attrs["units"] = {name: meaning(name)[0] for name in names}
    table.attrs["meanings"] = {name: meaning(name)[1] for name in names}
    return table


def export_table(observations: Sequence[Observation], path: Path) -> Path:
    """Write the table of runs, in one step.

    Args:
        observations: The runs.
        path: Ends in ``.parquet`` (units and meanings in its metadata) or ``.csv``, which
            :func:`read_table` reads again.

    Raises:
        ComparisonError: The ending is another one, or there is no such folder.
        StoreError: The disk is full; a former file is as it was.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise ComparisonError(
            str(path), "the ending says no format that a table is written in.",
            ["expected: FILE.parquet or FILE.csv"],
        )  # fmt: skip
    if not path.parent.is_dir():
        raise ComparisonError(str(path), "there is no such folder.", [f"make {path.parent} first"])
    table = runs_table(observations)
    content = table.to_csv(index=False).encode() if kind == "csv" else _parquet(table)
    write_bytes(path, content)
    return path


def _parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _row(run: Observation) -> dict[str, object]:
    loss, halfway = run.loss, loss_at_fraction(run, 0.5)
    trend = plateau_or_falling(run).trend
    row: dict[str, object] = {
        "run_id": run.run_id,
        "name": run.name,
        "source": run.source,
        "sweep": run.sweep or None,
        "started_at": run.started_at or None,
        "status": run.status,
        "logged_step": run.steps,
        "samples_seen": run.samples_seen,
        "dataset_frames": run.dataset_frames,
        "epochs": run.epochs,
        "frames": run.frames,
        "frames_verified": True if run.frames == "verified" else None,
        "loss": loss.mean if loss else None,
        "loss_se": loss.standard_error if loss else None,
        "loss_samples": loss.samples if loss else None,
        "loss_kind": loss.kind if loss else None,
        "loss_halfway": halfway.mean if halfway else None,
        "trend": None if trend == "unknown" else trend,
        "samples_per_second": run.samples_per_second,
        "gpu_hours": run.gpu_hours,
        "peak_memory_gb": run.peak_memory_bytes / 1e9 if run.peak_memory_bytes else None,
        "hypothesis": run.hypothesis or None,
        "note": run.note or None,
        "problems": " ".join(run.problems) or None,
    }
    row |= {column.name: run.data.get(column.name.replace("_", " ")) for column in DATA}
    return row | dict(run.settings) | {"max_steps": run.max_steps}


def _typed(values: pd.Series) -> pd.Series:
    """A column of a setting that is not known here; mixed kinds become text, as parquet needs."""
    kinds = {type(value) for value in values.dropna()}
    if len(kinds) > 1 and not kinds <= {int, float}:
        return values.map(str, na_action="ignore").astype("string")
    return values.convert_dtypes()
