"""Whether a run's loss fell, and whether it had spikes."""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from gr00t_assets.runs.final_loss import MIN_STEPS, standard_error, window_steps

LEAST_STEPS = 8
"""Of a window that tells whether the loss fell; fewer tell nothing of their autocorrelation."""

SPIKE_DEVIATIONS = 7.0
SPIKE_WINDOW = 1_000
"""Steps before a step that it is held against, at most."""

_NORMAL = 1.96

Answer = Literal["yes", "no", "cannot be told"]


def loss_fell(losses: ArrayLike) -> tuple[Answer, str]:
    """Whether a run's final loss is below its first one, by the 95 percent interval of the fall.

    Both are means over the windows that manifests have, ``max(20 steps, 10 %)``, with standard
    errors under AR(1), see ``gr00t_assets.runs.final_loss``. In a window whose neighbouring losses
    are too much alike for one, as where the loss falls through it, the mean counts as one value
    alone: its error is the standard deviation of the losses, which is larger.

    Args:
        losses: Of each optimizer step, in order, shape ``(steps,)``.

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
    half = _NORMAL * math.hypot(_error(first), _error(final))
    text = f"from {first.mean():.4g} to {final.mean():.4g}"
    text += f": by {fall:.3g}, {fall - half:.3g} to {fall + half:.3g}"
    return "yes" if fall > half else "no" if fall < -half else "cannot be told", text


def _error(values: np.ndarray) -> float:
    error = standard_error(values)
    return float(values.std(ddof=1)) if error is None else error


def loss_spikes(losses: ArrayLike) -> np.ndarray:
    """Steps whose loss is seven standard deviations or more above the mean of the 1,000 before.

    The spike score of OLMo 2 (OLMo Team, "2 OLMo 2 Furious", arXiv:2501.00656, 2025) is the share
    of such steps; here falls do not count, and at the start there are fewer steps before: the first
    20 are not judged.

    Args:
        losses: Of each optimizer step, in order, shape ``(steps,)``.

    Returns:
        Numbers of the steps, from 1 on.

    Examples:
        >>> loss_spikes([1.0, 2.0] * 50 + [30.0] + [1.0, 2.0] * 5).tolist()
        [101]
    """
    values = np.asarray(losses, dtype=np.float64)
    if len(values) <= MIN_STEPS or not np.isfinite(values).all():
        return np.array([], dtype=np.int64)
    centred = values - np.median(values)
    sums = np.concatenate([[0.0], np.cumsum(centred)])
    squares = np.concatenate([[0.0], np.cumsum(centred**2)])
    steps = np.arange(MIN_STEPS, len(values))
    begin = np.maximum(0, steps - SPIKE_WINDOW)
    mean = (sums[steps] - sums[begin]) / (steps - begin)
    variance = (squares[steps] - squares[begin]) / (steps - begin) - mean**2
    rise = centred[steps] - mean
    deviation = np.sqrt(np.maximum(variance, 0.0))
    least = 1e-6 * np.abs(values).max()  # a rise that rounding makes is none
    return steps[(rise >= SPIKE_DEVIATIONS * deviation) & (rise > least)] + 1
