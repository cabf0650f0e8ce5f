"""What the report shows of one comparability class: its ranking, and a grid of its losses."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gr00t_assets.comparison.columns import (
    COLUMNS,
    SHOWN_SETTINGS,
    Column,
    setting_column,
    varying_settings,
)
from gr00t_assets.comparison.contrasts.ranking import (
    ComparabilityClass,
    RankedConfiguration,
    RankedRun,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import factor_words, loss_text, plain, shown
from gr00t_assets.core.units import shown_setting
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.reporting.evaluation_ranking import first_evaluation

MOST_SETTINGS = 8
"""Columns of varying settings at most; a class with more has them in the runs' own lists."""

_OTHER_COLUMNS = frozenset({"rank", "run_id", "name", "status", "class", "loss", "loss_fall"})
"""Columns of a terminal that the report writes otherwise, or not."""

_REPLICATES = Column(
    "runs", "Int64", "", "Runs of this configuration, equal but for the seed",
    lambda row: len(row.place.runs) if row.place else None, "runs",
)  # fmt: skip
_OPEN_LOOP_ERROR = Column(
    "open_loop_error", "Float64", "", "On held-out episodes, in normalised units",
    lambda row: None, "open-loop error ± se",
)  # fmt: skip

MOST_RATES = 12
"""Learning rates that have a column of their own in the grid; of more, neighbours share one."""


def class_title(comparability_class: ComparabilityClass) -> str:
    """Dataset, trained parts and trainer, as far as they are known."""
    values = comparability_class.comparability
    dataset = comparability_class.runs[0].dataset
    parts = (dataset, values.get("trainable parts", ""), values.get("trainer", ""))
    return " · ".join(part for part in parts if part)


def frames_warning(frames: str) -> str:
    """A few words where the images are not known to be right; '' where they are."""
    return {"known wrong": "trained on wrong frames", "not verified": "frames not verified"}.get(
        frames, ""
    )


def record_note(runs: Iterable[Run]) -> str:
    """Failed checks, problems of files, and words of the runs' author, each said once."""
    notes: list[str] = []
    for run in runs:
        if run.failed_checks:
            notes.append(f"Failed check: {', '.join(run.failed_checks)}.")
        notes += [*run.problems, run.note]
    return " ".join(dict.fromkeys(note for note in notes if note))


class Cell(NamedTuple):
    """A cell as it is shown and as it is sorted by."""

    text: str
    order: object = ""


class RankingTable(NamedTuple):
    """The columns beside rank, experiment and loss; a row a configuration, lowest loss first."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[RankedConfiguration, tuple[Cell, ...]], ...]


def ranking_table(
    ranking: Sequence[RankedConfiguration],
    evaluations: Mapping[str, Evaluation],
    most_settings: int = MOST_SETTINGS,
    wide: bool = True,
) -> RankingTable:
    """The table of one class, without empty columns; of replicates the mean of each number.

    Args:
        evaluations: By run id.
        most_settings: Columns of varying settings at most.
        wide: Whether to have the columns that need much room, such as the open-loop error.
    """
    varying = varying_settings([run for ranked in ranking for run in ranked.runs], True)
    columns = [
        *(
            setting_column(name, factor_words(name))
            for name in (*SHOWN_SETTINGS, *varying[:most_settings])
        ),
        *(
            column
            for column in COLUMNS
            if column.heading and column.name not in _OTHER_COLUMNS and (wide or not column.wide)
        ),
        _REPLICATES,
    ]
    configurations = [[RankedRun(run, ranked) for run in ranked.runs] for ranked in ranking]
    table = [(column, [_cell(column, rows) for rows in configurations]) for column in columns]
    if wide and evaluations:
        errors = [_error_cell(first_evaluation(ranked, evaluations)) for ranked in ranking]
        table.insert(0, (_OPEN_LOOP_ERROR, errors))
    table = [(column, cells) for column, cells in table if any(cell.text for cell in cells)]
    rows = zip(*(cells for _, cells in table), strict=True)
    return RankingTable(
        tuple(column for column, _ in table), tuple(zip(ranking, rows, strict=True))
    )


def _cell(column: Column, rows: Sequence[RankedRun]) -> Cell:
    values = [value for row in rows if (value := plain(column.value(row))) is not None]
    if not values:
        return Cell("")
    if not column.numeric:
        return Cell(shown(values[0], column.name), values[0])
    mean = sum(values) / len(values)
    order = float(f"{mean:.6g}")
    if column.error is None:
        return Cell(shown(mean, column.name), order)
    errors = [error for row in rows if isinstance(error := column.error(row), float)]
    pooled = math.hypot(*errors) / len(errors) if len(errors) == len(values) else None
    return Cell(loss_text(mean, pooled), order)


def _error_cell(evaluation: Evaluation | None) -> Cell:
    if evaluation is None:
        return Cell("")
    error = evaluation.main.error
    seen = "" if evaluation.held_out else " (seen in training)"
    return Cell(loss_text(error.mean, error.standard_error) + seen, error.mean)


class GridCell(NamedTuple):
    """The best of the configurations of one cell, and the number of all their runs.

    ``shade`` is 0 for the highest loss of the grid to 100 for the lowest, on a logarithmic scale.
    """

    best: RankedConfiguration
    runs: int
    shade: int
    lowest: bool


class LossGrid(NamedTuple):
    """Losses by batch size (rows) and learning rate (columns); None where nothing was run.

    ``other_settings`` differ between the runs too, so that neighbours may differ in more than two.
    """

    rates: tuple[str, ...]
    rows: tuple[tuple[int, tuple[GridCell | None, ...]], ...]
    other_settings: tuple[str, ...]


def loss_grid(ranking: Sequence[RankedConfiguration]) -> LossGrid | None:
    """The grid of one class; None where fewer than two cells would be filled."""
    placed = [
        (ranked, float(rate), batch)
        for ranked in ranking
        if isinstance(rate := ranked.run.settings.get("learning_rate"), int | float)
        and rate > 0
        and isinstance(batch := ranked.run.settings.get("batch_size"), int)
    ]
    columns = _rate_columns(sorted({rate for _, rate, _ in placed}))
    cells: dict[tuple[int, str], list[RankedConfiguration]] = {}
    for ranked, rate, batch in placed:
        cells.setdefault((batch, columns[rate]), []).append(ranked)
    if len(cells) < 2:
        return None
    bests = {at: min(cells[at], key=lambda ranked: ranked.loss.mean) for at in cells}
    losses = [best.loss.mean for best in bests.values()]
    low, high = min(losses), max(losses)
    grid: dict[tuple[int, str], GridCell] = {}
    for at, best in bests.items():
        loss, shade = best.loss.mean, 100
        if 0 < low < high:
            shade = round(100 * math.log(high / loss) / math.log(high / low))
        count = sum(len(ranked.runs) for ranked in cells[at])
        grid[at] = GridCell(best, count, shade, loss == low)
    rates = tuple(dict.fromkeys(columns.values()))
    batches = sorted({batch for batch, _ in cells})
    runs = [run for ranked, _, _ in placed for run in ranked.runs]
    steps = ["steps"] if len({run.settings.get("max_steps") for run in runs}) > 1 else []
    return LossGrid(
        rates,
        rows=tuple((batch, tuple(grid.get((batch, rate)) for rate in rates)) for batch in batches),
        other_settings=(*steps, *map(factor_words, varying_settings(runs, True))),
    )


def _rate_columns(rates: Sequence[float]) -> dict[float, str]:
    """Each learning rate's column: its own, or the nearest of 1, 2 and 5 times a power of 10."""
    if len(rates) <= MOST_RATES:
        return {rate: shown_setting(rate) for rate in rates}
    columns = {}
    for rate in rates:
        choices = [float(f"{digit}e{math.floor(math.log10(rate))}") for digit in (1, 2, 5, 10)]
        nearest = min(choices, key=lambda choice: abs(math.log(rate / choice)))
        columns[rate] = f"≈ {shown_setting(nearest)}"
    return columns
