"""How every command prints: the width of its output, tables, JSON, and the end of findings."""

import json
from itertools import groupby

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gr00t_assets.core.finding import Findings

_PIPED_WIDTH = 100
"""Columns where the output is no terminal, such as a CI log."""

SEVERITY_STYLES = {"error": "bold red", "warning": "yellow", "ok": "green"}


def console() -> Console:
    """The standard output, wide enough for a table where it is no terminal."""
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=_PIPED_WIDTH)


def plain_table(*headings: str) -> Table:
    """A table without lines."""
    return Table(*headings, box=None, pad_edge=False, header_style="bold")


def print_json(content: object) -> None:
    """Print what JSON has, without a number that it does not have."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def print_remedy(out: Console, expected: str, remedy: str, indent: int) -> None:
    """Print what was expected in place of a finding, and what to do."""
    for label, text in (("expected", expected), ("do", remedy)):
        if text:
            line = Text.assemble(" " * indent, (f"{label:<10}", "dim"), text)
            out.print(line, soft_wrap=True)


def print_verdict(out: Console, findings: Findings, title: str) -> None:
    """Print below the findings of what is called ``title`` how many there are."""
    if findings:
        out.print()
    style = "green" if findings.ok else "bold red"
    out.print(Text(f"{title}: {findings.summary()}", style=style), soft_wrap=True)


def print_findings(findings: Findings, title: str) -> None:
    """Print findings by fault: what was found in which file, what was expected, what to do."""
    out = Console(highlight=False)
    for (severity, code), group in groupby(findings, lambda item: (item.severity, item.code)):
        out.print(Text(f"{severity} {code}", style=SEVERITY_STYLES[severity]))
        for (expected, remedy), alike in groupby(group, lambda item: (item.expected, item.remedy)):
            for item in alike:
                subject = (f"{item.subject}: " if item.subject else "", "bold")
                out.print(Text.assemble("  ", subject, item.found), soft_wrap=True)
            print_remedy(out, expected, remedy, indent=4)
    print_verdict(out, findings, title)
