"""The loss of a run at its end, at a number of samples, or at a share of its schedule."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gr00t_assets.comparison.contrasts.observation import Loss, Observation, RunCurve
from gr00t_assets.runs.loss_window import standard_error

WINDOW_FRAMES = 1024
"""Samples that a window is over, whatever the batch size. With a standard deviation as large as
the mean in one sample, the mean of so many is known to 3 percent."""

MIN_STEPS = 20
"""A window has at least this many steps: fewer would not tell their own noise."""

MOST = 0.2
"""A window is at most this share of the run where that is more than ``MIN_STEPS``, so that the
loss at its start is not that of an earlier stage."""

TAIL = 0.25
"""Share of the run that the slope at its end is taken over."""

Trend = Literal["falling", "level", "rising", "unknown"]


@dataclass(frozen=True)
class EndTrend:
    """Whether the loss still falls at the end of a run.

    Attributes:
        trend: ``level`` where the slope cannot be told from none; ``unknown`` without a curve.
        slope: Change of the log loss over the last :data:`TAIL` of the run: -0.1 is a loss that
            fell by about 10 percent. None where it is unknown.
        standard_error: Of the slope.
        share: Share of the run that it is over.
    """

    trend: Trend
    slope: float | None = None
    standard_error: float | None = None
    share: float = TAIL

    @property
    def words(self) -> str:
        """For a reader, such as ``still falling: 12 ± 3 % over the last 25 % of the run``."""
        if self.slope is None or self.standard_error is None:
            return "unknown: there is no curve"
        percent = 100 * math.expm1(self.slope)
        text = f"{abs(percent):.0f} ± {100 * self.standard_error:.0f} %"
        where = f"over the last {self.share:.0%} of the run".replace("%", " %")
        match self.trend:
            case "falling":
                return f"still falling: {text} {where}"
            case "rising":
                return f"rising: {text} {where}"
        return f"level: a change of {percent:.0f} ± {100 * self.standard_error:.0f} % {where}"


def plateau_or_falling(observation: Observation) -> EndTrend:
    """Whether a run's loss still falls at its end, by a line through means of the last steps.

    The last quarter is cut into 8 to 16 blocks of neighbouring steps. Their means take up what
    neighbouring steps have in common; a least-squares line through the logarithms of the means
    has a slope whose standard error comes from the scatter about it. A slope counts beyond the 95
    percent quantile of Student's t.
    """
    curve = observation.curve
    tail = curve.losses[-max(1, round(TAIL * len(curve.losses))) :] if curve else np.zeros(0)
    blocks = min(16, len(tail) // 4)
    if blocks < 8:
        return EndTrend("unknown")
    size = len(tail) // blocks
    means = tail[len(tail) - size * blocks :].reshape(blocks, size).mean(axis=1)
    if not (means > 0).all():
        return EndTrend("unknown")
    from scipy.special import stdtrit

    values = np.log(means)
    place = np.linspace(-0.5, 0.5, blocks) * (blocks - 1) / blocks
    slope = float(place @ values / (place @ place))
    scatter = values - values.mean() - slope * place
    error = math.sqrt(float(scatter @ scatter) / (blocks - 2) / float(place @ place))
    beyond = abs(slope) > float(stdtrit(blocks - 2, 0.975)) * error
    trend: Trend = "level" if not beyond else "falling" if slope < 0 else "rising"
    return EndTrend(trend, slope, error)


def end_loss(curve: RunCurve) -> Loss | None:
    """The loss at the end of a curve; None where it has too few steps."""
    return _loss_before(curve, len(curve.losses))


def loss_at_samples(observation: Observation, samples: float) -> Loss | None:
    """The loss where a run had seen so many samples; None without a curve that reaches them."""
    curve = observation.curve
    if curve is None or not len(curve.losses) or samples > 1.02 * curve.samples_seen[-1]:
        return None
    return _loss_before(curve, int(np.searchsorted(curve.samples_seen, samples, side="right")))


def loss_at_fraction(observation: Observation, fraction: float) -> Loss | None:
    """The loss where a run had done this share of its schedule; None without such a curve.

    Args:
        observation: The run.
        fraction: Of ``max_steps``; 1 is the end of the schedule.
    """
    if observation.curve is None or not observation.max_steps or not observation.steps:
        return None
    seen = observation.curve.samples_seen[-1] if len(observation.curve.losses) else 0
    per_step = seen / observation.steps
    return loss_at_samples(observation, fraction * observation.max_steps * per_step)


def window_length(steps: int, samples_per_step: float) -> int:
    """Steps of a window that ends after ``steps`` steps.

    Example:
        >>> window_length(1000, 1), window_length(1000, 8), window_length(10_000, 32)
        (200, 128, 32)
    """
    wanted = math.ceil(WINDOW_FRAMES / max(samples_per_step, 1e-9))
    most = max(MIN_STEPS, math.ceil(MOST * steps))
    return min(max(MIN_STEPS, wanted), most, max(2, steps // 2))


def _loss_before(curve: RunCurve, steps: int) -> Loss | None:
    if steps < 4:
        return None
    per_step = float(curve.samples_seen[-1]) / len(curve.losses)
    length = window_length(steps, per_step)
    window = curve.losses[steps - length : steps]
    if not np.isfinite(window).all() or not window.mean() > 0:
        return None
    return Loss(float(window.mean()), standard_error(window), round(length * per_step))
