"""The comparison on a terminal."""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from gr00t_assets.comparison.columns import FIXED
from gr00t_assets.comparison.findings import loss_text
from gr00t_assets.comparison.formatting import is_missing, shown
from gr00t_assets.comparison.table import table_rows

PIPED_WIDTH = 100
"""Columns where the output is no terminal, such as a CI log."""

_COLUMNS = (
    ("steps", "steps"),
    ("samples", "samples_seen"),
    ("epochs", "epochs"),
    ("lr", "learning_rate"),
    ("batch", "batch_size"),
)
_STYLES = {
    "finished": "green",
    "failed": "red",
    "unreadable": "red",
    "pruned": "yellow",
    "interrupted": "yellow",
    "unfinished": "yellow",
    "stale": "yellow",
    "missing": "dim",
}


def console() -> Console:
    """The standard output, wide enough for a table where it is no terminal."""
    out = Console()
    return out if out.is_terminal else Console(width=PIPED_WIDTH)


def print_table(
    table: pd.DataFrame, title: str = "", headline: str = "", out: Console | None = None
) -> None:
    """Print a comparison table to fit 100 columns, and each note below it once.

    Hyperparameters that vary have a column each where all of them fit.

    Args:
        table: As :func:`comparison_table` makes it.
        title: Printed above it.
        headline: The result in words, printed between title and table.
        out: Where to print; the standard output where left out.
    """
    out = out or console()
    if title:
        out.print(Text(title, style="bold"))
    if headline:
        out.print(Text(headline))
    shape = _rich_table(table, [name for name in table.columns if name not in FIXED])
    if Measurement.get(out, out.options.update(max_width=1000), shape).maximum > out.width:
        shape = _rich_table(table, [])
    out.print(shape)
    noted: dict[str, list[str]] = {}
    for row in table_rows(table):
        if not is_missing(row["note"]):
            noted.setdefault(row["note"], []).append(row["experiment"])
    for note, names in noted.items():
        out.print(Text(f"  {', '.join(names)}: {note}", style="dim"), soft_wrap=False)


def _rich_table(table: pd.DataFrame, varying: Sequence[str]) -> Table:
    classes = table.loc[table["rank"].notna(), "class"].nunique() > 1
    shape = Table(box=None, pad_edge=False, header_style="bold")
    shape.add_column("rank", justify="right", no_wrap=True)
    shape.add_column("experiment", overflow="fold", min_width=14)
    shape.add_column("status", no_wrap=True)
    if classes:
        shape.add_column("class", no_wrap=True)
    shape.add_column("loss ± se", justify="right", no_wrap=True)
    shape.add_column("fall", justify="right", no_wrap=True)
    for head, _ in _COLUMNS:
        shape.add_column(head, justify="right", no_wrap=True)
    for name in varying:
        shape.add_column(name, justify="right", overflow="fold")
    for row in table_rows(table):
        cells = [
            Text(shown(row["rank"], "rank")),
            Text(row["experiment"]),
            Text(row["status"], style=_STYLES.get(row["status"], "")),
            *([Text(shown(row["class"], "class"))] if classes else []),
            Text(loss_text(row["final_loss"], row["final_loss_se"])),
            Text(shown(row["loss_fall"], "loss_fall")),
            *(Text(shown(row[name], name)) for _, name in _COLUMNS),
            *(Text(shown(row[name], name)) for name in varying),
        ]
        shape.add_row(*cells)
    return shape
