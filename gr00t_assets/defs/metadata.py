"""What a materialisation shows on its page: tables, images, and paths inside the store."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import dagster as dg

from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import markdown, printable
from gr00t_assets.core.units import shown_setting

Metadata: TypeAlias = dict[str, str | int | float | dg.MetadataValue]
"""What a materialisation shows, by the label on its page."""

INLINE = 1_000
"""Markdown of fewer characters is shown in place; longer Markdown is shown behind a link."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A table in GitHub's Markdown; numbers are shown as in a sweep file.

    Examples:
        >>> print(table(["key", "size"], [["left_arm", 7]]).md_str)
        | key | size |
        |---|---|
        | left_arm | 7 |
    """
    lines = [_row(columns), "|" + "---|" * len(columns), *(_row(row) for row in rows)]
    return dg.MetadataValue.md("\n".join(lines))


def bullets(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    """A list of texts in Markdown; ``none`` where it is empty."""
    return dg.MetadataValue.md("\n".join(f"- {markdown(line)}" for line in lines) or "none")


def image(content: bytes, caption: str, kind: str = "png") -> dg.MarkdownMetadataValue:
    """A PNG, or an image of another kind, that the page shows by itself, without a file server."""
    encoded = base64.b64encode(content).decode()
    return dg.MetadataValue.md(f"![{markdown(caption)}](data:image/{kind};base64,{encoded})")


def verbatim(lines: Iterable[str]) -> dg.MarkdownMetadataValue:
    """Lines of a log as they are."""
    text = printable("\n".join(lines)).replace("```", "'''")
    return dg.MetadataValue.md(f"```text\n{text}\n```")


def settings(values: Mapping[str, object]) -> dg.MarkdownMetadataValue:
    """A table of names and values; ``none`` where it is empty."""
    return table(["setting", "value"], values.items()) if values else bullets([])


def findings_table(findings: Findings) -> dg.MarkdownMetadataValue:
    """Every finding, errors first."""
    order = {"error": 0, "warning": 1, "ok": 2}
    rows = [
        [item.severity, item.code, item.subject or "", item.found, item.expected, item.remedy]
        for item in sorted(findings, key=lambda item: order[item.severity])
    ]
    return table(["severity", "looked at", "subject", "found", "expected", "do"], rows)


def readable(value: float) -> float:
    """A number with five significant digits: the page shows every digit that it is given.

    Examples:
        >>> readable(0.4643917679786682), readable(130.0171)
        (0.46439, 130.02)
    """
    return float(f"{value:.5g}")


def fields(record: object, *names: str) -> Metadata:
    """Fields of a record by their names, real numbers as ``readable`` has them."""
    values = ((name, getattr(record, name)) for name in names)
    return {name: readable(value) if isinstance(value, float) else value for name, value in values}


def in_store(path: Path, store: Store) -> str:
    """A path as seen from the store's root, which is all that other machines have in common."""
    return str(path.relative_to(store.root))


def _row(cells: Iterable[object]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(value: object) -> str:
    return markdown(shown_setting(value))
