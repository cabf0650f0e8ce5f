"""Noise of a loss: within a run, and between two runs of one configuration.

All of it is on the logarithm of the loss, where noise is about as large for small losses as for
large ones.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.comparison.contrasts.factors import Configuration
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run

SAMPLE_CV = 1.0
"""Standard deviation over mean of one sample's loss: flow time and noise are drawn at random.

Measured 0.58 over the last 200 and 0.57 over the last 500 of 2,000 steps of the built-in tiny model
with batch size 1 (``python -m benchmarks.sample_noise`` trains it and prints this), where one step
says nothing of the next (correlation -0.03). The mean of ten neighbouring steps had 0.17, which is
0.58 over the square root of ten. The share grows as a model learns, since what is left of the loss
hangs more on the flow time; so 1 is taken, and errors of logged values are rather too large.
"""

ASSUMED_SPREAD = 0.25
"""Standard deviation of the log loss between two runs of one configuration, where nothing was
repeated to measure it. Two single runs then differ by more than noise from a factor of 2 on."""

ASSUMED_DEGREES = 1
"""Weight of the assumed spread beside a measured one that is smaller, in degrees of freedom: that
two repeated runs end close together may be luck."""

WITHIN_DEGREES = 10
"""Of the error within a run: a window is cut into about that many batches."""

LEVEL = 0.95
"""Of every interval."""


def logged_value_error(loss: float, samples: int) -> float:
    """Standard error of one logged value, which is the mean over ``samples`` samples.

    The samples of a few neighbouring steps are independent draws, so the error is
    ``loss * SAMPLE_CV / sqrt(samples)``; 10 steps with batch size 1 are 10 samples.
    """
    return loss * SAMPLE_CV / math.sqrt(max(1, samples))


def log_error(loss: Loss) -> float:
    """Standard error of the logarithm of a loss, within the run; infinite where it is unknown."""
    return math.inf if loss.standard_error is None else loss.standard_error / loss.mean


@dataclass(frozen=True)
class Spread:
    """How much runs of one configuration differ, pooled over so many ``runs``.

    Attributes:
        measured_total: Variance of the log loss between replicates, noise within the runs included;
            None where nothing was repeated.
        within: Mean variance within those runs.
        repeats: Degrees of freedom of it: replicates less configurations.
    """

    measured_total: float | None = None
    within: float = 0.0
    repeats: int = 0
    runs: int = 0

    @property
    def measured(self) -> bool:
        """Whether there were replicates."""
        return self.measured_total is not None

    @property
    def between(self) -> float:
        """Standard deviation of the log loss between runs, the noise within them taken off."""
        if self.measured_total is None:
            return ASSUMED_SPREAD
        return math.sqrt(max(0.0, self.measured_total - self.within))

    @property
    def total(self) -> float:
        """The variance that is reckoned with: the measured one, or where that is below the assumed
        one, their mean, weighted by degrees of freedom."""
        assumed = ASSUMED_SPREAD**2 + self.within
        if self.measured_total is None:
            return assumed
        both = ASSUMED_DEGREES * assumed + self.repeats * self.measured_total
        return max(self.measured_total, both / (ASSUMED_DEGREES + self.repeats))

    @property
    def degrees(self) -> int:
        """Degrees of freedom of ``total``; 0 where it is assumed, and taken as known."""
        return self.repeats + ASSUMED_DEGREES if self.measured else 0

    def variance(self, within: float) -> float:
        """Variance of the log loss of one run whose variance within is ``within``.

        Where the replicates agree better than their noise within would let them, that noise was
        estimated too large, and it is taken in proportion. Where the noise within the run is
        unknown, the run is taken to be as noisy as the replicates.
        """
        if self.measured_total is None:
            return ASSUMED_SPREAD**2 + within
        if math.isinf(within):
            return self.total
        if self.total >= self.within:
            return self.total - self.within + within
        return self.total * within / self.within


@dataclass(frozen=True)
class Level:
    """Mean of the log loss over a configuration's seeds, its variance from noise within the runs,
    and that of each seed's run."""

    mean: float
    within: float
    variances: tuple[float, ...]

    def variance(self, spread: Spread) -> float:
        """Variance of the mean, both kinds of noise included."""
        return sum(spread.variance(within) for within in self.variances) / len(self.variances) ** 2


def level(losses: Iterable[Sequence[Loss]]) -> Level:
    """Pool losses of replicates, by seed; runs of one seed repeat each other, and count as one."""
    means, variances = [], []
    for same_seed in losses:
        means.append(float(np.mean([math.log(loss.mean) for loss in same_seed])))
        variances.append(float(np.mean([log_error(loss) ** 2 for loss in same_seed])))
    return Level(sum(means) / len(means), sum(variances) / len(means) ** 2, tuple(variances))


def end_level(configuration: Configuration) -> Level:
    """The level of a configuration from the losses at the end of its runs."""
    return level(map(_losses, configuration.by_seed))


def spread_of(members: Iterable[Configuration]) -> Spread:
    """Run-to-run spread pooled over the replicates of configurations.

    ``total = sum over configurations of sum (y - mean)^2 / sum of (replicates - 1)``, the pooled
    variance of a one-way analysis of variance, with ``y`` the log loss of each seed.
    """
    spreads = []
    for configuration in members:
        levels = [level([_losses(same_seed)]) for same_seed in configuration.by_seed]
        if len(levels) > 1:
            known = [item.within for item in levels if math.isfinite(item.within)]
            total = float(np.var([item.mean for item in levels], ddof=1))
            within = float(np.mean(known or [0.0]))
            spreads.append(Spread(total, within, len(levels) - 1, len(levels)))
    return pooled_spread(spreads)


def pooled_spread(spreads: Iterable[Spread]) -> Spread:
    """One spread from several, each weighted by its degrees of freedom."""
    measured = [spread for spread in spreads if spread.measured_total is not None]
    if not measured:
        return Spread()
    weights = [spread.repeats for spread in measured]
    totals = [spread.measured_total or 0.0 for spread in measured]
    return Spread(
        float(np.average(totals, weights=weights)),
        float(np.average([spread.within for spread in measured], weights=weights)),
        sum(weights),
        sum(spread.runs for spread in measured),
    )


def quantiles(degrees: np.ndarray, tail: np.ndarray) -> np.ndarray:
    """Upper quantiles of Student's t, or of the normal distribution where ``degrees`` is 0.

    Args:
        degrees: Degrees of freedom, shape ``(n,)``.
        tail: Probability above the quantile, shape ``(n,)``.
    """
    from scipy.special import ndtri, stdtrit

    normal = degrees <= 0
    return np.where(normal, -ndtri(tail), -stdtrit(np.where(normal, 1.0, degrees), tail))


def tails(degrees: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Probability above each value; the inverse of ``quantiles``."""
    from scipy.special import ndtr, stdtr

    normal = degrees <= 0
    return np.where(normal, ndtr(-values), stdtr(np.where(normal, 1.0, degrees), -values))


def holm_levels(chances: np.ndarray, alpha: float) -> np.ndarray:
    """The level that each hypothesis is tested at by Holm's procedure, shape ``(m,)``.

    In order of their probabilities the hypotheses are tested at ``alpha / m``,
    ``alpha / (m - 1)``, and so on; those behind the first that stands have its level.

    Args:
        chances: Probability of so large a difference without an effect, shape ``(m,)``.
        alpha: Chance of a false effect that is put up with among all of them.
    """
    order = np.argsort(chances, kind="stable")
    levels = alpha / np.arange(len(chances), 0, -1)
    standing = np.flatnonzero(chances[order] > levels)
    if len(standing):
        levels[standing[0] :] = levels[standing[0]]
    return levels[np.argsort(order)]


def _losses(runs: Iterable[Run]) -> list[Loss]:
    return [run.loss for run in runs if run.loss]
