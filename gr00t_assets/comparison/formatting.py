"""Numbers as people read them."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from gr00t_assets.core.units import duration, shown_setting


def is_missing(value: Any) -> bool:
    """Whether a table's value is not there."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def shown(value: Any, column: str) -> str:
    """A value of a comparison table in the form that suits its column; '' where it is missing.

    Example:
        >>> shown(16768, "samples_seen"), shown(0.0001, "learning_rate"), shown(3.84, "loss_fall")
        ('16,768', '1e-4', '3.8x')
    """
    if is_missing(value):
        return ""
    match column:
        case "loss_fall":
            return f"{value:.1f}x" if value < 100 else f"{value:.0f}x"
        case "loss" | "loss_se" | "first_loss" | "loss_halfway":
            return f"{value:.3g}"
        case "epochs":
            return f"{value:.2f}" if value < 100 else f"{value:,.0f}"
        case "samples_per_second":
            return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
        case "gpu_hours":
            return f"{value:.2f}" if value else "0"
        case "wall_seconds":
            return duration(float(value))
        case "logged_step" | "max_steps" | "samples_seen" | "rank":
            return f"{int(value):,}"
        case _:
            plain = value.item() if hasattr(value, "item") else value
            return shown_setting(plain)


def plain(value: object) -> Any:
    """A value that JSON has; None where it is missing or not finite, anything else in words."""
    if is_missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def loss_text(mean: Any, standard_error: Any) -> str:
    """A loss with its standard error; '' where there is none.

    An error that cannot be told is a question mark: it is unknown, not zero.

    Example:
        >>> loss_text(0.058519, 0.00213), loss_text(0.0585, None)
        ('0.0585 ± 0.0021', '0.0585 ± ?')
    """
    if is_missing(mean):
        return ""
    if is_missing(standard_error):
        return f"{mean:.3g} ± ?"
    error = f"{standard_error:#.2g}".rstrip(".")
    return f"{shown_loss(mean, standard_error)} ± {error}"


def shown_loss(mean: float, standard_error: float | None) -> str:
    """A mean with as many decimals as two digits of its standard error have.

    Example:
        >>> shown_loss(0.058519, 0.00213), shown_loss(1.25717, 0.0312), shown_loss(0.2, 0.0)
        ('0.0585', '1.257', '0.2')
    """
    if standard_error is None or not standard_error > 0:
        return f"{mean:.4g}"
    exponent = int(f"{standard_error:.1e}".partition("e")[2])
    return f"{mean:.{max(0, min(8, 1 - exponent))}f}"


def times(ratio: float) -> str:
    """A ratio of losses to two digits.

    Example:
        >>> times(0.3687), times(12.04)
        ('0.37', '12')
    """
    return f"{ratio:.2g}" if 1e-2 <= ratio < 100 else f"{ratio:.1e}"


def percent(log_spread: float) -> str:
    """A spread of the log loss as a share.

    Example:
        >>> percent(0.08)
        '8.3 percent'
    """
    return f"{100 * math.expm1(log_spread):.2g} percent"
