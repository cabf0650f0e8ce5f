"""All runs in one pandas table, typed, and written as parquet or CSV."""

import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gr00t_assets.comparison.columns import COLUMNS, setting_column, setting_dtype, setting_names
from gr00t_assets.comparison.contrasts.ranking import RankedRun, comparability_classes, ranked_runs
from gr00t_assets.comparison.run import Run
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.files import write_bytes

FORMATS = ("parquet", "csv")


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run, in the order given, with its place.

    The columns are those of :mod:`~gr00t_assets.comparison.columns` and then one for each setting
    that any run has, known hyperparameters first. Every type has a missing value, ``pandas.NA``;
    ``attrs["units"]`` and ``attrs["descriptions"]`` are by column. A setting of no known type keeps
    the type that pandas finds in it.

    Example:
        ``runs_table(read_table(path)).query("status == 'finished'").sort_values("loss")``
    """
    placed = {id(row.run): row for row in ranked_runs(comparability_classes(runs), runs)}
    return rows_table([placed[id(run)] for run in runs])


def rows_table(rows: Sequence[RankedRun]) -> pd.DataFrame:
    """The table of rows whose places are known; see :func:`runs_table`."""
    settings = [
        name
        for name in dict.fromkeys(["max_steps", *setting_names([row.run for row in rows])])
        if name not in {column.name for column in COLUMNS}
    ]
    columns = [*COLUMNS, *map(setting_column, settings)]
    table = pd.DataFrame(
        {column.name: pd.Series([column.value(row) for row in rows], dtype=object)
         for column in columns}
    )  # fmt: skip
    for column in columns:
        known = column.name not in settings or setting_dtype(column.name)
        values = table[column.name]
        table[column.name] = values.astype(column.dtype) if known else _typed(values)
    table.attrs["units"] = {column.name: column.unit for column in columns}
    table.attrs["descriptions"] = {column.name: column.description for column in columns}
    return table


def export_table(runs: Sequence[Run], path: Path) -> Path:
    """Write the table of runs, in one step.

    Args:
        runs: The runs.
        path: Ends in ``.parquet`` (units and descriptions in its metadata) or ``.csv``, which
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
    table = runs_table(runs)
    content = table.to_csv(index=False).encode() if kind == "csv" else _parquet(table)
    write_bytes(path, content)
    return path


def _parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _typed(values: pd.Series) -> pd.Series:
    """A column of a setting that is not known here; mixed kinds become text, as parquet needs."""
    kinds = {type(value) for value in values.dropna()}
    if len(kinds) > 1 and not kinds <= {int, float}:
        return values.map(str, na_action="ignore").astype("string")
    return values.convert_dtypes()
