"""The rows of a CSV file of runs, and everything that is wrong with them."""

import csv
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from gr00t_assets.comparison.contrasts.observation import LossKind
from gr00t_assets.comparison.run import STATUS_WORDS
from gr00t_assets.comparison.tables.cells import Value, cell_value, is_empty
from gr00t_assets.comparison.tables.columns import (
    BY_NAME,
    DERIVED,
    REQUIRED,
    SETTINGS,
)
from gr00t_assets.comparison.tables.frame_state import is_date
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import nearest

_MISSPELT = 0.85
"""Likeness from which on an unknown column is a known one misspelt, not a setting of its own."""

_SHOWN = 30
"""Problems that a message lists at most."""


@dataclass(frozen=True)
class Row:
    """One run as a table has it: the cells that are not empty, in their types."""

    number: int
    cells: Mapping[str, Value]

    def text(self, name: str) -> str:
        """A cell as text; '' where it is empty."""
        return str(self.cells.get(name, ""))

    def number_of(self, name: str) -> float | None:
        """A cell as a number; None where it is empty."""
        value = self.cells.get(name)
        return float(value) if value is not None else None

    def whole(self, name: str) -> int | None:
        """A cell as a whole number; None where it is empty."""
        value = self.cells.get(name)
        return int(value) if value is not None else None


def read_rows(path: Path) -> list[Row]:
    """Read a table of runs.

    Args:
        path: A CSV file with a line of column names; UTF-8.

    Raises:
        ComparisonError: The file cannot be read, or anything in it is wrong: every problem with
            the number of its line in the file.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise ComparisonError(
            str(path), "this table of runs cannot be read.", [reason, "expected: a CSV file, UTF-8"]
        ) from error
    problems = list(_header_problems(header))
    rows: list[Row] = []
    if not problems:
        for number, line in lines:
            row, found = _row(number, header, line)
            problems += found
            rows.append(row)
        problems += _repeated(rows)
        problems.sort(key=_line_number)
        if not lines:
            problems.append("it has no rows")
    if problems:
        _refuse(path, problems)
    return rows


def _header_problems(header: Sequence[str]) -> Iterator[str]:
    if not any(header):
        yield f"line 1: expected column names, among them {', '.join(REQUIRED)}"
        return
    for name in REQUIRED:
        if name not in header:
            close = nearest(name, [found for found in header if found not in (*BY_NAME, *SETTINGS)])
            yield f"line 1: column {name} is missing" + (f"; is it '{close}'?" if close else "")
    if not {"dataset", "dataset_version"} & set(header):
        yield "line 1: column dataset is missing"
    for place, name in enumerate(header, 1):
        if not name:
            yield f"line 1: column {place} has no name"
        elif header.index(name) != place - 1:
            yield f"line 1: column {name} stands there twice"
        elif name not in (*BY_NAME, *SETTINGS):
            close = difflib.get_close_matches(name, [*BY_NAME, *SETTINGS], n=1, cutoff=_MISSPELT)
            if close and close[0] not in header:
                yield f"line 1: unknown column '{name}'; did you mean '{close[0]}'?"


def _row(number: int, header: Sequence[str], line: Sequence[str]) -> tuple[Row, list[str]]:
    problems: list[str] = []
    cells: dict[str, Value] = {}
    given: set[str] = set()
    if len(line) != len(header):
        problems.append(f"{len(line)} cells for {len(header)} columns")
    for name, text in zip(header, line, strict=False):
        if is_empty(text) or name in DERIVED:
            continue
        given.add(name)
        try:
            cells[name] = cell_value(name, text)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    row = Row(number, cells)
    if len(line) == len(header):
        problems += [f"{name} is empty" for name in REQUIRED[:-1] if name not in given]
        problems += [] if given & {"dataset", "dataset_version"} else ["dataset is empty"]
    problems += _row_problems(row)
    return row, [f"line {number}: {found}" for found in problems]


def _row_problems(row: Row) -> Iterator[str]:
    status = row.text("status")
    if status and status not in STATUS_WORDS:
        yield f"unknown status '{status}'; known: {', '.join(STATUS_WORDS)}"
    kind = row.text("loss_kind")
    if kind and kind not in get_args(LossKind):
        yield f"unknown loss_kind '{kind}'; known: {', '.join(get_args(LossKind))}"
    loss = row.number_of("loss")
    if loss is not None and loss == 0:
        yield "loss: a training loss is above zero"
    if (started := row.text("started_at")) and not is_date(started):
        yield f"started_at: expected a date such as 2025-06-15T01:11, found '{started}'"
    done, asked = row.whole("logged_step"), row.whole("max_steps")
    if done is not None and asked is not None and done > asked:
        yield f"logged_step {done:,} is above max_steps {asked:,}"


def _repeated(rows: Sequence[Row]) -> Iterator[str]:
    first: dict[str, int] = {}
    for row in rows:
        name = row.text("run_id")
        if name and first.setdefault(name, row.number) != row.number:
            yield f"line {row.number}: run_id {name} is that of line {first[name]} too"


def _line_number(problem: str) -> int:
    return int(problem.split(":")[0].removeprefix("line "))


def _refuse(path: Path, problems: Sequence[str]) -> None:
    shown = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown.append(f"and {len(problems) - _SHOWN:,} more")
    count = f"{len(problems):,} problem" + ("s" if len(problems) > 1 else "")
    raise ComparisonError(str(path), f"this table of runs has {count}.", shown)
