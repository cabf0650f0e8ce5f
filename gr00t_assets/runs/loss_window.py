"""The loss of a run as a mean over many steps with its standard error, never one logged point."""

import math

import numpy as np
from numpy.typing import ArrayLike

from gr00t_assets.runs.manifest import LossWindow

MIN_STEPS = 20
"""A window has at least this many steps, in a run that has twice as many."""

SHARE = 0.1
"""Share of a run's steps that a window has, where that is more than ``MIN_STEPS``."""


def window_steps(steps: int) -> int:
    """Steps in the first and in the final window of a run of ``steps`` steps.

    ``max(20, 10 % of steps)``, and at most half of the run, so that the two do not overlap.

    Example:
        >>> window_steps(30), window_steps(100), window_steps(2000)
        (15, 20, 200)
    """
    return min(max(MIN_STEPS, math.ceil(SHARE * steps)), max(2, steps // 2))


def first_window(losses: ArrayLike, samples_per_step: int) -> LossWindow | None:
    """The loss at the start of a run; see :func:`loss_window`.

    Args:
        losses: Loss of each optimizer step of the whole run, in order, shape ``(steps,)``.
        samples_per_step: Samples that one optimizer step sees, over all GPUs.
    """
    values = np.asarray(losses, dtype=np.float64)
    return loss_window(values[: window_steps(len(values))], samples_per_step)


def final_window(losses: ArrayLike, samples_per_step: int) -> LossWindow | None:
    """The loss at the end of a run; see :func:`loss_window`.

    Args:
        losses: Loss of each optimizer step of the whole run, in order, shape ``(steps,)``.
        samples_per_step: Samples that one optimizer step sees, over all GPUs.

    Example:
        >>> final_window([9.0] * 60 + [1.0, 3.0] * 20, samples_per_step=8)
        LossWindow(mean=2.0, standard_error=0.22941573387056177, steps=20, samples=160)
    """
    values = np.asarray(losses, dtype=np.float64)
    return loss_window(values, samples_per_step, window_steps(len(values)))


def loss_window(
    losses: ArrayLike, samples_per_step: int, steps: int | None = None
) -> LossWindow | None:
    """Mean of the last ``steps`` losses with a standard error that respects autocorrelation.

    Args:
        losses: Loss of each optimizer step in order, shape ``(n,)``, ``n`` of any size.
        samples_per_step: Samples that one optimizer step sees, over all GPUs.
        steps: Size of the window in steps; all of ``losses`` where it is ``None``.

    Returns:
        The window; ``None`` where it has fewer than two steps, which have no standard error, or a
        loss that is not a finite number.
    """
    values = np.asarray(losses, dtype=np.float64)
    window = values if steps is None else values[max(0, len(values) - steps) :]
    if len(window) < 2 or not np.isfinite(window).all():
        return None
    return LossWindow(
        mean=float(window.mean()),
        standard_error=standard_error(window),
        steps=len(window),
        samples=len(window) * samples_per_step,
    )


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of a series whose neighbours resemble each other.

    Non-overlapping batch means: ``n`` values are cut into ``a = n // b`` batches of
    ``b = floor(sqrt(n))`` neighbours. With ``Y_k`` the mean of batch ``k`` and ``Y`` the mean of
    the batches, the variance of the overall mean is ``b / n * sum((Y_k - Y)^2) / (a - 1)``
    (Flegal and Jones, "Batch means and spectral variance estimators in Markov chain Monte Carlo",
    Annals of Statistics 38, 2010). Values left over at the start are in no batch.

    The result is never below ``std / sqrt(n)``, the error of independent values: few batches
    would now and then give a smaller one by chance. A trend inside the window widens it.

    Args:
        values: Shape ``(n,)``, ``n >= 2``.
    """
    n = len(values)
    independent = float(values.var(ddof=1)) / n
    size = math.isqrt(n)
    count = n // size
    if size < 2 or count < 2:
        return math.sqrt(independent)
    means = values[n - size * count :].reshape(count, size).mean(axis=1)
    batched = size / n * float(means.var(ddof=1))
    return math.sqrt(max(independent, batched))
