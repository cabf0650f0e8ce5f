"""What the report shows of one comparability class: its ranking, and a grid of its losses."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gr00t_assets.comparison.columns import (
    COLUMNS,
    SHOWN_SETTINGS,
    Column,
    RankedRun,
    setting_column,
    varying_settings,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass, RankedConfiguration
from gr00t_assets.comparison.statistics.success import against_first
from gr00t_assets.comparison.success_ranking import RolledConfiguration, SuccessRanking
from gr00t_assets.comparison.wording import factor_words, first_label, loss_text, plain, shown
from gr00t_assets.core.text import shown_setting
from gr00t_assets.evaluation.result import Evaluation
from gr00t_assets.reporting.effect_table import IntervalAxis, interval_axis
from gr00t_assets.reporting.evaluation_ranking import EvaluatedConfiguration, evaluation_ranking

SETTINGS_ON_PAGE = 8  # Columns of varying settings; the runs' own lists have them all
_LAST_COLUMNS = frozenset({"loss_halfway", "trend", "samples_per_second"})

MOST_FIRST = 5  # Columns of settings that stand before those of what was measured
MOST_COLUMNS = 9  # Columns that a page has room for; the others are behind the fold of each row
_OPEN_LOOP_ERROR = Column(
    "open_loop_error", "Float64", "", "On held-out episodes, in normalised units",
    lambda row: None, "open-loop error",
)  # fmt: skip

_SUCCESS = Column("success", "Float64", "", "Over all episodes, with its 95 percent interval",
                  lambda row: None, "success")  # fmt: skip
_BY_LOSS = Column("by_loss", "Int64", "", "Place by loss", lambda row: None, "by loss")

MOST_RATES = 12  # Learning rates with a column of their own; of more, neighbours share one


def class_title(comparability_class: ComparabilityClass) -> str:
    """Dataset, trained parts and trainer, as far as they are known."""
    values = comparability_class.comparability
    dataset = comparability_class.runs[0].dataset
    return " · ".join(filter(None, (dataset, values.get("trainable parts"), values.get("trainer"))))


def frames_warning(frames: str) -> str:
    """A few words where the images are not known to be right; '' where they are."""
    warnings = {"known wrong": "trained on wrong frames", "not verified": "frames not verified"}
    return warnings.get(frames, "")


def evaluation_sentence(
    ranked_class: ComparabilityClass, evaluations: Mapping[str, Evaluation]
) -> str:
    """The open-loop error of the lowest loss of a class; '' where nothing was evaluated."""
    evaluated = evaluation_ranking(ranked_class.ranking, evaluations)
    if evaluated is None:
        return ""
    best, count = evaluated.rows[0], len(evaluated.rows)
    lowest = f"{_error_words(best)} ({evaluated.part})"
    row = next((row for row in evaluated.rows if row.ranked.place == 1), None)
    if row is best:
        return f"Its open-loop error is {lowest}{f', the lowest of {count}' if count > 1 else ''}."
    that = f"that of {first_label(best.ranked.runs)}, {lowest}."
    if row is None:
        return f"It was not evaluated; the lowest open-loop error is {that}"
    place = f"place {row.by_error} of {count}"
    return f"Its open-loop error is {_error_words(row)}, {place}; the lowest is {that}"


def _error_words(row: EvaluatedConfiguration) -> str:
    error = row.error
    if error.standard_error is None:
        return f"{error.mean:.3g}"
    return loss_text(error.mean, error.standard_error)


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
    """The columns beside rank, experiment and loss; a row a configuration."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[RankedConfiguration, tuple[Cell, ...]], ...]
    ranks: tuple[tuple[int, bool], ...]  # Of each row, and whether it cannot be told from the first
    by: str  # What the order is by


def ranking_table(
    ranking: Sequence[RankedConfiguration],
    evaluations: Mapping[str, Evaluation],
    most_settings: int = SETTINGS_ON_PAGE,
    wide: bool = True,
    success: Sequence[SuccessRanking] = (),
) -> RankingTable:
    """The table of one class, without empty columns; of replicates the mean of each number.

    The order is by success in the environment with most of its configurations; those that were not
    rolled out follow by open-loop error on held-out episodes, then by loss. A ``wide`` one has the
    columns that need much room too, such as the open-loop error.
    """
    chance = COLUMNS["chance_best"]
    varying = varying_settings([run for ranked in ranking for run in ranked.runs])
    names = (*SHOWN_SETTINGS, *varying[:most_settings])
    settings = [setting_column(name, factor_words(name)) for name in names]
    measured = [
        column
        for column in COLUMNS.values()
        if column.heading and column is not chance and (wide or not column.wide)
    ]
    measured.sort(key=lambda column: column.name in _LAST_COLUMNS)
    columns = [chance, *settings[:MOST_FIRST], *measured, *settings[MOST_FIRST:]]
    evaluated = evaluation_ranking(ranking, evaluations) if evaluations else None
    errors = {id(row.ranked): row for row in evaluated.rows} if evaluated else {}
    environment = max(success, key=lambda item: len(_rolled(item, ranking)), default=None)
    rolled = _rolled(environment, ranking) if environment else {}
    by, ranks = "training loss", [(ranked.place, ranked.tied) for ranked in ranking]
    if environment and rolled:
        by = f"success in {environment.environment}"
        if len(rolled) < len(ranking):
            by += ", those without rollouts by open-loop error on held-out episodes, then by loss"
        ranking = sorted(ranking, key=lambda item: _order(item, rolled, errors))
        shown_success = [row.success for ranked in ranking if (row := rolled.get(id(ranked)))]
        tied = [False, *(not pair.told_apart for pair in against_first(shown_success))]
        ranks = list(enumerate([*tied, *[False] * (len(ranking) - len(tied))], start=1))
    configurations = [[RankedRun(run, ranked) for run in ranked.runs] for ranked in ranking]
    table = [(column, [_cell(column, rows) for rows in configurations]) for column in columns]
    if wide and evaluations:
        table.insert(1, (_OPEN_LOOP_ERROR, [_error_cell(errors.get(id(item))) for item in ranking]))
    if rolled:
        rollouts = [rolled.get(id(ranked)) for ranked in ranking]
        cells = [Cell(row.words, row.success.rate) if row else Cell("") for row in rollouts]
        places = [Cell(f"{ranked.place}", ranked.place) for ranked in ranking]
        table = [(_SUCCESS, cells), (_BY_LOSS, places), *table]
    table = [(column, cells) for column, cells in table if any(cell.text for cell in cells)]
    rows = zip(*(cells for _, cells in table), strict=True)
    return RankingTable(
        tuple(column for column, _ in table),
        tuple(zip(ranking, rows, strict=True)),
        tuple(ranks),
        by,
    )


def _rolled(
    success: SuccessRanking, ranking: Sequence[RankedConfiguration]
) -> dict[int, RolledConfiguration]:
    rows = ((ranked, success.place(ranked)) for ranked in ranking)
    return {id(ranked): row for ranked, row in rows if row}


def _order(
    ranked: RankedConfiguration,
    rolled: Mapping[int, RolledConfiguration],
    errors: Mapping[int, EvaluatedConfiguration],
) -> tuple[int, float]:
    if row := rolled.get(id(ranked)):
        return (0, -row.success.rate)
    if (error := errors.get(id(ranked))) and error.evaluation.held_out:
        return (1, error.error.mean)
    return (2, ranked.place)


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


def _error_cell(row: EvaluatedConfiguration | None) -> Cell:
    if row is None:
        return Cell("")
    seen = "" if row.evaluation.held_out else " (seen in training)"
    return Cell(loss_text(row.error.mean, row.error.standard_error) + seen, row.error.mean)


class LossGrid(NamedTuple):
    """Configurations by batch size and learning rate, in each cell the lowest loss first."""

    rates: tuple[str, ...]  # The columns
    cells: dict[tuple[int, str], list[RankedConfiguration]]
    axis: IntervalAxis | None  # Of the lowest losses of the cells; None where they are equal
    other_settings: tuple[str, ...]  # Differ too, so that neighbours may differ in more than two


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
    runs = [run for ranked, _, _ in placed for run in ranked.runs]
    steps = ["steps"] if len({run.settings.get("max_steps") for run in runs}) > 1 else []
    return LossGrid(
        tuple(dict.fromkeys(columns.values())),
        cells,
        axis=interval_axis((cell[0].loss.mean, None) for cell in cells.values()),
        other_settings=(*steps, *map(factor_words, varying_settings(runs))),
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
