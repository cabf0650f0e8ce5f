"""The rows of a CSV file of runs: each cell in its type, and everything that is wrong with them."""

import csv
import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from gr00t_assets.comparison.columns import COLUMNS, Dtype, column_names, setting_dtype
from gr00t_assets.comparison.curves import LossKind
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import did_you_mean, nearest
from gr00t_assets.experiments.registry import all_hyperparameters, combined_hyperparameters
from gr00t_assets.runs.stored_run import STATUS_WORDS

Value = str | int | float | bool

_TRUE = {"true", "yes", "1"}

_FALSE = {"false", "no", "0"}

_EMPTY = {"", "na", "n/a", "null", "-"}

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")

REQUIRED = ("run_id", "status", "learning_rate", "batch_size", "max_steps", "loss")
"""Besides these a table needs ``dataset`` or ``dataset_version``."""

_NO_LONGER_WRITTEN = {"problems"}
"""Derived columns of older exports."""

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


def is_empty(text: str | None) -> bool:
    """Whether a cell says nothing."""
    return text is None or text.strip().lower() in _EMPTY


def cell_value(name: str, text: str) -> Value:
    """The value of a cell in its column's type.

    Args:
        name: Of the column.
        text: Of a cell that is not empty.

    Raises:
        ValueError: It is no such value; the message says what was expected.

    Example:
        >>> cell_value("learning_rate", "5e-4"), cell_value("max_steps", "2,000")
        (0.0005, 2000)
    """
    text = text.strip()
    column = column_names().get(name)
    dtype = column.dtype if column else setting_dtype(name)
    if dtype is None:
        return _guessed(text)
    value = _parsed(text, dtype)
    if column is None:
        _check_setting(name, value)
    elif isinstance(value, float) and not math.isfinite(value) and name != "loss":
        raise ValueError(f"expected a finite number, found {text!r}")
    elif isinstance(value, int | float) and value < 0:
        raise ValueError(f"expected a number that is not below zero, found {text!r}")
    return value


def is_date(text: str) -> bool:
    """Whether a text is a date, or a date and a time, in ISO 8601.

    Example:
        >>> is_date("2025-06-14T23:58"), is_date("14 June 2025")
        (True, False)
    """
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


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
            row, row_problems = _row(number, header, line)
            problems += row_problems
            rows.append(row)
        problems += _repeated(rows)
        problems.sort(key=_line_number)
        if not lines:
            problems.append("it has no rows")
    if problems:
        _refuse(path, problems)
    return rows


def _parsed(text: str, dtype: Dtype) -> Value:
    match dtype:
        case "boolean":
            return _boolean(text)
        case "Float64":
            return _number(text)
        case "Int64":
            value = _number(text)
            if not math.isfinite(value) or value != int(value):
                raise ValueError(f"expected a whole number, found {text!r}")
            return int(value)
        case _:
            return text


def _number(text: str) -> float:
    try:
        return float(_THOUSANDS.sub("", text))
    except ValueError:
        raise ValueError(f"expected a number, found {text!r}") from None


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"expected true or false, found {text!r}")
    return word in _TRUE


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
    return int(value) if value == int(value) and "e" not in text.lower() else value


def _check_setting(name: str, value: Value) -> None:
    known = get_args(all_hyperparameters()[name].annotation)
    if known and value not in known:
        raise ValueError(f"unknown {name} {value!r}; {did_you_mean(str(value), known)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {value}")
    try:
        combined_hyperparameters().model_validate({name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ValueError(f"expected a value {message}, found {value}") from None


def _header_problems(header: Sequence[str]) -> Iterator[str]:
    if not any(header):
        yield f"line 1: expected column names, among them {', '.join(REQUIRED)}"
        return
    known = [*column_names(), *all_hyperparameters()]
    for name in REQUIRED:
        if name not in header:
            close = nearest(name, [other for other in header if other not in known])
            yield f"line 1: column {name} is missing" + (f"; is it '{close}'?" if close else "")
    if not {"dataset", "dataset_version"} & set(header):
        yield "line 1: column dataset is missing"
    for place, name in enumerate(header, 1):
        if not name:
            yield f"line 1: column {place} has no name"
        elif header.index(name) != place - 1:
            yield f"line 1: column {name} stands there twice"
        elif name not in known and name not in _NO_LONGER_WRITTEN:
            close = difflib.get_close_matches(name, known, n=1, cutoff=_MISSPELT)
            if close and close[0] not in header:
                yield f"line 1: unknown column '{name}'; did you mean '{close[0]}'?"


def _row(number: int, header: Sequence[str], line: Sequence[str]) -> tuple[Row, list[str]]:
    problems: list[str] = []
    cells: dict[str, Value] = {}
    given: set[str] = set()
    derived = {column.name for column in COLUMNS if column.derived} | _NO_LONGER_WRITTEN
    if len(line) != len(header):
        problems.append(f"{len(line)} cells for {len(header)} columns")
    for name, text in zip(header, line, strict=False):
        if is_empty(text) or name in derived:
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
    return row, [f"line {number}: {problem}" for problem in problems]


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
