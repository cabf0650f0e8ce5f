"""Learning rate by batch size: best loss and number of runs in each cell, class by class."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.answers.words import label, loss_words
from gr00t_assets.comparison.contrasts.ranking import Ranked
from gr00t_assets.comparison.formatting import shown_setting
from gr00t_assets.reporting.report.ranked import short_name, varying_settings

MOST_COLUMNS = 12
"""Learning rates that have a column of their own; of more, neighbours share one."""


@dataclass(frozen=True)
class MapCell:
    """The best of the configurations of one cell.

    Attributes:
        loss: In words.
        runs: Runs in the cell, replicates counted.
        shade: 0 for the highest loss of the map to 100 for the lowest, on a logarithmic scale.
        best: Whether it has the lowest loss of the map.
    """

    loss: str
    name: str
    runs: int
    shade: int
    best: bool


@dataclass(frozen=True)
class Map:
    """Cells by batch size (rows) and learning rate (columns); None where nothing was run.

    Attributes:
        also: Other settings that differ between the runs, so that a cell's neighbours may differ
            in more than the two.
    """

    rates: tuple[str, ...]
    rows: tuple[tuple[str, tuple[MapCell | None, ...]], ...]
    also: tuple[str, ...]


def loss_map(ranked: Sequence[Ranked]) -> Map | None:
    """The map of one class; None where fewer than two cells would be filled."""
    placed = [
        (each, float(rate), batch)
        for each in ranked
        if isinstance(rate := each.observation.settings.get("learning_rate"), int | float)
        and rate > 0
        and isinstance(batch := each.observation.settings.get("batch_size"), int)
    ]
    columns = _columns(sorted({rate for _, rate, _ in placed}))
    cells: dict[tuple[int, str], list[Ranked]] = {}
    for each, rate, batch in placed:
        cells.setdefault((batch, columns[rate]), []).append(each)
    if len(cells) < 2:
        return None
    bests = [min(members, key=lambda one: one.loss.mean).loss.mean for members in cells.values()]
    low, high = min(bests), max(bests)
    rates = tuple(dict.fromkeys(columns.values()))
    rows = tuple(
        (str(batch), tuple(_cell(cells.get((batch, rate)), low, high) for rate in rates))
        for batch in sorted({batch for batch, _ in cells})
    )
    runs = [run for each, _, _ in placed for run in each.observations]
    steps = {run.settings.get("max_steps") for run in runs}
    also = [*(["steps"] if len(steps) > 1 else []), *map(short_name, varying_settings(runs))]
    return Map(rates, rows, tuple(also))


def _columns(rates: Sequence[float]) -> dict[float, str]:
    """Each learning rate's column: its own, or the nearest of 1, 2 and 5 times a power of 10."""
    if len(rates) <= MOST_COLUMNS:
        return {rate: shown_setting(rate) for rate in rates}
    return {rate: f"≈ {shown_setting(_rounded(rate))}" for rate in rates}


def _rounded(rate: float) -> float:
    power = math.floor(math.log10(rate))
    choices = [float(f"{digit}e{power}") for digit in (1, 2, 5, 10)]
    return min(choices, key=lambda choice: abs(math.log(rate / choice)))


def _cell(members: list[Ranked] | None, low: float, high: float) -> MapCell | None:
    if not members:
        return None
    best = min(members, key=lambda one: one.loss.mean)
    loss = best.loss.mean
    shade = 100
    if 0 < low < high:
        shade = round(100 * math.log(high / loss) / math.log(high / low))
    return MapCell(
        loss=loss_words(best.observations).partition(" ")[0],
        name=label(best.observation),
        runs=sum(len(each.observations) for each in members),
        shade=shade,
        best=loss == low,
    )
