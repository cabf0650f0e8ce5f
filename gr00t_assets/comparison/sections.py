"""One sweep of the report, put into words and cells: what the template writes down."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gr00t_assets.comparison.curves import Style, curve_groups, run_styles
from gr00t_assets.comparison.findings import cautions, headline, loss_words, settings_words
from gr00t_assets.comparison.formatting import interval_positions, is_missing, shown
from gr00t_assets.comparison.plots import curves_figure
from gr00t_assets.comparison.run import STATUS_WORDS, Run
from gr00t_assets.comparison.table import (
    comparison_table,
    ranked_classes,
    shown_runs,
    table_columns,
    table_rows,
    varying_hyperparameters,
)
from gr00t_assets.experiments.sweeps import Sweep

INTERVAL_WIDTH = 110
"""Pixels of the axis that losses and their errors are drawn on."""

_FACTORS = ("learning_rate", "batch_size")
_COURSE = ("samples_seen", "epochs", "steps", "first_loss", "loss_fall")
_COSTS = ("samples_per_second", "wall_seconds", "gpu_hours")
HEADS = {
    "first_loss": "first loss",
    "loss_fall": "fall",
    "samples_seen": "samples seen",
    "learning_rate": "learning rate",
    "batch_size": "batch size",
    "samples_per_second": "samples/s",
    "wall_seconds": "wall time",
    "gpu_hours": "GPU h",
}


@dataclass(frozen=True)
class Cell:
    """A cell as it is shown and as it is sorted by."""

    text: str
    order: Any


@dataclass(frozen=True)
class RankedRow:
    """A ranked run; ``interval`` is low end, mean and high end in pixels, or None."""

    rank: int
    name: str
    style: Style
    loss: str
    loss_order: float
    interval: tuple[float, float, float] | None
    cells: list[Cell]
    note: str


@dataclass(frozen=True)
class RankedTable:
    """The ranking of one comparability class."""

    short_id: str
    dataset: str
    words: dict[str, str]
    heads: list[tuple[str, str]]
    rows: list[RankedRow]


@dataclass(frozen=True)
class UnrankedRow:
    """A run that has no rank, with the reason and the command that mends it."""

    name: str
    style: Style
    status: str
    status_words: str
    loss: str
    progress: str
    reason: str
    failure: str
    command: str


@dataclass(frozen=True)
class ExperimentRow:
    """What an experiment is and what its author expected."""

    name: str
    style: Style
    hypothesis: str
    tags: tuple[str, ...]
    subject: str
    changed: list[tuple[str, str]]
    unchanged: list[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """Everything that the report says of one sweep."""

    name: str
    description: str
    headline: str
    cautions: list[str]
    counts: list[tuple[str, int]]
    classes: list[RankedTable]
    unranked: list[UnrankedRow]
    figures: list[tuple[str, str]]
    experiments: list[ExperimentRow]
    older_runs: list[tuple[str, str, str]]
    table: pd.DataFrame


def sweep_section(sweep: Sweep, runs: Sequence[Run]) -> Section:
    """Put together the section of a sweep from the runs of its experiments."""
    table = comparison_table(runs)
    styles = run_styles(runs)
    current = shown_runs(runs)
    shown_ids = {id(run) for run in current}
    rows = {row["experiment"]: row for row in table_rows(table)}
    ranked = [_ranked_table(members, rows, styles) for members in ranked_classes(runs)]
    return Section(
        name=sweep.name,
        description=sweep.description,
        headline=headline(runs),
        cautions=cautions(runs),
        counts=list(Counter(run.status for run in current).items()),
        classes=ranked,
        unranked=[
            _unranked_row(run, rows[run.name], styles)
            for run in current
            if is_missing(rows[run.name]["rank"])
        ],
        figures=[(title, _figure_json(members, styles)) for title, members in curve_groups(runs)],
        experiments=[_experiment_row(run, styles) for run in current],
        older_runs=[
            (run.name, run.config_hash or "", "; ".join(run.changes) or "its spec cannot be read")
            for run in runs
            if run.stale and id(run) not in shown_ids
        ],
        table=table,
    )


def _ranked_table(
    members: Sequence[Run],
    rows: dict[str, dict[str, Any]],
    styles: dict[str, Style],
) -> RankedTable:
    varying = varying_hyperparameters(members)
    costs = [name for name in _COSTS if any(rows[run.name][name] for run in members)]
    names = [*_FACTORS, *varying, *_COURSE, *costs]
    units = {column.name: column for column in table_columns(varying)}
    heads = [
        (HEADS.get(name, name), f"{units[name].meaning}; {units[name].unit}".rstrip("; "))
        for name in names
    ]
    windows = [run.final_loss for run in members if run.final_loss]
    values = [(window.mean, window.standard_error) for window in windows]
    drawable = all(mean > 0 for mean, _ in values)
    intervals = interval_positions(values, INTERVAL_WIDTH) if drawable else [None] * len(members)
    manifest, group = members[0].manifest, members[0].comparability_class
    return RankedTable(
        short_id=group.short_id if group else "",
        dataset=manifest.dataset if manifest else "",
        words=group.words() if group else {},
        heads=heads,
        rows=[
            RankedRow(
                rank=place + 1,
                name=run.name,
                style=styles[run.name],
                loss=loss_words(run),
                loss_order=values[place][0],
                interval=intervals[place],
                cells=[_cell(rows[run.name][name], name) for name in names],
                note=_text(rows[run.name]["note"]),
            )
            for place, run in enumerate(members)
        ],
    )


def _cell(value: Any, column: str) -> Cell:
    order = "" if is_missing(value) else value
    return Cell(shown(value, column), order)


def _unranked_row(run: Run, row: dict[str, Any], styles: dict[str, Style]) -> UnrankedRow:
    done = f"{run.steps:,} of {shown(row['max_steps'], 'max_steps')}" if run.steps else ""
    failure = run.manifest.failure if run.manifest and run.status == "failed" else None
    return UnrankedRow(
        name=run.name,
        style=styles[run.name],
        status=run.status,
        status_words=STATUS_WORDS[run.status],
        loss=loss_words(run),
        progress=done,
        reason=_text(row["note"]),
        failure=failure or "",
        command=run.command,
    )


def _experiment_row(run: Run, styles: dict[str, Style]) -> ExperimentRow:
    experiment = run.experiment
    base = experiment.base_model
    if experiment.base_model_revision:
        base += f" at {experiment.base_model_revision}"
    settings = settings_words(experiment.hyperparameters)
    return ExperimentRow(
        name=run.name,
        style=styles[run.name],
        hypothesis=experiment.hypothesis,
        tags=experiment.tags,
        subject=f"{experiment.dataset}, {experiment.trainer} trainer, base model {base}",
        changed=[(name, value) for name, value, default in settings if not default],
        unchanged=[(name, value) for name, value, default in settings if default],
    )


def _figure_json(members: Sequence[Run], styles: dict[str, Style]) -> str:
    """The figure for a script element: no '<', so that nothing in it can end the element."""
    text = json.dumps(curves_figure(members, styles), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _text(value: Any) -> str:
    return "" if is_missing(value) else str(value)
