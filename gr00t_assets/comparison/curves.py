"""Losses along a run: the curve, its final window, and whether it still falls at its end."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gr00t_assets.core.files import LARGEST_NUMBER
from gr00t_assets.evaluation.intervals import student_t
from gr00t_assets.runs.final_loss import LossWindow, final_window, window_steps
from gr00t_assets.runs.metrics import MetricTable

LossKind = Literal["window mean", "one logged value"]
Trend = Literal["falling", "level", "rising", "unknown"]

TAIL = 0.25  # Share of the run that the slope at its end is taken over
SAMPLE_CV = 1.0
"""Standard deviation over mean of one sample's loss: flow time and noise are drawn at random.

``python -m benchmarks.sample_noise`` measures 0.58 at the end of 2,000 steps of the tiny model; it
grows as a model learns, so errors of logged values are rather too large."""


def logged_value_error(loss: float, samples: int) -> float:
    """Standard error of one logged value, the mean over ``samples`` independent draws."""
    return loss * SAMPLE_CV / math.sqrt(max(1, samples))


@dataclass(frozen=True)
class Loss:
    """A training loss at the end of a run, or so far, a mean over ``samples``."""

    mean: float
    standard_error: float | None  # Within the run; None: too short; of one logged value an estimate
    samples: int
    kind: LossKind = "window mean"  # Over the window of ``runs.final_loss``, or the value logged

    @classmethod
    def of_window(cls, window: LossWindow | None) -> "Loss | None":
        """The loss of a window; None where its mean is not a finite number above zero."""
        if window is None or not 0 < window.mean < math.inf:
            return None
        return cls(window.mean, window.standard_error, window.samples)


@dataclass(frozen=True)
class EndTrend:
    """Whether the loss still falls at the end of a run."""

    trend: Trend  # ``level`` where the slope cannot be told from none; ``unknown`` without a curve
    slope: float | None = None  # Of the log loss over the last ``TAIL``: -0.1 is 10 percent lower
    standard_error: float | None = None

    @property
    def words(self) -> str:
        """For a reader, such as ``still falling: 12 ± 3 % over the last 25 % of the run``."""
        if self.slope is None or self.standard_error is None:
            return "unknown: there is no curve"
        kinds = {"level": "level: a change of", "falling": "still falling:", "rising": "rising:"}
        percent, error = 100 * math.expm1(self.slope), 100 * self.standard_error
        change = f"{percent if self.trend == 'level' else abs(percent):.0f} ± {error:.0f} %"
        return f"{kinds[self.trend]} {change} over the last {100 * TAIL:.0f} % of the run"


@dataclass(frozen=True)
class Curve:
    """Losses by optimizer steps done and samples seen; every array has shape ``(n,)``."""

    steps: np.ndarray
    samples: np.ndarray
    losses: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    def thinned(self, points: int) -> "Curve":
        """At most ``points`` points at equal distances, the first and last among them."""
        if len(self) <= points:
            return self
        keep = np.unique(np.linspace(0, len(self) - 1, points).round().astype(int))
        return Curve(self.steps[keep], self.samples[keep], self.losses[keep])

    def smoothed(self) -> "Curve":
        """Means over every window as long as that of the final loss, each at the middle of it."""
        window = min(window_steps(len(self)), len(self))
        if window < 2:
            return self
        arrays = (self.steps, self.samples, self.losses)
        return Curve(*(sliding_window_view(x, window).mean(axis=-1) for x in arrays))

    def final_loss(self) -> Loss | None:
        """The loss at the end; None where the curve has too few points."""
        return self.loss_at(self.samples[-1]) if len(self) else None

    def loss_at(self, samples: float) -> Loss | None:
        """The loss as if the run ended where so many samples were seen; None beyond its end."""
        points = int(np.searchsorted(self.samples, samples, side="right"))
        if points < 4 or samples > 1.02 * self.samples[-1]:
            return None
        samples_per_point = round(float(self.samples[-1]) / len(self))
        return Loss.of_window(final_window(self.losses[:points], samples_per_point))

    def end_trend(self) -> EndTrend:
        """Whether the loss still falls at the end, by a line through means of the last steps.

        It goes through logarithms of the means of 8 to 16 blocks of neighbouring steps of the last
        quarter; its slope counts beyond the 95 percent quantile of Student's t.
        """
        tail = self.losses[-max(1, round(TAIL * len(self))) :]
        blocks = min(16, len(tail) // 4)
        if blocks < 8:
            return EndTrend("unknown")
        means = tail[len(tail) % blocks :].reshape(blocks, -1).mean(axis=1)
        if not (means > 0).all():
            return EndTrend("unknown")
        place = np.linspace(-0.5, 0.5, blocks) * (blocks - 1) / blocks
        (slope, _), covariance = np.polyfit(place, np.log(means), 1, cov=True)
        slope, error = float(slope), math.sqrt(covariance[0, 0])
        significant = abs(slope) > student_t(blocks - 2) * error
        trend: Trend = "level" if not significant else "falling" if slope < 0 else "rising"
        return EndTrend(trend, slope, error)


def loss_curve(table: MetricTable) -> Curve:
    """The curve of logged lines; steps without a logged loss and losses not finite are left out."""
    step, seen = table.columns["step"], table.columns["samples_seen"]
    counts, steps = table.counts, table.loss_steps
    back = np.repeat(step, counts) - steps
    since = np.maximum(1, np.diff(step, prepend=0))
    logged = (back < np.repeat(since, counts)) & (np.abs(table.losses) < LARGEST_NUMBER)
    samples = np.repeat(seen, counts) - back * np.repeat(seen / np.maximum(1, step), counts)
    return Curve(steps[logged], samples[logged], table.losses[logged])
