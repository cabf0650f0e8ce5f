"""Tables of runs: read from a CSV file or a DataFrame, and written."""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from gr00t_assets.comparison.columns import (
    COLUMNS,
    DATA,
    column_names,
    setting_column,
    setting_dtype,
    setting_names,
)
from gr00t_assets.comparison.curves import Loss, LossKind, logged_value_error
from gr00t_assets.comparison.run import Frames, Run, samples_per_step
from gr00t_assets.comparison.statistics.ranking import RankedRun, comparability_classes, ranked_runs
from gr00t_assets.comparison.tables.rows import Row, frame_rows, read_rows
from gr00t_assets.core.errors import ComparisonError, Gr00tAssetsError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import spreadsheet_cell
from gr00t_assets.datasets.catalog import CatalogEntry, load_catalog
from gr00t_assets.datasets.record import load_record
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.stored_run import STATUS_WORDS

WRONG_BACKEND = "torchvision_av"
"""In Isaac-GR00T it returned the key frame before the asked time where one timestamp was asked for,
as in training: on ``robot_sim.PickNPlace`` 2091 of 2096 frames were wrong, 112 frames late on
average. It was mended upstream on 2025-09-18."""

MENDED = "2025-10"
"""A run of ``torchvision_av`` that began in this month or later may have had the mended reader."""

_UNITS = {"gb": 1e9, "gib": 2**30, "mb": 1e6, "mib": 2**20}

_MEMORY = re.compile(
    r"(\d+(?:\.\d+)?)\s*(GB|GiB|MB|MiB)(?=\s*(?:of\s+)?(?:VRAM|GPU\s+memory|memory))", re.IGNORECASE
)

NEARLY_DONE = 0.95
"""A run that says it finished has done this share of its steps, or all but its last logged ones."""

FORMATS = ("parquet", "csv")

_NO_SETTINGS = frozenset(column_names())


def known_frames(
    store: Store | None = None, catalog: Mapping[str, CatalogEntry] | None = None
) -> dict[str, int]:
    """Frames by dataset: of the version in the store, else what the catalog says.

    Nothing raises: a table can be compared where there is no catalog and no store.
    """
    if catalog is None:
        catalog = {}
        with suppress(Gr00tAssetsError, OSError):
            catalog = load_catalog()
    frames: dict[str, int] = {}
    for name, entry in catalog.items():
        if entry.frames is not None:
            frames[name] = entry.frames
        if store is not None:
            with suppress(Gr00tAssetsError, OSError):
                frames[name] = load_record(name, store).frames
    return frames


def frame_state(video_backend: object, started_at: str, verified: object) -> Frames:
    """What is known of the frames, from the start in ISO 8601, as exact as it is known.

    ``verified`` is proof, such as a comparison with the frames decoded in order.

    Examples:
        >>> frame_state("torchvision_av", "2025-06-15T01:11", None)
        'known wrong'
        >>> frame_state("decord", "2025-06-15", None), frame_state("decord", "", True)
        ('not verified', 'verified')
    """
    if verified:
        return "verified"
    if video_backend == WRONG_BACKEND and (not started_at or started_at[:7] < MENDED):
        return "known wrong"
    return "not verified"


def noted_memory(note: str) -> int | None:
    """Bytes of GPU memory that a note gives; None where it gives none.

    Examples:
        >>> noted_memory("on GPU 0 using 25.1 GB of VRAM"), noted_memory("dataset of 6 GB")
        (25100000000, None)
    """
    match = _MEMORY.search(note)
    return round(float(match[1]) * _UNITS[match[2].lower()]) if match else None


def logging_steps(settings: Mapping[str, object]) -> int:
    """Steps that one logged loss is the mean of; Isaac-GR00T's 10 where nothing is said of it."""
    value = settings.get("logging_steps")
    return value if isinstance(value, int) else Hyperparameters().logging_steps


def read_table(path: Path, dataset_frames: Mapping[str, int] | None = None) -> list[Run]:
    """The runs of a CSV file in the order of the file; see ``runs_of_frame``.

    ``dataset_frames`` are by dataset, for epochs, where the table has none; those of the project's
    catalog where left out.

    Raises:
        ComparisonError: The file cannot be read, has no loss, or has no row that can be read.
    """
    rows = read_rows(path)
    frames = known_frames() if dataset_frames is None else dataset_frames
    return [_run(row, frames) for row in rows]


def runs_of_frame(frame: pd.DataFrame, frames: Mapping[str, int] | None = None) -> list[Run]:
    """The runs of a table with a loss a row, in its order; nothing else is looked at.

    Columns are those of ``columns`` and hyperparameters, under their names or those of W&B and
    ``transformers``; any other that is no result is a setting. All but the loss may be missing: the
    id is the name, else the row's label; a run with a loss has finished. A setting that the table
    has no column for is not known, and never taken to be the default.

    A loss is the one value that was logged last, the mean of ``logging_steps`` steps, unless
    the table says what it is the mean of. Samples seen are batch times steps done, on one GPU
    unless the table has num_gpus. A run with a cell that cannot be read is ``unreadable`` if it
    finished; its ``problems`` name the cell.

    Args:
        frame: Texts, or values in their types.
        frames: By dataset, for epochs.

    Raises:
        ComparisonError: It has no loss, or no row that can be read.

    Examples:
        >>> table = pd.DataFrame({"lr": [1e-4, 1e-3], "seed": [0, 0], "loss": [0.2, 0.5]})
        >>> [(run.run_id, run.status, run.settings) for run in runs_of_frame(table)][0]
        ('0', 'finished', {'learning_rate': 0.0001, 'seed': 0})
    """
    return [_run(row, frames or {}) for row in frame_rows(frame)]


def runs_table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row a run, in the order given, with its place.

    The columns are those of ``columns`` and then one for each setting
    that any run has, known hyperparameters first. Every type has a missing value, ``pandas.NA``;
    ``attrs["units"]`` and ``attrs["descriptions"]`` are by column. A setting of no known type keeps
    the type that pandas finds in it.

    Examples:
        ``runs_table(read_table(path)).query("status == 'finished'").sort_values("loss")``
    """
    placed = {id(row.run): row for row in ranked_runs(comparability_classes(runs), runs)}
    return rows_table([placed[id(run)] for run in runs])


def rows_table(rows: Sequence[RankedRun]) -> pd.DataFrame:
    """The table of rows whose places are known; see ``runs_table``."""
    names = dict.fromkeys(["max_steps", *setting_names([row.run for row in rows])])
    settings = [name for name in names if name not in column_names()]
    columns = [*COLUMNS, *map(setting_column, settings)]
    table = pd.DataFrame(
        {item.name: [item.value(row) for row in rows] for item in columns}, dtype=object
    )
    for column in columns:
        known = column.name not in settings or setting_dtype(column.name)
        values = table[column.name]
        table[column.name] = values.astype(column.dtype) if known else _typed(values)
    table.attrs["units"] = {column.name: column.unit for column in columns}
    table.attrs["descriptions"] = {column.name: column.description for column in columns}
    return table


def export_table(runs: Sequence[Run], path: Path) -> Path:
    """Write the table of runs, in one step.

    A file in ``.parquet`` has units and descriptions in its metadata; one in ``.csv`` is what
    ``read_table`` reads again. In the latter a text that begins like a formula of a spreadsheet
    has an apostrophe before it, which ``read_table`` takes away.

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
    write_bytes(path, _csv(table) if kind == "csv" else parquet(table))
    return path


def _csv(table: pd.DataFrame) -> bytes:
    """A table as CSV; numbers are no texts, and stay as they are."""
    escaped = table.map(lambda value: spreadsheet_cell(value) if isinstance(value, str) else value)
    # A carriage return is the end of a line to readers, and pandas does not put it in quotes.
    has_return = escaped.map(lambda value: isinstance(value, str) and "\r" in value).any(axis=None)
    quoting = csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL
    text = escaped.rename(columns=spreadsheet_cell).to_csv(index=False, quoting=quoting)
    return text.encode(errors="backslashreplace")


def parquet(table: pd.DataFrame) -> bytes:
    """A table as a parquet file, without its index."""
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _typed(values: pd.Series) -> pd.Series:
    """A column of a setting that is not known here; mixed kinds become text, as parquet needs."""
    kinds = {type(value) for value in values.dropna()}
    if len(kinds) > 1 and not kinds <= {int, float}:
        return values.map(str, na_action="ignore").astype("string")
    return values.convert_dtypes()


def _run(row: Row, dataset_frames: Mapping[str, int]) -> Run:
    values = row.values
    settings = {name: value for name, value in values.items() if name not in _NO_SETTINGS}
    max_steps, steps = values.get("max_steps"), values.get("logged_step")
    status = said = values.get("status", "finished" if "loss" in values else "unfinished")
    if steps is None and status == "finished":
        steps = max_steps
    samples_seen, per_step = values.get("samples_seen"), samples_per_step(settings)
    if samples_seen is None and steps is not None and per_step is not None:
        samples_seen = steps * per_step
    problems = [f"{row.place}: {problem}." for problem in row.problems]
    if status == "finished" and steps is not None and max_steps is not None:
        least = min(NEARLY_DONE * max_steps, max_steps - logging_steps(settings))
        status = "finished" if steps >= least else "unfinished"
    if status != said:
        problems.append(f"It is said to have finished, at step {steps:,} of {max_steps:,}.")
    if row.problems and (said == "finished" or values.get("status") not in STATUS_WORDS):
        status = "unreadable"
    loss = _loss(values, settings, samples_seen)
    if loss is not None and not math.isfinite(loss.mean):
        problems.append(f"Its loss is {loss.mean}.")
        loss = None
    note, started_at = values.get("note", ""), values.get("started_at", "")
    memory, verified = values.get("peak_memory_gb"), values.get("frames_verified")
    return Run(
        run_id=values["run_id"],
        name=values.get("name", values["run_id"]),
        source="table",
        status=status,
        settings=settings,
        data={name.replace("_", " "): values[name] for name in DATA if name in values},
        frames=frame_state(settings.get("video_backend"), started_at, verified),
        steps=steps,
        max_steps=max_steps,
        samples_seen=samples_seen,
        dataset_frames=values.get("dataset_frames")
        or dataset_frames.get(values.get("dataset", "")),
        loss=loss,
        sweep=values.get("sweep", ""),
        hypothesis=values.get("hypothesis", ""),
        started_at=started_at,
        samples_per_second=values.get("samples_per_second"),
        gpu_hours=values.get("gpu_hours"),
        peak_memory_bytes=round(memory * 1e9) if memory else noted_memory(note),
        note=note,
        problems=(*problems, *row.remarks),
    )


def _loss(
    values: Mapping[str, Any], settings: Mapping[str, object], samples_seen: int | None
) -> Loss | None:
    mean, error, samples = values.get("loss"), values.get("loss_se"), values.get("loss_samples")
    if mean is None:
        return None
    if samples is None:
        samples = logging_steps(settings) * (samples_per_step(settings) or 1)
        samples = max(1, min(samples, samples_seen or samples))
    kind: LossKind = "one logged value" if error is None else "window mean"
    kind = values.get("loss_kind", kind)
    if error is None and kind == "one logged value":
        error = logged_value_error(mean, samples)
    return Loss(mean, error, samples, kind)
