"""The chance of each configuration to be the best, and which cannot be told from the first."""

import math
from collections.abc import Sequence

import numpy as np

from gr00t_assets.comparison.statistics.design import independent, seed_columns
from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.comparison.statistics.spread import SMALLEST_SPREAD, Observation, Spread

NAMED = 0.03
"""Chance that one of two equally good configurations is named the best."""

GRID = 60
"""Standard deviations between configurations that are drawn from."""

DRAWS = 4000
"""Of the losses that the configurations may really have."""

ENOUGH_REPEATS = 3
"""Runs of a configuration, or degrees of freedom, from which its own variance is looked at."""


class AdjustedMeans:
    """Mean log loss of each configuration, what seeds add to all of them taken out.

    Attributes:
        means: Shape ``(configurations,)``, as are the ``counts`` of observations.
        seeds: Columns of common seeds, shape ``(n, seeds - 1)``.
        residuals: Shape ``(n,)``.
    """

    def __init__(self, rows: Sequence[Observation], configurations: int) -> None:
        self.cells = np.array([row.cell for row in rows])
        losses = np.array([row.log_loss for row in rows])
        self.counts = np.bincount(self.cells, minlength=configurations)
        self.means = np.bincount(self.cells, losses, configurations) / self.counts
        self.seeds = seed_columns([row.seed for row in rows], [row.cell for row in rows])
        if self.seeds.shape[1]:
            dummies = np.eye(configurations)[self.cells]
            self.seeds = independent(self.seeds, dummies)
            solution, *_ = np.linalg.lstsq(np.hstack([dummies, self.seeds]), losses, rcond=None)
            self.means = solution[:configurations]
        self.residuals = losses - self.means[self.cells]
        if self.seeds.shape[1]:
            solution, *_ = np.linalg.lstsq(self.seeds, self.residuals, rcond=None)
            self.residuals -= self.seeds @ solution

    def paired_spread(self, spread: Spread) -> Spread:
        """That of differences between configurations: without what seeds add to all of them.

        ``spread`` where there are no common seeds, or too few degrees of freedom.
        """
        degrees = len(self.cells) - len(self.means) - self.seeds.shape[1]
        if not self.seeds.shape[1] or degrees < ENOUGH_REPEATS:
            return spread
        deviation = math.sqrt(float(self.residuals @ self.residuals) / degrees)
        return Spread(max(SMALLEST_SPREAD, deviation), degrees, spread.source, spread.runs)

    def tied_with_first(self, spread: Spread, order: np.ndarray) -> list[bool]:
        """Whether each configuration, in the order of means, cannot be told from the first one.

        Tests with the spread of the class; where both ran three times also Welch's, with their own
        variances; the larger p counts, adjusted by Holm's procedure.
        """
        from scipy.special import stdtr

        counts, squares = self.counts, np.bincount(self.cells, self.residuals**2, len(self.means))
        first, chances = int(order[0]), []
        for cell in order[1:]:
            gap = float(self.means[cell] - self.means[first])
            variance = max(1e-18, spread.variance * (1 / counts[cell] + 1 / counts[first]))
            p = 2 * float(stdtr(spread.degrees, -gap / math.sqrt(variance)))
            if min(counts[cell], counts[first]) >= ENOUGH_REPEATS:
                pair = np.array([cell, first])
                own = counts[pair] - 1
                parts = np.maximum(1e-18, squares[pair] / own / counts[pair])
                welch = float(parts.sum() ** 2 / (parts**2 / own).sum())
                p = max(p, 2 * float(stdtr(welch, -gap / math.sqrt(parts.sum()))))
            chances.append(p)
        return [True, *(p > NAMED for p in holm(chances))]


def drawn_losses(means: np.ndarray, variances: np.ndarray, degrees: int) -> np.ndarray:
    """Log losses that the configurations may have, shape ``(draws, configurations)``.

    A normal hierarchical model: true log losses scatter about their mean, by how much is drawn from
    its posterior under a flat prior (A. Gelman and others, "Bayesian Data Analysis", third edition,
    section 5.4). The variance between runs is drawn from its scaled inverse chi-square
    distribution, so that few degrees of freedom give heavy tails.
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
