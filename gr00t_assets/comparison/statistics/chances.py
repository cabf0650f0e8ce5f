"""The chance of each configuration to be the best, and which cannot be told from the first."""

import math
from collections.abc import Sequence

import numpy as np

from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.comparison.statistics.factors import SMALLEST_SPREAD, Observation, Spread
from gr00t_assets.comparison.statistics.linear_model import independent, seed_columns

NAMED = 0.03  # Chance that one of two equally good configurations is named the best
GRID = 60  # Standard deviations between configurations that are drawn from
DRAWS = 4000  # Of the losses that the configurations may really have
ENOUGH_REPEATS = 3  # Degrees of freedom from which a variance is taken for known

CLASS_DEGREES = 1.5
"""So many degrees of freedom the spread of a class is worth for that of one configuration in it;
with more of them two runs that happen to agree hide that a configuration scatters."""


class AdjustedMeans:
    """Mean log loss of each configuration, what seeds add to all of them taken out.

    Attributes:
        means: Shape ``(configurations,)``, as are the ``counts`` of observations.
        spread: Of losses, as it was given.
        paired: That of differences, without what seeds add; ``spread`` where too little tells it.
    """

    def __init__(self, rows: Sequence[Observation], configurations: int, spread: Spread) -> None:
        self.cells = np.array([row.cell for row in rows])
        losses = np.array([row.log_loss for row in rows])
        self.counts = np.bincount(self.cells, minlength=configurations)
        self.means = np.bincount(self.cells, losses, configurations) / self.counts
        seeds = seed_columns([row.seed for row in rows], self.cells.tolist())
        if seeds.shape[1]:
            dummies = np.eye(configurations)[self.cells]
            seeds = independent(seeds, dummies)
            solution, *_ = np.linalg.lstsq(np.hstack([dummies, seeds]), losses, rcond=None)
            self.means = solution[:configurations]
        self.residuals = losses - self.means[self.cells]
        self._seed_degrees = seeds.shape[1]
        self._of_seeds = np.zeros(len(rows))
        if self._seed_degrees:
            solution, *_ = np.linalg.lstsq(seeds, self.residuals, rcond=None)
            self._of_seeds = seeds @ solution
            self.residuals -= self._of_seeds
        self.spread = self.paired = spread
        degrees = len(rows) - configurations - self._seed_degrees
        if self._seed_degrees and degrees >= ENOUGH_REPEATS:
            deviation = math.sqrt(float(self.residuals @ self.residuals) / degrees)
            deviation = max(SMALLEST_SPREAD, deviation)
            self.paired = Spread(deviation, degrees, spread.source, spread.runs)

    def with_seeds(self, draws: np.ndarray) -> np.ndarray:
        """Drawn losses with what the common seeds may have added to all of them alike."""
        if self.paired is self.spread:
            return draws
        degrees = self._seed_degrees
        mean_square = float(self._of_seeds @ self._of_seeds) / degrees
        share = degrees / (len(self.cells) - len(self.means)) / (degrees + 1)
        deviation = math.sqrt(max(0.0, share * (mean_square - self.paired.variance)))
        drawn = np.random.default_rng(1).standard_t(degrees, size=(len(draws), 1))
        return draws + deviation * drawn

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the spread of one configuration's mean (Satterthwaite's)."""
        if self.paired is self.spread:
            return self.spread.degrees
        squares = np.array([x @ x for x in (self._of_seeds, self.residuals)])
        degrees = np.array([self._seed_degrees, self.paired.degrees])
        return float(squares.sum() ** 2 / max(1e-300, (squares**2 / degrees).sum()))

    def tied_with_first(self, order: np.ndarray) -> list[bool]:
        """Whether each configuration, in the order of means, cannot be told from the first one.

        Tests with the spread of the class, and by Welch's with the variances of both, each a
        weighted mean of its own and that of the class (a moderated t-test: G. K. Smyth, Statistical
        Applications in Genetics 3, 2004). The larger p counts, adjusted by Holm's procedure.
        """
        from scipy.special import stdtr

        spread = self.paired
        own, squares = self.counts - 1, np.bincount(self.cells, self.residuals**2, len(self.means))
        variances = (CLASS_DEGREES * spread.variance + squares) / (CLASS_DEGREES + own)
        degrees = np.where(own > 0, CLASS_DEGREES + own, spread.degrees)
        first, chances = int(order[0]), []
        for cell in order[1:]:
            pair = np.array([cell, first])
            gap = float(self.means[cell] - self.means[first])
            pooled, parts = spread.variance / self.counts[pair], variances[pair] / self.counts[pair]
            welch = float(parts.sum() ** 2 / (parts**2 / degrees[pair]).sum())
            tests = (pooled, spread.degrees), (parts, welch)
            chances.append(max(2 * float(stdtr(n, -gap / math.sqrt(x.sum()))) for x, n in tests))
        return [True, *(p > NAMED for p in holm(chances))]


def drawn_losses(means: np.ndarray, variances: np.ndarray, degrees: int) -> np.ndarray:
    """Log losses that the configurations may have, shape ``(draws, configurations)``.

    A normal hierarchical model: true log losses scatter about their mean, by how much is drawn from
    its posterior under a flat prior (A. Gelman and others, "Bayesian Data Analysis", third edition,
    section 5.4). The variance between runs is drawn from its scaled inverse chi-square.
    """
    generator = np.random.default_rng(0)
    count = min(DRAWS, max(400, 4_000_000 // len(means)))
    widest = 4 * float(means.std()) + math.sqrt(float(variances.mean()))
    grid = np.linspace(0.0, widest, GRID)[:, None] ** 2
    weights = 1 / (grid + variances)
    centers = (weights * means).sum(axis=1) / weights.sum(axis=1)
    squares = (weights * (means - centers[:, None]) ** 2).sum(axis=1)
    chances = 0.5 * (np.log(weights).sum(axis=1) - np.log(weights.sum(axis=1)) - squares)
    chances = np.exp(chances - chances.max())
    place = generator.choice(GRID, size=count, p=chances / chances.sum())
    scale = degrees / generator.chisquare(degrees, size=(count, 1))
    between, noise = grid[place], variances * scale
    kept = between / (between + noise)
    error = np.sqrt(1 / (1 / (between + noise)).sum(axis=1, keepdims=True))
    center = centers[place][:, None] + error * generator.standard_normal((count, 1))
    own = np.sqrt(kept * noise) * generator.standard_normal((count, len(means)))
    return kept * means + (1 - kept) * center + own
