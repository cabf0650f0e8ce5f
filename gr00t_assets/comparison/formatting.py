"""Numbers as people read them."""

import math
from typing import Any

import pandas as pd


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
        case "first_loss" | "final_loss" | "final_loss_se":
            return f"{value:.3g}"
        case "epochs":
            return f"{value:.2f}" if value < 100 else f"{value:,.0f}"
        case "samples_per_second":
            return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
        case "gpu_hours":
            return f"{value:.2f}" if value else "0"
        case "wall_seconds":
            return duration(float(value))
        case "steps" | "max_steps" | "samples_seen" | "rank":
            return f"{int(value):,}"
        case _:
            plain = value.item() if hasattr(value, "item") else value
            return shown_setting(plain)


def shown_setting(value: object) -> str:
    """A hyperparameter as one would write it in a sweep file.

    Example:
        >>> shown_setting(0.0001), shown_setting(True), shown_setting(8)
        ('1e-4', 'true', '8')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:.6g}"
        if value and abs(value) < 1e-2:
            mantissa, _, exponent = f"{value:.5e}".partition("e")
            text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
        return text
    return "none" if value is None else str(value)


def duration(seconds: float) -> str:
    """A time span to two units.

    Example:
        >>> duration(42.4), duration(125), duration(7_380)
        ('42 s', '2 min 5 s', '2 h 3 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def interval_positions(
    values: list[tuple[float, float]], width: float
) -> list[tuple[float, float, float]]:
    """Where to draw ``mean ± 2 se`` of each value on one shared logarithmic axis.

    Args:
        values: Mean and standard error; means above zero.
        width: Length of the axis, such as pixels.

    Returns:
        Low end, mean and high end of each, in ``[0, width]``. A low end at or below zero is drawn
        at a twentieth of the mean.
    """
    spans = [(max(mean - 2 * error, mean / 20), mean, mean + 2 * error) for mean, error in values]
    low = math.log(min(span[0] for span in spans))
    high = math.log(max(span[2] for span in spans))
    scale = width / (high - low) if high > low else 0.0
    offset = 0.0 if high > low else width / 2

    def place(value: float) -> float:
        return round(offset + (math.log(value) - low) * scale, 1)

    return [(place(start), place(mean), place(end)) for start, mean, end in spans]
