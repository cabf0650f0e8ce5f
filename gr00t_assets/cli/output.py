"""How every command prints: as text whatever it is, tables, JSON, the end of findings, warnings."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.text import json_text, printable

_PIPED_WIDTH = 100  # Columns where the output is no terminal, such as a CI log
_SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}


class TextConsole(Console):
    """A console that takes no markup, and shows control characters of a text escaped.

    Cells of tables are to be ``str``: rich measures them before they are rendered.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What is printed, in parts; only rich's own parts move the cursor."""
        if isinstance(renderable, Text) and printable(renderable.plain) != renderable.plain:
            renderable = _printable_text(renderable)
        for part in super().render(renderable, options):
            yield part if part.control else Segment(printable(part.text), part.style)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text without styles of its own."""
        return super().render_str(printable(text).expandtabs(), **options)


def console() -> Console:
    """The standard output, wide enough for a table where it is no terminal."""
    terminal = TextConsole()
    return terminal if terminal.is_terminal else TextConsole(width=_PIPED_WIDTH)


def _printable_text(text: Text) -> Text:
    """The text with its styles; what had to be escaped has none."""
    shown = text.blank_copy()
    for place, character in enumerate(text.plain):
        escaped = printable(character)
        shown.append_text(text[place] if escaped == character else Text(escaped))
    return shown


def echo(text: str, err: bool = False, nl: bool = True) -> None:
    """Print a text on one or several lines, to standard error with ``err``."""
    typer.echo(printable(text), err=err, nl=nl)


def plain_table(*headings: str | Column, rows: Iterable[Sequence[str]] = ()) -> Table:
    """A table without lines."""
    table = Table(*headings, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    return table


@contextmanager
def episodes_progress(hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error for episodes that are looked at; what shows how many are done."""
    with Progress(console=TextConsole(stderr=True), transient=True, disable=hidden) as progress:
        task = progress.add_task("episodes", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def print_json(content: object) -> None:
    """Print what JSON has, without a number that it does not have."""
    typer.echo(json_text(content))


def print_findings(findings: Findings, title: str) -> None:
    """Print findings by fault: what was found in which file, what was expected, what to do."""
    out = TextConsole()
    for (severity, code), group in groupby(findings, lambda item: (item.severity, item.code)):
        out.print(Text(f"{severity} {code}", style=_SEVERITY_STYLES[severity]))
        for (expected, remedy), alike in groupby(group, lambda item: (item.expected, item.remedy)):
            for item in alike:
                subject = (f"{item.subject}: " if item.subject else "", "bold")
                out.print(Text.assemble("  ", subject, item.found), soft_wrap=True)
            _print_remedy(out, expected, remedy, indent=4)
    _print_verdict(out, findings, title)


def print_by_subject(findings: Findings, title: str) -> None:
    """Print findings by their subject: what was found, and where it is not right what to do."""
    out = TextConsole()
    for subject, group in groupby(findings, lambda item: item.subject):
        out.print(Text(subject or "", style="bold"))
        for item in group:
            severity = (f"  {item.severity:<8}", _SEVERITY_STYLES[item.severity])
            line = Text.assemble(severity, (f"{item.code}  ", "bold"), item.found)
            out.print(line, soft_wrap=True)
            _print_remedy(out, item.expected, item.remedy, indent=10)
    _print_verdict(out, findings, title)


def _print_remedy(out: Console, expected: str, remedy: str, indent: int) -> None:
    for label, text in (("expected", expected), ("do", remedy)):
        if text:
            out.print(Text.assemble(" " * indent, (f"{label:<10}", "dim"), text), soft_wrap=True)


def _print_verdict(out: Console, findings: Findings, title: str) -> None:
    if findings:
        out.print()
    style = "green" if findings.ok else "bold red"
    out.print(Text(f"{title}: {findings.summary()}", style=style), soft_wrap=True)


def tell_dagster(asset: str, experiment: str) -> None:
    """Report a materialisation of an experiment's present configuration, where there is a Dagster.

    The command has done its work by now: what goes wrong here is one line of warning.
    """
    if not os.environ.get("DAGSTER_HOME") and not (project_root() / "dagster.yaml").is_file():
        return
    try:
        from gr00t_assets.defs.rematerialize import report_partition

        report_partition(asset, experiment, Store.from_environment())
    except Exception as error:
        known = isinstance(error, Gr00tAssetsError)
        reason = error.headline if known else repr(error).splitlines()[0]
        remedy = "gr00t-assets store rematerialize tells it later"
        sys.stderr.write(f"warning: the page does not know of it: {reason}; {remedy}\n")
