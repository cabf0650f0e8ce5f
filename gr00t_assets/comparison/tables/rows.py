"""The rows of a table of runs, a CSV file or a DataFrame, with what is wrong with each of them."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from gr00t_assets.comparison.curves import LossKind
from gr00t_assets.comparison.tables import cells
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.runs.stored_run import STATUS_WORDS

if TYPE_CHECKING:
    import pandas as pd

STATES = {
    "crashed": "failed",
    **dict.fromkeys(("killed", "preempted", "preempting"), "interrupted"),
    **dict.fromkeys(("running", "pending"), "unfinished"),
}
"""Statuses by W&B's words for them, where they differ."""

_FREE = {"name", "note", "started_at"}
"""Columns of which the first that is filled counts; of others two must not differ."""

_SHOWN = 30  # Problems that a message lists at most


@dataclass
class Row:
    """One run: where it stands, its values, and what cannot be read of it."""

    place: str  # ``line 2`` of a file, or ``row 0`` by the label of a DataFrame
    values: dict[str, Any] = field(default_factory=dict)  # By column or setting
    problems: list[str] = field(default_factory=list)
    remarks: tuple[str, ...] = ()  # Which column was taken for another


def read_rows(path: Path) -> list[Row]:
    """Read a CSV file with a line of column names: commas, semicolons or tabs, UTF-8 or UTF-16."""
    try:
        content = path.read_bytes()
        wide = content[:2] in (b"\xff\xfe", b"\xfe\xff")
        lines = list(_lines(content.decode("utf-16" if wide else "utf-8-sig")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        details = [reason, "expected: a CSV file, UTF-8"]
        raise ComparisonError(str(path), "this table of runs cannot be read.", details) from error
    header = lines[0][1] if lines else []
    width, rows = len(header), []
    for number, line in lines[1:]:
        row = Row(f"line {number}")
        if len(line) < width or any(map(str.strip, line[width:])):
            row.problems.append(f"{len(line)} cells for {width} columns")
        rows.append(row)
    columns = zip_longest(header, *(line[:width] for _, line in lines[1:]), fillvalue="")
    return _filled(rows, [(label, column) for label, *column in columns], str(path))


def frame_rows(frame: "pd.DataFrame") -> list[Row]:
    """The rows of a table that is in memory."""
    labels = frame.index.tolist() if frame.index.is_unique else range(len(frame))
    rows = [Row(f"row {label}") for label in labels]
    series = (frame.iloc[:, place].tolist() for place in range(frame.shape[1]))
    return _filled(rows, list(zip(map(str, frame.columns), series, strict=True)), "this DataFrame")


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines that say something with their numbers."""
    header = next(iter(re.sub(r'"[^"]*"', "", text[:100_000]).strip().splitlines()), "")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for line in reader:
        if any(map(str.strip, line)):
            yield reader.line_num, line


def _filled(rows: list[Row], columns: list[tuple[str, list[Any]]], subject: str) -> list[Row]:
    try:
        if not rows:
            missing = "rows" if columns else "column names"
            raise ValueError(f"it has no {missing}; expected: one a run")
        names, remarks = cells.column_meanings(tuple(label for label, _ in columns))
    except ValueError as error:
        raise ComparisonError(subject, "this is no table of runs.", [str(error)]) from None
    texts = [cell for _, column in columns for cell in column if isinstance(cell, str)]
    signs = cells.decimal_signs(texts) if any("," in text for text in texts) else ""
    sources: dict[str, str] = {}
    for name, (label, column) in zip(names, columns, strict=True):
        if name is None:
            continue
        source = sources.setdefault(name, label)
        for row, cell in zip(rows, column, strict=True):
            cell = cell.item() if isinstance(cell, np.generic) else cell
            if cells.is_empty(name, cell):
                continue
            try:
                value = cells.cell_value(name, cell, signs)
            except (ValueError, OverflowError) as error:
                row.problems.append(f"{label}: {error}")
                continue
            former = row.values.setdefault(name, value)
            if former is not value and former != value and name not in _FREE:
                differ = f"{source} is {former} and {label} is {value}"
                row.problems.append(f"{differ}; keep one of them")
    for row in rows:
        row.remarks = remarks
        row.problems += _row_problems(row.values)
    _set_ids(rows)
    if all(row.problems for row in rows):
        problems = [f"{row.place}: {problem}" for row in rows for problem in row.problems]
        more = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        details = [*remarks, *problems[:_SHOWN], *more]
        raise ComparisonError(subject, "no run of this table can be read.", details)
    return rows


def _row_problems(values: dict[str, Any]) -> Iterator[str]:
    if text := values.get("status"):
        word = text.lower()
        values["status"] = STATES.get(word, word)
        if word in STATES:
            values["note"] = "; ".join(filter(None, [f"state {word}", values.get("note")]))
        elif word not in STATUS_WORDS:
            hint = did_you_mean(word, [*STATUS_WORDS, *STATES]).rstrip("?")
            yield f"unknown status '{text}'; {hint}"
    if (kind := values.get("loss_kind")) and kind not in get_args(LossKind):
        yield f"unknown loss_kind '{kind}'; known: {', '.join(get_args(LossKind))}"
    if started := values.get("started_at"):
        try:
            date = datetime.fromisoformat(started)
            if not re.match(r"\d{4}-\d\d-", started):  # 20250615: dates are compared as texts
                values["started_at"] = date.isoformat()
        except ValueError:
            yield f"started_at: expected a date such as 2025-06-15T01:11, found '{started}'"
    if -math.inf < values.get("loss", 1) <= 0:
        yield f"loss is {values.pop('loss'):g}; a training loss is above zero"
    done, asked = values.get("logged_step"), values.get("max_steps")
    if done is not None and asked is not None and done > asked:
        yield f"logged_step {done:,} is above max_steps {asked:,}"


def _set_ids(rows: list[Row]) -> None:
    """Ids for runs without one: the name, with the row where runs share it, else the row alone."""
    names = [row.values.get("name") for row in rows]
    counts = Counter(names)
    first: dict[str, str] = {}
    for row, name in zip(rows, names, strict=True):
        number = row.place.split(" ", 1)[1]
        unnamed = name and (f"{name}/{number}" if counts[name] > 1 else name)
        run_id = row.values.setdefault("run_id", unnamed or number)
        if (place := first.setdefault(run_id, row.place)) != row.place:
            row.problems.append(f"run_id {run_id} is that of {place} too")
            row.values["run_id"] = f"{run_id} ({row.place})"
