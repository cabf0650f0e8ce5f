"""A run's losses, step by step and as the moving mean that ends at its final loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.table import ranked_classes, shown_runs
from gr00t_assets.training.loss_window import window_steps
from gr00t_assets.training.metrics import Metric

DRAWN = 60
"""Curves on shared axes at most; no one can tell more of them apart."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
"""Okabe and Ito's colours for the colour-blind without black and yellow, and one brown."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""Line styles that tell apart experiments that share a colour."""


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


@dataclass(frozen=True)
class Style:
    """How an experiment is drawn, in every plot and table of one sweep."""

    color: str
    dash: str


def loss_curve(metrics: Sequence[Metric]) -> Curve:
    """The curve of logged lines; steps without a logged loss and losses not finite are left out."""
    steps: list[np.ndarray] = []
    samples: list[np.ndarray] = []
    losses: list[np.ndarray] = []
    before = 0
    for metric in metrics:
        values = np.array(metric.losses[-max(1, metric.step - before) :], dtype=float)
        back = np.arange(len(values))[::-1]
        steps.append(metric.step - back)
        samples.append(metric.samples_seen - back * metric.samples_seen / max(1, metric.step))
        losses.append(values)
        before = metric.step
    if not losses:
        return Curve(np.zeros(0), np.zeros(0), np.zeros(0))
    finite = np.isfinite(np.concatenate(losses))
    return Curve(*(np.concatenate(parts)[finite] for parts in (steps, samples, losses)))


def moving_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of every ``window`` neighbours, shape ``(n - window + 1,)``.

    Example:
        >>> moving_mean(np.array([4.0, 2.0, 6.0]), 2)
        array([3., 4.])
    """
    return np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=-1)


def run_styles(runs: Sequence[Run]) -> dict[str, Style]:
    """A style for each experiment, by name: the colour is that of its place in the sweep."""
    names = [run.name for run in shown_runs(runs)]
    return {
        name: Style(PALETTE[index % len(PALETTE)], DASHES[index // len(PALETTE) % len(DASHES)])
        for index, name in enumerate(names)
    }


def curve_groups(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """The runs to draw on shared axes: one group where no two classes meet, else one a class.

    Stale runs and runs without a logged loss are left out. Within a group ranked runs come first,
    in order of rank. Of more than :data:`DRAWN` the first are drawn, and the title says so.
    """
    drawn = [run for run in shown_runs(runs) if not run.stale and np.isfinite(run.losses).any()]
    ranked = [run for members in ranked_classes(runs) for run in members]
    order = {run.name: place for place, run in enumerate(ranked)}
    drawn.sort(key=lambda run: order.get(run.name, len(order)))
    groups: dict[str, list[Run]] = {}
    for run in drawn:
        group = run.comparability_class
        groups.setdefault(f"class {group.short_id}" if group else "no class yet", []).append(run)
    if sum(name != "no class yet" for name in groups) < 2:
        groups = {"": drawn} if drawn else {}
    return [_drawn(title, members) for title, members in groups.items()]


def _drawn(title: str, members: list[Run]) -> tuple[str, list[Run]]:
    if len(members) <= DRAWN:
        return title, members
    cut = f"the first {DRAWN} of {len(members):,} runs, by rank"
    return f"{title}, {cut}" if title else cut, members[:DRAWN]
