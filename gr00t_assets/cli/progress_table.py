"""How far trainings are, as ``sweep run --wait`` and ``status`` print it."""

from typing import TYPE_CHECKING

from rich.table import Table

from gr00t_assets.cli.output import plain_table
from gr00t_assets.core.text import duration
from gr00t_assets.runs.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gr00t_assets.defs.sweep_runs import ExperimentState

PROGRESS_HEAD = ("step", "loss", "samples/s", "left", "engine", "node")
"""Columns of ``progress_cells``."""

_ORDER = ("training", "failed", "waiting", "starting", "queued", "pruned", "finished")


def progress_cells(progress: Progress | None) -> list[str]:
    """Step n of N, loss, samples/s, time left, engine and node; empty what is not known.

    Examples:
        >>> progress_cells(None)
        ['', '', '', '', '', '']
    """
    if progress is None:
        return [""] * len(PROGRESS_HEAD)
    loss, speed, left = progress.loss, progress.samples_per_second, progress.eta_seconds
    return [
        f"{progress.step:,} of {progress.steps:,}",
        "" if loss is None else f"{loss:.4f}",
        "" if speed is None else f"{speed:.3g}",
        duration(left) if left else "",
        progress.engine,
        progress.node or "",
    ]


def progress_line(progress: Progress | None) -> str:
    """The same in a line of a log.

    Examples:
        >>> progress_line(None)
        'nothing logged yet'
    """
    if progress is None or not progress.step:
        return "nothing logged yet"
    step, loss, speed, left, engine, node = progress_cells(progress)
    parts = [f"step {step} ({progress.percent:.0f} %)", loss and f"loss {loss}"]
    parts += [speed and f"{speed} samples/s", left and f"{left} left"]
    return ", ".join(filter(None, [*parts, f"{engine} on {node}" if node else engine]))


def progress_table(*before: str) -> Table:
    """A table for ``progress_cells`` with columns before them; a row is a line."""
    table = plain_table(*before, *PROGRESS_HEAD)
    for column in table.columns:
        column.no_wrap = True
        column.justify = "right" if column.header in PROGRESS_HEAD[:4] else "left"
    # Rich makes narrower what may wrap; names have no space to wrap at, so they lose their ends.
    table.columns[0].no_wrap = table.columns[-1].no_wrap = False
    table.columns[0].min_width = 12
    return table


def states_table(states: "Sequence[ExperimentState]", most: int) -> Table:
    """A row for each experiment; of more than ``most`` those that train come first."""
    shown = states
    if len(states) > most:
        shown = sorted(states, key=lambda item: _ORDER.index(item.state))[:most]
    table = progress_table("experiment", "state")
    for item in shown:
        table.add_row(item.experiment, item.state, *progress_cells(item.progress))
    if len(shown) < len(states):
        table.add_row(f"and {len(states) - len(shown)} more")
    return table
