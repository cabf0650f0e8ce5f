"""What a materialisation shows on its page: tables, images, and paths inside the store."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg

from gr00t_assets.core.finding import Findings
from gr00t_assets.core.text import markdown, printable, shown_setting

Metadata: TypeAlias = dict[str, str | int | float | dg.MetadataValue | None]
"""What a materialisation shows, by the label on its page; what is None is left out."""

INLINE = 1_000
"""Markdown of fewer characters is shown in place; longer Markdown is shown behind a link."""

REPORTS = "/gr00t/reports"
"""Where the page serves the store's folder of reports, see ``gr00t_assets.defs.page``."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.TableMetadataValue:
    """A table that the page shows in place and programs can read; for tables of a few rows.

    Numbers stay numbers, with five significant digits; anything else is text.

    Examples:
        >>> table(["key", "size"], [["left_arm", 7]]).records[0].data
        {'key': 'left_arm', 'size': 7}
    """
    cells = [[_plain(value) for value in row] for row in rows]
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in cells]
    kinds = [
        "float" if row and all(isinstance(value, int | float) for value in row) else "string"
        for row in (zip(*cells, strict=True) if cells else [()] * len(columns))
    ]
    schema = [dg.TableColumn(name, kind) for name, kind in zip(columns, kinds, strict=True)]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=schema))


def folded_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue:
    """A table in GitHub's Markdown, behind a link where it is long; as in a sweep file.

    Examples:
        >>> print(folded_table(["key", "size"], [["left_arm", 7]]).value)
        | key | size |
        |---|---|
        | left_arm | 7 |
    """
    head, *body = (
        f"| {' | '.join(markdown(shown_setting(cell)) for cell in row)} |"
        for row in (columns, *rows)
    )
    return dg.MetadataValue.md("\n".join([head, "|" + "---|" * len(columns), *body]))


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


def settings(values: Mapping[str, object]) -> dg.MetadataValue:
    """A table of names and values as a sweep file has them; ``none`` where it is empty."""
    return folded_table(["setting", "value"], values.items()) if values else bullets([])


def findings_table(findings: Findings) -> dg.MetadataValue:
    """Every finding, errors first."""
    order = {"error": 0, "warning": 1, "ok": 2}
    rows = [
        [item.severity, item.code, item.subject or "", item.found, item.expected, item.remedy]
        for item in sorted(findings, key=lambda item: order[item.severity])
    ]
    return folded_table(["severity", "looked at", "subject", "found", "expected", "do"], rows)


def readable(value: float | None) -> float | None:
    """A number with five significant digits: the page shows every digit that it is given.

    Examples:
        >>> readable(0.4643917679786682), readable(130.0171)
        (0.46439, 130.02)
    """
    return None if value is None else float(f"{value:.5g}")


def fields(record: object, *names: str) -> Metadata:
    """Fields of a record by their names, real numbers as ``readable`` has them."""
    values = ((name, getattr(record, name)) for name in names)
    return {name: readable(value) if isinstance(value, float) else value for name, value in values}


def in_store(path: Path, root: Path | str) -> str:
    """A path as seen from the store's root, which is all that other machines have in common."""
    return str(path.relative_to(root))


def stored_path(path: Path, root: Path | str) -> dg.PathMetadataValue:
    """The same, to be copied on the page."""
    return dg.MetadataValue.path(in_store(path, root))


def result(version: str, metadata: Metadata) -> dg.MaterializeResult:
    """A materialisation of this data version."""
    return dg.MaterializeResult(data_version=dg.DataVersion(version), metadata=known(metadata))


def known(metadata: Metadata) -> dict[str, str | int | float | dg.MetadataValue]:
    """Without what is None."""
    return {name: value for name, value in metadata.items() if value is not None}


def _plain(value: object) -> Any:
    if isinstance(value, float) and math.isfinite(value):
        return readable(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return " ".join(printable(shown_setting(value)).split())
