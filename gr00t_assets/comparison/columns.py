"""The columns of a table of runs: all views iterate over ``COLUMNS``, where a new one is added."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.factors import IMMATERIAL
from gr00t_assets.comparison.statistics.ranking import RankedConfiguration
from gr00t_assets.comparison.wording import SENTENCES, label, names_in_words
from gr00t_assets.experiments.registry import all_hyperparameters

Dtype = Literal["Int64", "Float64", "boolean", "string"]


@dataclass(frozen=True)
class RankedRun:
    """A run with the place of its configuration in its class; None where it is not ranked."""

    run: Run
    place: RankedConfiguration | None = None


Value = Callable[[RankedRun], object]


@dataclass(frozen=True)
class Column:
    """One column of a table of runs."""

    name: str
    dtype: Dtype  # Of pandas; each has a missing value, which is ``pandas.NA``
    unit: str
    description: str
    value: Value  # Of a row; None where it is missing
    heading: str = ""  # In the table of a ranking; '' where the column is left to the export
    derived: bool = False  # Worked out anew when an exported table is read again
    wide: bool = False  # Shown on the page alone, not where there is less room
    error: Value | None = None  # Standard error of the value of a row, where it has one

    @property
    def numeric(self) -> bool:
        """Whether its values stand on the right."""
        return self.dtype in ("Int64", "Float64")


def _of(path: str) -> Value:
    """What is at a path of attributes and keys; None where one is missing, or the text is empty."""

    def value(row: RankedRun) -> object:
        item: Any = row
        for name in path.split("."):
            item = item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)
        return None if item == "" else item

    return value


def _status_note(run: Run) -> str:
    status, stored = run.status, run.stored
    if status == "unfinished" and run.source == "store" and not (stored and stored.manifest):
        status = "no step" if run.steps is None else "no manifest"
    changes = stored.changes if stored else ()
    reason = next(iter(run.note.strip().splitlines()), "")
    note = SENTENCES["statuses"].get(status, "").format(
        where=f" at step {run.steps} of {run.max_steps}" if run.steps is not None else "",
        older=f" Older configuration: {'; '.join(changes)}." if changes else "",
        reason=f": {reason}" if reason else "",
    )  # fmt: skip
    return note.removesuffix(".") if status == "failed" and reason else note


def row_remark(row: RankedRun) -> str | None:
    """What a reader must know of a row beside its numbers."""
    run, place = row.run, row.place
    parts = []
    if place and place.tied:
        parts = ["Within noise of rank 1." if place.interval else "Not told apart from rank 1."]
    if place and len(place.runs) > 1:
        others = names_in_words([label(other) for other in place.runs if other is not run], 3)
        parts.append(f"Ranked as one with {others}: other seeds.")
    if place and place.survivors:
        parts.append(f"{place.survivors}.")
    parts.append(_status_note(run))
    if run.failed_checks:
        parts.append(f"Failed check: {', '.join(run.failed_checks)}.")
    parts += [*run.problems, run.note if run.source != "store" else ""]
    return " ".join(filter(None, parts)) or None


def cpu_hours(run: Run) -> float | None:
    """Wall hours of a run that used no GPU; None of any other."""
    return run.wall_seconds / 3600 if run.gpu_hours == 0 and run.wall_seconds is not None else None


DATA = {
    "dataset": "What it was trained on, by name",
    "dataset_version": "The same by content; for runs of a store",
    "data_config": "GR00T's choice of camera, state, action and language",
    "modality_config": "The same by content; for runs of a store",
    "embodiment_tag": "Which of the model's weights are the robot's",
    "base_model": "What training began from",
    "trainer": "What trained it, with its revision",
}
"""Columns of ``Run.data``: what must be equal before two losses can be set side by side."""

COLUMNS = {column.name: column for column in [
    Column("rank", "Int64", "", "By final loss, in its class", _of("place.place"), derived=True),
    Column("run_id", "string", "", "Unique among the runs that are compared", _of("run.run_id")),
    Column("name", "string", "", "Of the experiment; the run_id if left out", _of("run.name")),
    Column("status", "string", "", "Only finished runs are ranked", _of("run.status")),
    Column("source", "string", "", "store, table or wandb", _of("run.source"), derived=True),
    Column("sweep", "string", "", "Name of the sweep file", _of("run.sweep")),
    Column("started_at", "string", "", "ISO 8601; before October 2025 torchvision_av gives wrong "
           "frames", _of("run.started_at")),
    *(Column(name, "string", "", description, _of(f"run.data.{name.replace('_', ' ')}"))
      for name, description in DATA.items()),
    Column("class", "string", "", "Short id of the comparability class",
           lambda row: row.run.class_id if row.run.status != "missing" else None, derived=True),
    Column("loss", "Float64", "loss", "At logged_step: mean over max(20, 10 %) steps, or the one "
           "value that was logged", _of("run.loss.mean"), error=_of("run.loss.standard_error")),
    Column("loss_se", "Float64", "loss", "Standard error of the loss within the run; estimated "
           "where left out, missing where it cannot be told", _of("run.loss.standard_error")),
    Column("loss_samples", "Int64", "samples", "That the loss is a mean of; 10 logged steps if "
           "left out", _of("run.loss.samples")),
    Column("loss_kind", "string", "", "window mean or one logged value", _of("run.loss.kind")),
    Column("first_loss", "Float64", "loss", "Mean over the first max(20, 10 %) steps",
           _of("run.first_loss.mean"), derived=True),
    Column("chance_best", "Float64", "", "That no configuration of its class has a lower loss",
           _of("place.chance_best"), "chance best", derived=True),
    Column("loss_fall", "Float64", "ratio", "first_loss / loss", lambda row: row.run.loss and
           row.run.first_loss and row.run.first_loss.mean / row.run.loss.mean, derived=True),
    Column("loss_halfway", "Float64", "loss", "Where half of max_steps were done",
           _of("run.halfway_loss.mean"), "halfway", derived=True, wide=True,
           error=_of("run.halfway_loss.standard_error")),
    Column("trend", "string", "", "falling, level or rising at the end",
           lambda row: None if row.run.end_trend.slope is None else row.run.end_trend.trend,
           "at its end", derived=True, wide=True),
    Column("logged_step", "Int64", "optimizer steps", "Done when the loss was logged",
           _of("run.steps"), "steps"),
    Column("samples_seen", "Int64", "samples", "Over all steps, GPUs; batch x steps if left out",
           _of("run.samples_seen"), "samples"),
    Column("dataset_frames", "Int64", "frames", "In the dataset; wins over the catalog's",
           _of("run.dataset_frames")),
    Column("epochs", "Float64", "epochs", "samples_seen / dataset_frames", _of("run.epochs"),
           "epochs", derived=True),
    Column("frames", "string", "", "verified, known wrong or not verified", _of("run.frames"),
           derived=True),
    Column("frames_verified", "boolean", "", "Proof that the images are those of the asked time",
           lambda row: True if row.run.frames == "verified" else None),
    Column("samples_per_second", "Float64", "samples/s", "Of the training loop",
           _of("run.samples_per_second"), "samples/s", wide=True),
    Column("wall_seconds", "Float64", "s", "All attempts", _of("run.wall_seconds"), derived=True),
    Column("gpu_hours", "Float64", "h", "Wall hours times GPUs; 0 on a CPU", _of("run.gpu_hours"),
           "GPU h", wide=True),
    Column("cpu_hours", "Float64", "h", "Wall hours where no GPU was used",
           lambda row: cpu_hours(row.run), "CPU h", derived=True, wide=True),
    Column("peak_memory_gb", "Float64", "GB (10^9 bytes)", "Of one GPU, with these settings",
           lambda row: row.run.peak_memory_bytes / 1e9 if row.run.peak_memory_bytes else None),
    Column("hypothesis", "string", "", "Expected, before it ran", _of("run.hypothesis")),
    Column("note", "string", "", "What its author or the store says of it", _of("run.note")),
    Column("failed_checks", "string", "", "Names of the checks not passed",
           lambda row: ", ".join(row.run.failed_checks) or None, derived=True),
    Column("remark", "string", "", "What a reader must know of the row", row_remark, derived=True),
]}  # fmt: skip
"""Every column but those of the settings by name, in order."""

SHOWN_SETTINGS = {"learning_rate": "lr", "batch_size": "batch"}
"""Settings that are shown whether they vary or not, with their headings."""


def varying_settings(runs: Sequence[Run]) -> list[str]:
    """Settings that differ among runs, matter and are not shown anyway, hyperparameters first.

    Left out are the seed and what one source knows and another does not.
    """
    left_out = {*SHOWN_SETTINGS, "max_steps", *COLUMNS, "seed", *IMMATERIAL}
    return [
        name
        for name in setting_names(runs)
        if name not in left_out
        and len({repr(run.settings[name]) for run in runs if name in run.settings}) > 1
    ]


def setting_names(runs: Sequence[Run]) -> list[str]:
    """Names of the settings that any run has, known hyperparameters first."""
    present = {name for run in runs for name in run.settings}
    ordered = [name for name in all_hyperparameters() if name in present]
    return ordered + sorted(present - set(ordered))


def setting_column(name: str, heading: str = "") -> Column:
    """The column of a setting; ``string`` where nothing is known of its type."""
    field = all_hyperparameters().get(name)
    description = (field.description or "") if field else "A setting of this table alone"

    def value(row: RankedRun) -> object:
        return row.run.max_steps if name == "max_steps" else row.run.settings.get(name)

    return Column(name, setting_dtype(name) or "string", "", description, value, heading)


def setting_dtype(name: str) -> Dtype | None:
    """The pandas type of a hyperparameter's column; None for one that is not known here."""
    field = all_hyperparameters().get(name)
    if field is None:
        return None
    kinds: dict[object, Dtype] = {int: "Int64", float: "Float64", bool: "boolean"}
    return kinds.get(field.annotation, "string")
