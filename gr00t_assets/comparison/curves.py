"""A run's losses, step by step and as the moving mean that ends at its final loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.runs.loss_window import window_steps
from gr00t_assets.runs.metric_table import MetricTable
from gr00t_assets.runs.metrics import Metric


@dataclass(frozen=True)
class Curve:
    """Losses over a run; every array has shape ``(n,)``.

    Attributes:
        steps: Optimizer steps done at each point.
        samples: Samples seen at each point.
        losses: Loss at each point, in the units of the training loss.
    """

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
        """Means over every window of the run, each at the middle of its window.

        A window has as many steps as that of the final loss, so the line begins at the first
        loss and ends at the final loss of the run.
        """
        window = min(window_steps(len(self)), len(self))
        if window < 2:
            return self
        return Curve(*(moving_mean(x, window) for x in (self.steps, self.samples, self.losses)))


def loss_curve(metrics: Sequence[Metric]) -> Curve:
    """The curve of logged lines; steps without a logged loss and losses not finite are left out."""
    table = metrics if isinstance(metrics, MetricTable) else MetricTable.of(metrics)
    step, seen = table.columns["step"], table.columns["samples_seen"]
    if not len(step):
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    counts, places = table.counts, np.arange(len(table.losses))
    back = np.repeat(table.ends, counts) - 1 - places
    since = np.maximum(1, np.diff(step, prepend=0))
    shown = (back < np.repeat(since, counts)) & np.isfinite(table.losses)
    steps = np.repeat(step, counts) - back
    samples = np.repeat(seen, counts) - back * np.repeat(seen / np.maximum(1, step), counts)
    if shown.all():
        return Curve(steps, samples, table.losses)
    return Curve(steps[shown], samples[shown], table.losses[shown])


def moving_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of every ``window`` neighbours, shape ``(n - window + 1,)``.

    Example:
        >>> moving_mean(np.array([4.0, 2.0, 6.0]), 2)
        array([3., 4.])
    """
    return np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=-1)
