"""Tables of runs: read from a CSV file or a DataFrame, and written."""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gr00t_assets.comparison import columns
from gr00t_assets.comparison.curves import Loss, logged_value_error
from gr00t_assets.comparison.run import Frames, Run, Settings, samples_per_step
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.tables.rows import Row, frame_rows, read_rows
from gr00t_assets.core.errors import ComparisonError, Gr00tAssetsError
from gr00t_assets.core.files import write_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import spreadsheet_cell
from gr00t_assets.datasets.catalog import project_catalog
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.stored_run import STATUS_WORDS

if TYPE_CHECKING:
    import pandas as pd

_WRONG_BACKEND, _MENDED = "torchvision_av", "2025-10"
"""In Isaac-GR00T it returned the key frame before the asked time where one timestamp was asked for,
as in training. It was mended upstream on 2025-09-18."""

_NOTED_MEMORY = re.compile(r"(\d+(?:\.\d+)?) ?(GB|GiB) (?:of )?(?:VRAM|GPU memory)", re.I)
_AS_THEY_ARE = ("sweep", "hypothesis", "started_at", "samples_per_second", "gpu_hours", "note")
_NEARLY_DONE = 0.95
"""A run that says it finished has done this share of its steps, or all but its last logged ones."""


def known_frames(store: Store | None = None) -> dict[str, int]:
    """Frames by dataset: of the version in the store, else what the catalog says; none without."""
    catalog = project_catalog()
    frames = {name: entry.frames for name, entry in catalog.items() if entry.frames is not None}
    if store is not None:
        for name in catalog:
            with suppress(Gr00tAssetsError, OSError):
                frames[name] = load_record(name, store).frames
    return frames


def frame_state(video_backend: object, started_at: str, verified: object) -> Frames:
    """What is known of the frames, from the start in ISO 8601; ``verified`` is proof.

    Examples:
        >>> frame_state("torchvision_av", "2025-06-15T01:11", None)
        'known wrong'
        >>> frame_state("decord", "2025-06-15", None), frame_state("decord", "", True)
        ('not verified', 'verified')
    """
    if verified:
        return "verified"
    if video_backend == _WRONG_BACKEND and (not started_at or started_at[:7] < _MENDED):
        return "known wrong"
    return "not verified"


def read_table(path: Path, dataset_frames: Mapping[str, int] | None = None) -> list[Run]:
    """The runs of a CSV file in its order; see ``runs_of_frame``.

    ``dataset_frames`` are those of the project's catalog where left out.

    Raises:
        ComparisonError: The file cannot be read, has no loss, or has no row that can be read.
    """
    rows = read_rows(path)
    frames = known_frames() if dataset_frames is None else dataset_frames
    return [run_of_row(row, frames) for row in rows]


def runs_of_frame(frame: "pd.DataFrame") -> list[Run]:
    """The runs of a table with a loss a row, in its order; nothing else is looked at.

    Columns are those of ``columns`` and hyperparameters, under their names or those of W&B and
    ``transformers``; any other that is no result is a setting. All but the loss may be missing: the
    id is the name, else the row's label; a run with a loss has finished. A setting without a column
    is not known, and never taken to be the default.

    A loss is the last logged value, the mean of ``logging_steps`` steps, unless the table says
    otherwise. Samples seen are batch times steps done, on one GPU unless the table has num_gpus. A
    finished run with a cell that cannot be read is ``unreadable``; its ``problems`` name the cell.

    Raises:
        ComparisonError: It has no loss, or no row that can be read.

    Examples:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"lr": [1e-4, 1e-3], "seed": [0, 0], "loss": [0.2, 0.5]})
        >>> [(run.run_id, run.status, run.settings) for run in runs_of_frame(table)][0]
        ('0', 'finished', {'learning_rate': 0.0001, 'seed': 0})
    """
    return [run_of_row(row, {}) for row in frame_rows(frame)]


def runs_table(runs: Sequence[Run]) -> "pd.DataFrame":
    """One row a run, in the order given, with its place.

    The columns are those of ``columns`` and then one for each setting that any run has, known
    hyperparameters first. Every type has a missing value, ``pandas.NA``; ``attrs["units"]`` and
    ``attrs["descriptions"]`` are by column. A setting of no known type keeps the type that pandas
    finds in it.

    Examples:
        ``runs_table(read_table(path)).query("status == 'finished'").sort_values("loss")``
    """
    import pandas as pd

    ranked = [place for item in comparability_classes(runs) for place in item.ranking]
    places = {id(run): place for place in ranked for run in place.runs}
    rows = [columns.RankedRun(run, places.get(id(run))) for run in runs]
    settings = dict.fromkeys(["max_steps", *columns.setting_names(runs)])
    chosen = [*columns.COLUMNS.values(), *map(columns.setting_column, settings)]
    values = {}
    for column in chosen:
        series = pd.Series(list(map(column.value, rows)), dtype=object)
        known = column.name in columns.COLUMNS or columns.setting_dtype(column.name)
        values[column.name] = series.astype(column.dtype) if known else _typed(series)
    table = pd.DataFrame(values)
    table.attrs["units"] = {column.name: column.unit for column in chosen}
    table.attrs["descriptions"] = {column.name: column.description for column in chosen}
    return table


def export_table(runs: Sequence[Run], path: Path) -> Path:
    """Write the table of runs, in one step.

    A file in ``.parquet`` has units and descriptions in its metadata; one in ``.csv`` is what
    ``read_table`` reads again, where a text that begins like a formula has an apostrophe before it.

    Raises:
        ComparisonError: The ending is another one, or there is no such folder.
        StoreError: The disk is full; a former file is as it was.
    """
    writer = {".parquet": parquet, ".csv": _csv}.get(path.suffix.lower())
    if writer is None:
        problem = "the ending says no format that a table is written in."
        raise ComparisonError(str(path), problem, ["expected: FILE.parquet or FILE.csv"])
    if not path.parent.is_dir():
        raise ComparisonError(str(path), "there is no such folder.", [f"make {path.parent} first"])
    write_bytes(path, writer(runs_table(runs)))
    return path


def _csv(table: "pd.DataFrame") -> bytes:
    escaped = table.map(lambda value: spreadsheet_cell(value) if isinstance(value, str) else value)
    # A carriage return is the end of a line to readers, and pandas does not put it in quotes.
    has_return = escaped.map(lambda value: isinstance(value, str) and "\r" in value).any(axis=None)
    quoting = csv.QUOTE_NONNUMERIC if has_return else csv.QUOTE_MINIMAL
    text = escaped.rename(columns=spreadsheet_cell).to_csv(index=False, quoting=quoting)
    return text.encode(errors="backslashreplace")


def parquet(table: "pd.DataFrame") -> bytes:
    """A table as a parquet file, without its index."""
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


def _typed(values: "pd.Series") -> "pd.Series":
    """A column of a setting that is not known here; mixed kinds become text, as parquet needs."""
    kinds = {type(value) for value in values.dropna()}
    if len(kinds) > 1 and not kinds <= {int, float}:
        return values.map(str, na_action="ignore").astype("string")
    return values.convert_dtypes()


def run_of_row(row: Row, dataset_frames: Mapping[str, int]) -> Run:
    """The run of a row of a table."""
    values = row.values
    settings = {name: value for name, value in values.items() if name not in columns.COLUMNS}
    max_steps, steps = values.get("max_steps"), values.get("logged_step")
    status = stated = values.get("status", "finished" if "loss" in values else "unfinished")
    if steps is None and status == "finished":
        steps = max_steps
    samples_seen, per_step = values.get("samples_seen"), samples_per_step(settings)
    if samples_seen is None and steps is not None and per_step is not None:
        samples_seen = steps * per_step
    problems = [f"{row.place}: {problem}." for problem in row.problems]
    if status == "finished" and steps is not None and max_steps is not None:
        least = min(_NEARLY_DONE * max_steps, max_steps - _logging_steps(settings))
        status = "finished" if steps >= least else "unfinished"
    if status != stated:
        problems.append(f"It is said to have finished, at step {steps:,} of {max_steps:,}.")
    if row.problems and (stated == "finished" or values.get("status") not in STATUS_WORDS):
        status = "unreadable"
    if not math.isfinite(values.get("loss", 0)):
        problems.append(f"Its loss is {values['loss']}.")
    memory = values.get("peak_memory_gb", 0) * 1e9
    if not memory and (noted := _NOTED_MEMORY.search(values.get("note", ""))):
        memory = float(noted[1]) * (2**30 if noted[2].lower() == "gib" else 1e9)
    started_at, verified = values.get("started_at", ""), values.get("frames_verified")
    return Run(
        run_id=values["run_id"],
        name=values.get("name", values["run_id"]),
        source="table",
        status=status,
        settings=settings,
        data={name.replace("_", " "): values[name] for name in columns.DATA if name in values},
        frames=frame_state(settings.get("video_backend"), started_at, verified),
        steps=steps,
        max_steps=max_steps,
        samples_seen=samples_seen,
        dataset_frames=values.get("dataset_frames")
        or dataset_frames.get(values.get("dataset", "")),
        loss=_loss(values, settings, samples_seen),
        peak_memory_bytes=round(memory) or None,
        problems=(*problems, *row.remarks),
        **{name: values[name] for name in _AS_THEY_ARE if name in values},
    )


def _loss(values: Mapping[str, Any], settings: Settings, samples_seen: int | None) -> Loss | None:
    mean, error, samples = (values.get(name) for name in ("loss", "loss_se", "loss_samples"))
    if mean is None or not math.isfinite(mean):
        return None
    if samples is None:
        samples = _logging_steps(settings) * (samples_per_step(settings) or 1)
        samples = max(1, min(samples, samples_seen or samples))
    kind = values.get("loss_kind", "one logged value" if error is None else "window mean")
    if error is None and kind == "one logged value":
        error = logged_value_error(mean, samples)
    return Loss(mean, error, samples, kind)


def _logging_steps(settings: Settings) -> int:
    """Steps that one logged loss is the mean of; Isaac-GR00T's 10 where nothing is said of it."""
    value = settings.get("logging_steps")
    return value if isinstance(value, int) else Hyperparameters().logging_steps
