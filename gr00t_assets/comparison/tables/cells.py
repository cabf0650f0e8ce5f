"""The cells of a CSV file: text that is a number, a truth value or a word, or is neither."""

import math
import re
from typing import get_args

from pydantic import ValidationError

from gr00t_assets.comparison.columns import Dtype
from gr00t_assets.comparison.tables.columns import BY_NAME, setting_dtype
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.experiments.hyperparameters import Hyperparameters

Value = str | int | float | bool

_TRUE = {"true", "yes", "1"}
_FALSE = {"false", "no", "0"}
_EMPTY = {"", "na", "n/a", "null", "-"}
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")


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
    column = BY_NAME.get(name)
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
    known = get_args(Hyperparameters.model_fields[name].annotation)
    if known and value not in known:
        raise ValueError(f"unknown {name} {value!r}; {did_you_mean(str(value), known)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number, found {value}")
    try:
        Hyperparameters.model_validate({name: value})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Input should be ")
        raise ValueError(f"expected a value {message}, found {value}") from None
