"""The rows of a CSV file of runs: each cell in its type, and everything that is wrong with them."""

import csv
import difflib
import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from gr00t_assets.comparison.columns import COLUMNS, column_names, setting_dtype
from gr00t_assets.comparison.curves import LossKind
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import did_you_mean, nearest
from gr00t_assets.core.text import from_spreadsheet
from gr00t_assets.experiments.registry import all_hyperparameters, combined_hyperparameters
from gr00t_assets.runs.stored_run import STATUS_WORDS

Value = str | int | float | bool

Row = dict[str, Any]
"""One run as a table has it: by column the ``Value`` of each cell that is not empty."""

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_EMPTY = {"", "na", "n/a", "null", "-"}

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")

REQUIRED = ("run_id", "status", "learning_rate", "batch_size", "max_steps", "loss")
"""Besides these a table needs ``dataset`` or ``dataset_version``."""

_DATASET = {"dataset", "dataset_version"}

_NO_LONGER_WRITTEN = {"problems"}
"""Derived columns of older exports."""

_MISSPELT = 0.85
"""Likeness from which on an unknown column is a known one misspelt, not a setting of its own."""

_SHOWN = 30
"""Problems that a message lists at most."""


def cell_value(name: str, text: str) -> Value:
    """The value of a cell that is not empty in its column's type.

    Raises:
        ValueError: It is no such value; the message says what was expected.

    Examples:
        >>> cell_value("learning_rate", "5e-4"), cell_value("max_steps", "2,000")
        (0.0005, 2000)
    """
    text = from_spreadsheet(text.strip())
    column = column_names().get(name)
    dtype = column.dtype if column else setting_dtype(name)
    value: Value = text
    if dtype is None:
        return _guessed(text)
    if dtype == "boolean":
        if text.lower() not in _BOOLEANS:
            raise ValueError(f"expected true or false, found {text!r}")
        value = _BOOLEANS[text.lower()]
    elif dtype in ("Float64", "Int64"):
        value = _number(text)
        if not math.isfinite(value) and name != "loss":
            raise ValueError(f"expected a finite number, found {text!r}")
        if dtype == "Int64" and not value.is_integer():
            raise ValueError(f"expected a whole number, found {text!r}")
        value = int(value) if dtype == "Int64" else value
        if column is not None and value < 0:
            raise ValueError(f"expected a number that is not below zero, found {text!r}")
    if column is None:
        _check_setting(name, value)
    return value


def read_rows(path: Path) -> list[Row]:
    """Read a table of runs, a CSV file in UTF-8 with a line of column names.

    Raises:
        ComparisonError: The file cannot be read, or anything in it is wrong: every problem with
            the number of its line in the file.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = [from_spreadsheet(name.strip()) for name in next(reader, [])]
            lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        raise ComparisonError(
            str(path), "this table of runs cannot be read.", [reason, "expected: a CSV file, UTF-8"]
        ) from error
    problems = [f"line 1: {problem}" for problem in _header_problems(header)]
    rows: list[Row] = []
    first_lines: dict[str, int] = {}
    for number, line in () if problems else lines:
        row, row_problems = _row(header, line)
        row_problems += _row_problems(row)
        name = row.get("run_id")
        if name and (first := first_lines.setdefault(name, number)) != number:
            row_problems.append(f"run_id {name} is that of line {first} too")
        problems += [f"line {number}: {problem}" for problem in row_problems]
        rows.append(row)
    if not problems and not lines:
        problems.append("it has no rows")
    if problems:
        count = f"{len(problems):,} problem" + ("s" if len(problems) > 1 else "")
        more = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise ComparisonError(
            str(path), f"this table of runs has {count}.", [*problems[:_SHOWN], *more]
        )
    return rows


def _number(text: str) -> float:
    try:
        return float(_THOUSANDS.sub("", text))
    except ValueError:
        raise ValueError(f"expected a number, found {text!r}") from None


def _guessed(text: str) -> Value:
    """A cell of a column of which no type is known."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = _number(text)
    except ValueError:
        return text
    if not math.isfinite(value):
        return text
    return int(value) if value.is_integer() and "e" not in text.lower() else value


def _check_setting(name: str, value: Value) -> None:
    known = get_args(all_hyperparameters()[name].annotation)
    if known and value not in known:
        raise ValueError(f"unknown {name} {value!r}; {did_you_mean(str(value), known)}")
    try:
        combined_hyperparameters().model_validate({name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ValueError(f"expected a value {message}, found {value}") from None


def _header_problems(header: Sequence[str]) -> Iterator[str]:
    if not any(header):
        yield f"expected column names, among them {', '.join(REQUIRED)}"
        return
    known = [*column_names(), *all_hyperparameters()]
    for name in REQUIRED:
        if name not in header:
            close = nearest(name, [other for other in header if other not in known])
            yield f"column {name} is missing" + (f"; is it '{close}'?" if close else "")
    if _DATASET.isdisjoint(header):
        yield "column dataset is missing"
    for place, name in enumerate(header, 1):
        if not name:
            yield f"column {place} has no name"
        elif header.index(name) != place - 1:
            yield f"column {name} stands there twice"
        elif name not in known and name not in _NO_LONGER_WRITTEN:
            close = difflib.get_close_matches(name, known, n=1, cutoff=_MISSPELT)
            if close and close[0] not in header:
                yield f"unknown column '{name}'; did you mean '{close[0]}'?"


def _row(header: Sequence[str], line: Sequence[str]) -> tuple[Row, list[str]]:
    """The cells that say something, and what is wrong with them; derived ones are left out."""
    problems: list[str] = []
    row: Row = {}
    derived = {column.name for column in COLUMNS if column.derived} | _NO_LONGER_WRITTEN
    given = {
        name: text
        for name, text in zip(header, line, strict=False)
        if text.strip().lower() not in _EMPTY and name not in derived
    }
    if len(line) != len(header):
        problems.append(f"{len(line)} cells for {len(header)} columns")
    for name, text in given.items():
        try:
            row[name] = cell_value(name, text)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if len(line) == len(header):
        problems += [f"{name} is empty" for name in REQUIRED[:-1] if name not in given]
        problems += ["dataset is empty"] if _DATASET.isdisjoint(given) else []
    return row, problems


def _row_problems(row: Row) -> Iterator[str]:
    for name, known in (("status", tuple(STATUS_WORDS)), ("loss_kind", get_args(LossKind))):
        if (text := row.get(name)) and text not in known:
            yield f"unknown {name} '{text}'; known: {', '.join(known)}"
    if row.get("loss") == 0:
        yield "loss: a training loss is above zero"
    if started := row.get("started_at"):
        try:
            datetime.fromisoformat(started)
        except ValueError:
            yield f"started_at: expected a date such as 2025-06-15T01:11, found '{started}'"
    done, asked = row.get("logged_step"), row.get("max_steps")
    if done is not None and asked is not None and done > asked:
        yield f"logged_step {done:,} is above max_steps {asked:,}"
