"""The report: one HTML file that works offline, and the same in Markdown for Dagster's pages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from gr00t_assets.comparison.columns import FIXED
from gr00t_assets.comparison.findings import loss_text
from gr00t_assets.comparison.formatting import shown
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.comparison.sections import HEADS, INTERVAL_WIDTH, Section, sweep_section
from gr00t_assets.comparison.table import table_rows
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.files import write_bytes
from gr00t_assets.project import Store

FILE = "loss_comparison.html"

_MARKDOWN_COLUMNS = ("rank", "experiment", "status", "loss", "loss_fall", "steps", "samples_seen",
                     "epochs", "learning_rate", "batch_size")  # fmt: skip


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes:
        path: The HTML file.
        sections: One a sweep, in the order of the file.
        runs: The runs of every sweep that was read, by its name, reported or not.
    """

    path: Path
    sections: tuple[Section, ...]
    runs: dict[str, list[Run]]

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The comparison table of each sweep in the report, by the sweep's name."""
        return {section.name: section.table for section in self.sections}

    @property
    def headlines(self) -> dict[str, str]:
        """The headline of each sweep in the report, by the sweep's name."""
        return {section.name: section.headline for section in self.sections}

    def markdown(self, sweep: str) -> str:
        """Headline, table and cautions of a sweep, in GitHub's Markdown.

        Raises:
            KeyError: The sweep is not in the report.
        """
        section = next((item for item in self.sections if item.name == sweep), None)
        if section is None:
            raise KeyError(sweep)
        parts = [f"**{escaped(section.headline)}**", markdown_table(section.table)]
        parts += [f"- {escaped(caution)}" for caution in section.cautions]
        return "\n\n".join(parts[:2]) + "\n\n" + "\n".join(parts[2:])


def write_report(sweeps: Sequence[Sweep], store: Store, asked: Collection[str] = ()) -> Report:
    """Write the comparison of every sweep that has a run to ``reports/loss_comparison.html``.

    Args:
        sweeps: Every sweep of the project.
        store: Where the runs are, and where the report goes.
        asked: Names of sweeps that get a section even where nothing has run yet.

    Raises:
        StoreError: The disk is full; the former report is as it was.
    """
    runs = {sweep.name: read_runs(sweep.experiments, store) for sweep in sweeps}
    sections = tuple(
        sweep_section(sweep, runs[sweep.name])
        for sweep in sweeps
        if sweep.name in asked or any(run.status != "missing" for run in runs[sweep.name])
    )
    path = store.reports / FILE
    write_bytes(path, render(sections, [sweep.name for sweep in sweeps]).encode())
    return Report(path, sections, runs)


def render(sections: Sequence[Section], sweep_names: Sequence[str]) -> str:
    """The whole page; everything that comes from files is escaped."""
    import jinja2
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gr00t_assets.comparison"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    reported = {section.name for section in sections}
    drawn = any(section.figures for section in sections)
    return environment.get_template("report.html.j2").render(
        sections=sections,
        interval_width=INTERVAL_WIDTH,
        without_runs=[name for name in sweep_names if name not in reported],
        written_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        plotly=get_plotlyjs() if drawn else "",
    )


def markdown_table(table: pd.DataFrame) -> str:
    """A comparison table in GitHub's Markdown, numbers aligned to the right."""
    fixed = [*_MARKDOWN_COLUMNS, *(name for name in table.columns if name not in FIXED)]
    classes = table.loc[table["rank"].notna(), "class"].nunique()
    names = [*fixed, *(["class"] if classes > 1 else []), "note"]
    left = {"experiment", "status", "note", "class"}
    lines = [
        "| " + " | ".join(HEADS.get(name, name) for name in names) + " |",
        "|" + "|".join(":--" if name in left else "--:" for name in names) + "|",
    ]
    for row in table_rows(table):
        lines.append("| " + " | ".join(escaped(markdown_cell(row, name)) for name in names) + " |")
    return "\n".join(lines)


def markdown_cell(row: dict[str, Any], name: str) -> str:
    """A cell's text; 'loss' is the final loss with its standard error."""
    if name == "loss":
        return loss_text(row["final_loss"], row["final_loss_se"])
    return shown(row[name], name)


def escaped(text: str) -> str:
    r"""Text that Markdown leaves as it is, on one line.

    Example:
        >>> print(escaped("a|b <i> c_d"))
        a\|b &lt;i&gt; c\_d
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\|`*_[]":
        text = text.replace(character, "\\" + character)
    return text
