"""Cells of a table of runs: numbers, truth values and texts as people write them."""

import math
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from pydantic import ValidationError

from gr00t_assets.comparison.columns import Dtype, column_names, setting_dtype
from gr00t_assets.core.text import from_spreadsheet
from gr00t_assets.experiments.registry import combined_hyperparameters

Value = str | int | float | bool

_BOOLEANS = {"true": True, "yes": True, "1": True, "1.0": True,
             "false": False, "no": False, "0": False, "0.0": False}  # fmt: skip

_EMPTY = {"", "na", "n/a", "null", "-", "nan"}

_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
"""1,234 and 1.234: thousands to some, a decimal to others."""

_GROUPS = re.compile(
    r"[+-]?[1-9]\d{0,2}(?:(?P<commas>(?:,\d{3})+)(?:\.\d*)?|(?:\.\d{3})+(?:,\d*)?)"
)
_COMMA = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:\.\d{3})+|\d*),\d+(?:[eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d*)\.\d+(?:[eE][+-]?\d+)?")


def is_empty(name: str, cell: object) -> bool:
    """Whether a cell says nothing; as a loss ``nan`` in letters says that the run diverged."""
    if name == "max_steps" and str(cell) in ("-1", "-1.0"):
        return True  # of transformers, where the length is given in epochs
    if isinstance(cell, str):
        text = cell.strip()
        return text == "None" or (
            text.lower() in _EMPTY and (name, text.lower()) != ("loss", "nan")
        )
    is_of_pandas = type(cell).__name__ in ("NAType", "NaTType")
    return cell is None or is_of_pandas or (type(cell) is float and cell != cell)


def decimal_signs(texts: Iterable[str]) -> str:
    """Decimal signs of the texts that leave no doubt: none, ``,``, ``.`` or both.

    Examples:
        >>> decimal_signs(["0,0585", "1,234"]), decimal_signs(["1.5", "2,000"])
        (',', '.')
    """
    texts = [text for text in map(str.strip, texts) if not _EITHER.fullmatch(text)]
    forms = {",": _COMMA, ".": _POINT}
    return "".join(sign for sign, form in forms.items() if any(map(form.fullmatch, texts)))


def cell_value(name: str, cell: object, signs: str = "") -> Value:
    """The value of a cell that is not empty, a text or a typed value, in its column's type.

    ``signs`` are the ``decimal_signs`` of the table.

    Raises:
        ValueError: It is no such value; the message says what was expected.

    Examples:
        >>> cell_value("learning_rate", "5e-4"), cell_value("max_steps", "2,000")
        (0.0005, 2000)
        >>> cell_value("loss", "0,0585"), cell_value("loss", "1,234", signs=",")
        (0.0585, 1.234)
    """
    value: Any = from_spreadsheet(cell.strip()) if isinstance(cell, str) else cell
    dtype, is_setting = _column_type(name)
    if dtype is None:
        return _guessed(value, signs)
    if dtype == "string":
        return value if isinstance(value, str) else str(value)
    if dtype == "boolean":
        if (known := _BOOLEANS.get(str(value).lower())) is None:
            raise ValueError(f"expected true or false, found {value!r}")
        return known
    number = _number(value, signs, dtype == "Int64")
    if name == "loss":
        return number
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, found {value!r}")
    if dtype == "Int64":
        if number % 1:
            raise ValueError(f"expected a whole number, found {value!r}")
        number = int(number)
    if is_setting:
        _check_setting(name, number)
    elif number < 0:
        raise ValueError(f"expected a number that is not below zero, found {value!r}")
    return number


@cache
def _column_type(name: str) -> tuple[Dtype | None, bool]:
    """Type of a column, and whether it is a setting and none of ``COLUMNS``."""
    column = column_names().get(name)
    return column.dtype if column else setting_dtype(name), column is None


def _number(value: Any, signs: str, whole: bool) -> int | float:
    if isinstance(value, str):
        text = _with_point(value, signs, whole)
        if whole and text.isdecimal():
            return int(text)
        try:
            return float(text)
        except ValueError:
            pass
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return value if whole else float(value)
    raise ValueError(f"expected a number, found {value!r}")


def _with_point(text: str, signs: str, whole: bool) -> str:
    """A number without marks of thousands, with a point; what is none stays as it is."""
    if "," not in text and text.count(".") < 2 and signs != ",":
        return text
    if _EITHER.fullmatch(text):
        many, one = re.sub("[,.]", "", text), text.replace(",", ".")
        if "." in text and signs != ",":
            return text
        if "," in text and "," not in signs and whole:
            return many
        if "," in text and signs == "," and not whole:
            return one
        raise ValueError(f"{text!r} may be {many} or {one}; write it without mark of thousands, "
                         "with a decimal point")  # fmt: skip
    if groups := _GROUPS.fullmatch(text):
        if groups["commas"]:
            return text.replace(",", "")
        return text.replace(".", "").replace(",", ".")
    return text.replace(",", ".") if _COMMA.fullmatch(text) else text


def _guessed(value: Any, signs: str) -> Value:
    """A cell of a column of which no type is known."""
    if not isinstance(value, str):
        return value if isinstance(value, int | float) else str(value)
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        number = _number(value, signs, whole=False)
    except ValueError:
        return value
    if not math.isfinite(number):
        return value
    return int(number) if not number % 1 and "e" not in value.lower() else number


@lru_cache(4096)
def _check_setting(name: str, value: int | float) -> None:
    try:
        combined_hyperparameters().model_validate({name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ValueError(f"expected a value {message}, found {value}") from None
