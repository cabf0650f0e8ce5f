"""A sweep's result as plain text, for messages: the headline and the table of losses."""

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.comparison import Comparison
from gr00t_assets.comparison.statistics.ranking import ComparabilityClass
from gr00t_assets.comparison.wording import first_label
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.reporting.markdown import narrow_table
from gr00t_assets.reporting.ranking_table import loss_and_interval
from gr00t_assets.reporting.report import compare_everything, in_order
from gr00t_assets.runs.stored_run import read_runs

MOST_ROWS = 10
"""Of a table; ``gr00t-assets compare`` has them all."""


def sweep_message(sweep: Sweep, store: Store, most_rows: int = MOST_ROWS) -> list[str]:
    """What is best, then a line a configuration, at most so many; and what could not be read."""
    stored, lines = read_runs(sweep.experiments, store), []
    comparisons, problems = compare_everything(in_order(from_store(stored)), store, imported=())
    for comparison in comparisons:
        lines.append(comparison.verdict)
        for item in comparison.ranked_classes if most_rows else ():
            lines += _table(comparison, item, most_rows)
    return [*lines, *problems]


def _table(comparison: Comparison, item: ComparabilityClass, most_rows: int) -> list[str]:
    """A line a configuration: place, name, loss with its interval, success where it is known."""
    table = narrow_table(comparison, item)
    place_of = {column.name: place for place, column in enumerate(table.columns)}
    lines = []
    for (ranked, cells), (number, tied) in zip(table.rows[:most_rows], table.ranks, strict=False):
        loss, interval = loss_and_interval(ranked)
        line = f"{number}{' ≈' * tied} {first_label(ranked.runs)}: loss {loss}"
        line += f" ({interval})" if interval else ""
        success = cells[place_of["success"]].text if "success" in place_of else ""
        lines.append(line + (f", success {success}" if success else ""))
    if more := len(table.rows) - len(lines):
        lines.append(f"and {more} more: gr00t-assets compare")
    return lines
