"""The final loss of a run: the mean over its final window, with a standard error that respects
autocorrelation; whether the loss fell, and its spikes.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from gr00t_assets.core.files import LARGEST_NUMBER, FrozenModel

MIN_STEPS, SHARE = 20, 0.1
"""Least steps of a window, in a run of twice as many; its share of the steps, if that is more."""

RULE = "max(20 steps, 10 % of the steps), at most half of the run; error by AR(1)"
"""How this version chooses a window and computes its standard error, as manifests say it."""

_MIN_VALUES, _MIN_EFFECTIVE = 8, 3.0
"""Least values that tell an autocorrelation, and independent ones that tell a standard error."""

LEAST_STEPS = 8
"""Of a window that tells whether the loss fell; fewer tell nothing of their autocorrelation."""

SPIKE_DEVIATIONS = 7.0
SPIKE_WINDOW = 1_000
"""Steps before a step that it is held against, at most."""

_NORMAL = 1.96

Answer = Literal["yes", "no", "cannot be told"]


class LossWindow(FrozenModel):
    """Mean of the per-step losses over some steps of a run, with its standard error."""

    mean: float
    standard_error: float | None = Field(
        description="Of the mean; null where the window is too short for its autocorrelation"
    )
    steps: int = Field(description="Steps in the window")
    samples: int = Field(description="Samples in the window")
    of_steps: int | None = Field(
        default=None, description="Steps of the run that the window is chosen from"
    )
    autocorrelation: float | None = Field(
        default=None,
        description="Of neighbouring losses in the window, small-sample bias corrected",
    )
    effective_steps: float | None = Field(
        default=None, description="Independent values that the window is worth"
    )
    rule: str = Field(
        default="", description="How it was chosen and computed; empty: by version 0.1"
    )

    @property
    def text(self) -> str:
        """Mean and standard error over their steps.

        Examples:
            >>> LossWindow(mean=0.5, standard_error=None, steps=5, samples=40).text
            '0.5000 (standard error not known) over the last 5 steps'
        """
        error = self.standard_error
        shown = " (standard error not known)" if error is None else f" ± {error:.4f}"
        return f"{self.mean:.4f}{shown} over the last {self.steps} steps"

    @property
    def cannot_tell(self) -> str | None:
        """Why there is no standard error, in words; ``None`` where there is one."""
        if self.standard_error is not None:
            return None
        if self.autocorrelation is None:
            return f"{self.steps} steps are too few to tell the standard error"
        return (
            f"{self.steps} steps with autocorrelation {self.autocorrelation:.2f} are too few to "
            "tell the standard error"
        )


def window_steps(steps: int) -> int:
    """Steps in the first and in the final window of a run of ``steps`` steps.

    ``max(20, 10 % of steps)``, and at most half of the run, so that the two do not overlap.

    Examples:
        >>> window_steps(30), window_steps(100), window_steps(2000)
        (15, 20, 200)
    """
    return min(max(MIN_STEPS, math.ceil(SHARE * steps)), max(2, steps // 2))


def first_window(losses: ArrayLike, samples_per_step: int) -> LossWindow | None:
    """The loss at the start of a run.

    Args:
        losses: Loss of each optimizer step of the whole run, in order, shape ``(steps,)``.
        samples_per_step: Samples that one optimizer step sees, over all GPUs.

    Returns:
        The window; ``None`` where it has fewer than two steps, or a loss that is not a finite
        number, or one larger than a manifest may hold.
    """
    values = np.asarray(losses, dtype=np.float64)
    return loss_window(values[: window_steps(len(values))], samples_per_step, len(values))


def final_window(losses: ArrayLike, samples_per_step: int) -> LossWindow | None:
    """The loss at the end of a run; as ``first_window``.

    Examples:
        >>> window = final_window([9.0] * 60 + [1.0, 3.0] * 20, samples_per_step=8)
        >>> window.mean, round(window.standard_error, 3), window.steps, window.of_steps
        (2.0, 0.229, 20, 100)
    """
    values = np.asarray(losses, dtype=np.float64)
    return loss_window(values[-window_steps(len(values)) :], samples_per_step, len(values))


def loss_window(values: np.ndarray, samples_per_step: int, of_steps: int) -> LossWindow | None:
    """The window of these losses, shape ``(steps,)``, of a run of ``of_steps`` steps."""
    if len(values) < 2 or not (np.abs(values) <= LARGEST_NUMBER).all():
        return None
    rho = autocorrelation(values)
    return LossWindow(
        mean=float(values.mean()),
        standard_error=standard_error(values),
        steps=len(values),
        samples=len(values) * samples_per_step,
        of_steps=of_steps,
        autocorrelation=rho,
        effective_steps=None if rho is None else len(values) / _inflation(rho, len(values)),
        rule=RULE,
    )


def autocorrelation(values: np.ndarray) -> float | None:
    """Correlation of neighbouring values under an AR(1) process, from 0 to below 1.

    The sample's own ``r = sum(d_t d_(t+1)) / sum(d_t^2)``, with ``d`` the distances from the mean,
    is too small on average: ``E[r] = rho - (1 + 4 rho) / n`` (Marriott and Pope, "Bias in the
    estimation of autocorrelations", Biometrika 41, 1954). This is solved for ``rho``. A negative
    one counts as 0, so that no error is below that of independent values. Of fewer than 8 values,
    shape ``(n,)``, which tell nothing of it, it is ``None``.
    """
    n = len(values)
    if n < _MIN_VALUES:
        return None
    distances = values - values.mean()
    squares = float(distances @ distances)
    if not squares > 0:
        return 0.0
    sample = float(distances[1:] @ distances[:-1]) / squares
    return min(max(0.0, (n * sample + 1) / (n - 4)), 0.999)


def standard_error(values: np.ndarray) -> float | None:
    """Standard error of the mean of a series whose neighbours resemble each other.

    For AR(1) the mean of ``n`` values of variance ``v`` has the variance ``v g / n`` with
    ``g = (1 + rho) / (1 - rho) - 2 rho (1 - rho^n) / (n (1 - rho)^2)``, and the squared distances
    from the mean add up to ``v (n - g)`` on average (Anderson, "The Statistical Analysis of Time
    Series", 1971, page 448). ``rho`` is that of ``autocorrelation``.

    Args:
        values: Finite, shape ``(n,)``.

    Returns:
        The error; ``None`` where ``rho`` is not known, or where one standard error above it the
        values are worth fewer than three independent ones.
    """
    n = len(values)
    if (rho := autocorrelation(values)) is None:
        return None
    upper = min(rho + math.sqrt((1 - rho**2) / n), 0.9999)
    if n / _inflation(upper, n) < _MIN_EFFECTIVE:
        return None
    inflation = _inflation(rho, n)
    distances = values - values.mean()
    variance = float(distances @ distances) / (n - inflation)
    return math.sqrt(variance * inflation / n)


def _inflation(rho: float, n: int) -> float:
    """How much larger autocorrelation makes the variance of a mean of ``n`` values; ``g`` above."""
    return (1 + rho) / (1 - rho) - 2 * rho * (1 - rho**n) / (n * (1 - rho) ** 2)


def loss_fell(losses: ArrayLike) -> tuple[Answer, str]:
    """Whether a run's final loss is below its first one, by the 95 percent interval of the fall.

    Both are means over the windows that manifests have, with standard errors under AR(1). In a
    window whose neighbouring losses are too much alike for one, as where the loss falls through it,
    the mean counts as one value alone: its error is the standard deviation of the losses, which is
    larger. ``losses`` are as in ``first_window``.

    Examples:
        >>> loss_fell([9.0, 8.0] * 20 + [1.0, 2.0] * 20)
        ('yes', 'from 8.5 to 1.5: by 7, 6.68 to 7.32')
    """
    values = np.asarray(losses, dtype=np.float64)
    steps = window_steps(len(values))
    if steps < LEAST_STEPS or not np.isfinite(values).all():
        return "cannot be told", f"{len(values)} steps are too few, {2 * LEAST_STEPS} can tell it"
    first, final = values[:steps], values[-steps:]
    fall = float(first.mean() - final.mean())
    half = _NORMAL * math.hypot(error_of_mean(first), error_of_mean(final))
    text = f"from {first.mean():.4g} to {final.mean():.4g}"
    text += f": by {fall:.3g}, {fall - half:.3g} to {fall + half:.3g}"
    return "yes" if fall > half else "no" if fall < -half else "cannot be told", text


def error_of_mean(values: np.ndarray) -> float:
    """Standard error of the mean; where it cannot be told the deviation of a single value."""
    error = standard_error(values)
    return float(values.std(ddof=1)) if error is None else error


def loss_spikes(losses: ArrayLike) -> np.ndarray:
    """Steps whose loss is seven standard deviations or more above the mean of the 1,000 before.

    The spike score of OLMo 2 (OLMo Team, "2 OLMo 2 Furious", arXiv:2501.00656, 2025) is the share
    of such steps; here falls do not count, and at the start there are fewer steps before: the first
    20 are not judged. ``losses`` are as in ``first_window``, the steps are counted from 1 on.

    Examples:
        >>> loss_spikes([1.0, 2.0] * 50 + [30.0] + [1.0, 2.0] * 5).tolist()
        [101]
    """
    import pandas as pd

    values = pd.Series(np.asarray(losses, dtype=np.float64))
    if not np.isfinite(values).all():
        return np.array([], dtype=np.int64)
    before = values.shift().rolling(SPIKE_WINDOW, min_periods=MIN_STEPS)
    rise = values - before.mean()
    least = 1e-6 * values.abs().max()  # a rise that rounding makes is none
    return np.flatnonzero((rise >= SPIKE_DEVIATIONS * before.std(ddof=0)) & (rise > least)) + 1
