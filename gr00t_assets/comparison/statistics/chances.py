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


def adjusted_means(rows: Sequence[Observation], cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean log loss of each configuration, what seeds add to all of them taken out.

    Also the columns of the seeds, shape ``(n, seeds - 1)``.
    """
    place = np.array([row.cell for row in rows])
    losses = np.array([row.log_loss for row in rows])
    columns = seed_columns([row.seed for row in rows], [row.cell for row in rows])
    if not columns.shape[1]:
        return np.bincount(place, losses, cells) / np.bincount(place, minlength=cells), columns
    dummies = np.eye(cells)[place]
    columns = independent(columns, dummies)
    solution, *_ = np.linalg.lstsq(np.hstack([dummies, columns]), losses, rcond=None)
    return solution[:cells], columns


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


def paired_spread(
    rows: Sequence[Observation], means: np.ndarray, seeds: np.ndarray, spread: Spread
) -> Spread:
    """The spread of differences between configurations: without what seeds add to all of them.

    Args:
        rows: The observations.
        means: Of each configuration, shape ``(configurations,)``.
        seeds: Columns of common seeds, shape ``(n, seeds - 1)``.
        spread: What is taken where there are none, or too few degrees of freedom.
    """
    degrees = len(rows) - len(means) - seeds.shape[1]
    if not seeds.shape[1] or degrees < ENOUGH_REPEATS:
        return spread
    left = _residuals(rows, means, seeds)
    deviation = max(SMALLEST_SPREAD, math.sqrt(float(left @ left) / degrees))
    return Spread(deviation, degrees, spread.source, spread.runs)


def tied_with_first(
    rows: Sequence[Observation],
    means: np.ndarray,
    seeds: np.ndarray,
    spread: Spread,
    order: np.ndarray,
) -> list[bool]:
    """Whether each configuration, in the order of means, cannot be told from the first one.

    Tests with the spread of the class; where both ran three times also Welch's, with their own
    variances; the larger p counts, adjusted by Holm's procedure.
    """
    from scipy.special import stdtr

    cells = np.array([row.cell for row in rows])
    left = _residuals(rows, means, seeds)
    degrees, deviation = spread.degrees, spread.deviation or 0.0
    counts = np.bincount(cells, minlength=len(means))
    squares = np.bincount(cells, left**2, len(means))
    first, chances = int(order[0]), []
    for cell in order[1:]:
        gap = float(means[cell] - means[first])
        variance = max(1e-18, deviation**2 * (1 / counts[cell] + 1 / counts[first]))
        p = 2 * float(stdtr(degrees, -gap / math.sqrt(variance)))
        if min(counts[cell], counts[first]) >= ENOUGH_REPEATS:
            pair = np.array([cell, first])
            own = counts[pair] - 1
            parts = np.maximum(1e-18, squares[pair] / own / counts[pair])
            welch = float(parts.sum() ** 2 / (parts**2 / own).sum())
            p = max(p, 2 * float(stdtr(welch, -gap / math.sqrt(parts.sum()))))
        chances.append(p)
    return [True, *(p > NAMED for p in holm(chances))]


def _residuals(rows: Sequence[Observation], means: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    left = np.array([row.log_loss - means[row.cell] for row in rows])
    if not seeds.shape[1]:
        return left
    solution, *_ = np.linalg.lstsq(seeds, left, rcond=None)
    return left - seeds @ solution
