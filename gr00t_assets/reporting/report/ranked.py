"""The ranked table of one comparability class, put into cells."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gr00t_assets.comparison.answers.words import label, loss_words
from gr00t_assets.comparison.contrasts.factors import IMMATERIAL
from gr00t_assets.comparison.contrasts.measures import loss_at_fraction, plateau_or_falling
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.ranking import Ranked
from gr00t_assets.comparison.curve_groups import DASHES, PALETTE, Style
from gr00t_assets.comparison.findings import loss_text
from gr00t_assets.comparison.formatting import shown, shown_setting
from gr00t_assets.experiments.hyperparameters import Hyperparameters

if TYPE_CHECKING:
    from gr00t_assets.evaluation.result import Evaluation


FACTORS = ("learning_rate", "batch_size")
_NO_COLUMN = IMMATERIAL | {*FACTORS, "max_steps", "seed"}
MOST_SETTINGS = 8
"""Columns of varying settings at most; a class with more has them in the runs' own lists."""


@dataclass(frozen=True)
class Head:
    """A column: heading, what it means, and whether it is of numbers."""

    text: str
    title: str
    number: bool = True


@dataclass(frozen=True)
class Cell:
    """A cell as it is shown and as it is sorted by."""

    text: str
    order: Any = ""


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        name: Of its experiment, or of the first of its replicates; an imported run's id.
        alias: The name of an imported run, where it is not its id.
        runs: Ids of its runs.
        style: How its curve is drawn; None where it is not among those that are drawn.
        interval: Of the loss at 95 percent: low end, mean and high end in percent of the axis.
        tied: Whether it is not the best, and cannot be told from it.
        note: What a reader must know of it.
    """

    place: int
    name: str
    alias: str
    runs: tuple[str, ...]
    style: Style | None
    loss: str
    loss_order: float
    interval: tuple[float, float, float] | None
    tied: bool
    cells: tuple[Cell, ...]
    note: str


@dataclass(frozen=True)
class RankedTable:
    """Heads and rows, lowest loss first."""

    heads: tuple[Head, ...]
    rows: tuple[Row, ...]


def ranked_table(
    ranked: Sequence[Ranked],
    styles: Mapping[str, Style],
    evaluations: "Mapping[str, Evaluation]",
) -> RankedTable:
    """The table of one class; a column that has no value in any row is left out."""
    runs = [run for each in ranked for run in each.observations]
    varying = varying_settings(runs)[:MOST_SETTINGS]
    columns = [
        *(_setting_column(name) for name in (*FACTORS, "max_steps", *varying)),
        *_COURSE,
    ]
    if any(run.run_id in evaluations for run in runs):
        columns.insert(0, _evaluation_column(evaluations))
    rows = [[cell(each) for _, cell in columns] for each in ranked]
    kept = [place for place in range(len(columns)) if any(row[place].text for row in rows)]
    intervals = _intervals(ranked)
    return RankedTable(
        heads=tuple(columns[place][0] for place in kept),
        rows=tuple(
            Row(
                place=each.place,
                name=shown_name(each),
                alias=_alias(each.observation),
                runs=tuple(run.run_id for run in each.observations),
                style=styles.get(each.observation.run_id),
                loss=loss_words(each.observations),
                loss_order=each.loss.mean,
                interval=interval,
                tied=each.tied_with_best and each.place > 1,
                cells=tuple(row[place] for place in kept),
                note=row_note(each),
            )
            for each, row, interval in zip(ranked, rows, intervals, strict=True)
        ),
    )


def shown_name(each: Ranked) -> str:
    """The experiment's name, or an imported run's id; of replicates the first, and how many."""
    name = label(each.observation)
    count = len(each.observations)
    return f"{name} ({count} runs)" if count > 1 else name


def _alias(run: Observation) -> str:
    return "" if run.name == label(run) else run.name


def row_note(each: Ranked) -> str:
    """Failed checks, problems of files, and words of the runs' author, each said once."""
    said: list[str] = []
    for run in each.observations:
        if run.failed_checks:
            said.append(f"Failed check: {', '.join(run.failed_checks)}.")
        said += [*run.problems, run.note]
    return " ".join(dict.fromkeys(text for text in said if text))


def varying_settings(runs: Iterable[Observation]) -> list[str]:
    """Material settings that differ among the runs and have no column, in GR00T's order.

    A setting that one run has and another's source does not know is not counted as different.
    """
    values: dict[str, set[Any]] = {}
    for run in runs:
        for name, value in run.settings.items():
            values.setdefault(name, set()).add(value)
    order = {name: place for place, name in enumerate(Hyperparameters.model_fields)}
    found = [name for name, held in values.items() if len(held) > 1 and name not in _NO_COLUMN]
    return sorted(found, key=lambda name: (order.get(name, len(order)), name))


def class_styles(ranked: Sequence[Ranked], most: int) -> dict[str, Style]:
    """A style for the first runs of a class by run id: colour and dash are those of the place."""
    drawn = [each.observation for each in ranked][:most]
    return {
        run.run_id: Style(
            PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)]
        )
        for place, run in enumerate(drawn)
    }


def short_name(setting: str) -> str:
    """A setting's name as a heading."""
    return {"max_steps": "steps"}.get(setting, setting.replace("_", " "))


def _setting_column(name: str) -> tuple[Head, Any]:
    field = Hyperparameters.model_fields.get(name)
    head = Head(short_name(name), (field.description if field else "") or "")

    def cell(each: Ranked) -> Cell:
        value = each.observation.settings.get(name)
        if value is None:
            return Cell("")
        return Cell(shown(value, name), shown_setting(value) if isinstance(value, str) else value)

    return head, cell


def _course(head: str, title: str, column: str, value: Any) -> tuple[Head, Any]:
    def cell(each: Ranked) -> Cell:
        found = [held for run in each.observations if (held := value(run)) is not None]
        if not found:
            return Cell("")
        mean = sum(found) / len(found)
        return Cell(shown(mean, column), float(f"{mean:.6g}"))

    return Head(head, title), cell


def _seeds(each: Ranked) -> Cell:
    return Cell(str(len(each.observations)), len(each.observations))


def _end(each: Ranked) -> Cell:
    trend = plateau_or_falling(each.observation).trend
    return Cell("" if trend == "unknown" else trend)


def _halfway(each: Ranked) -> Cell:
    losses = [loss_at_fraction(run, 0.5) for run in each.observations]
    found = [loss for loss in losses if loss is not None]
    if not found:
        return Cell("")
    mean = sum(loss.mean for loss in found) / len(found)
    error = math.hypot(*(loss.standard_error for loss in found)) / len(found)
    return Cell(loss_text(mean, error), float(f"{mean:.6g}"))


_COURSE = (
    (Head("halfway", "Loss ± se where half of the schedule was done"), _halfway),
    _course("samples seen", "Over all GPUs", "samples_seen", lambda one: one.samples_seen),
    _course("epochs", "Samples seen over frames of the dataset", "epochs", lambda one: one.epochs),
    (Head("runs", "Runs of this configuration, equal but for the seed"), _seeds),
    (Head("at its end", "Whether the loss still falls over the last quarter", number=False), _end),
    _course(
        "samples/s",
        "Of the training loop",
        "samples_per_second",
        lambda one: one.samples_per_second,
    ),
    _course("GPU h", "Wall hours times GPUs; 0 on a CPU", "gpu_hours", lambda one: one.gpu_hours),
)


def _evaluation_column(evaluations: "Mapping[str, Evaluation]") -> tuple[Head, Any]:
    def cell(each: Ranked) -> Cell:
        found = next(
            (evaluations[run.run_id] for run in each.observations if run.run_id in evaluations),
            None,
        )
        if found is None:
            return Cell("")
        error = found.main.error
        seen = "" if found.held_out else " (seen in training)"
        return Cell(loss_text(error.mean, error.standard_error) + seen, error.mean)

    return Head("open-loop error ± se", "On held-out episodes, in normalised units"), cell


def _intervals(ranked: Sequence[Ranked]) -> list[tuple[float, float, float] | None]:
    ends = [(*each.interval, each.loss.mean) for each in ranked]
    if not ends or not all(math.isfinite(value) and value > 0 for end in ends for value in end):
        return [None] * len(ends)
    low = math.log(min(end[0] for end in ends))
    width = math.log(max(end[1] for end in ends)) - low
    if not width > 0:
        return [None] * len(ends)

    def place(value: float) -> float:
        return round(100 * (math.log(value) - low) / width, 1)

    return [(place(start), place(mean), place(end)) for start, end, mean in ends]
