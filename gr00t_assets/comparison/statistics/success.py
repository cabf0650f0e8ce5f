"""Tests of success counts: two policies, many of them, looking as often as one likes; how many
rollouts tell a difference. Plain functions on counts.
"""

import math
from collections.abc import Sequence

import numpy as np

from gr00t_assets.evaluation.intervals import SuccessRate

LEVEL = 0.05

MOST_EXACT = 400
"""Episodes of a side up to which Barnard's test takes under a second; above, the score test."""

MOST_ROLLOUTS = 5000
"""Of a side; a difference that needs more is called too small to be settled."""

MIXTURE = 2.0
"""Both parameters of the sequential test's Beta mixture, for differences near 20 of 100."""


def barnard(first: SuccessRate, second: SuccessRate) -> float:
    """p value of Barnard's exact test (Nature 156, 1945) with the pooled score statistic.

    Above ``MOST_EXACT`` episodes of a side that of the score test itself.

    Examples:
        >>> first, second = (SuccessRate(successes=count, episodes=15) for count in (7, 12))
        >>> round(barnard(first, second), 3)
        0.068
    """
    from scipy.stats import barnard_exact, norm

    sides = (first, second)
    pooled = sum(side.successes for side in sides) / max(1, sum(side.episodes for side in sides))
    if not 0 < pooled < 1 or not (first.episodes and second.episodes):
        return 1.0
    if max(side.episodes for side in sides) > MOST_EXACT:
        error = math.sqrt(pooled * (1 - pooled) * sum(1 / side.episodes for side in sides))
        return float(2 * norm.sf(abs(first.rate - second.rate) / error))
    table = [[side.successes for side in sides],
             [side.episodes - side.successes for side in sides]]  # fmt: skip
    return float(barnard_exact(table).pvalue)


def mcnemar(better: int, worse: int) -> float:
    """p value of McNemar's exact test: episodes in which one policy alone succeeded.

    Examples:
        >>> round(mcnemar(9, 1), 4), mcnemar(0, 0)
        (0.0215, 1.0)
    """
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def sequential_p(steps: Sequence[int]) -> float:
    """p value that holds its level at any number of looks.

    ``steps`` are 1, -1 or 0 for each pair of episodes in the order in which they ran: the second
    policy alone succeeded, the first alone, or both did alike. Without a difference a pair that
    differs is a fair coin, so that the likelihood ratio of a Beta mixture of coins against the fair
    one is a martingale (Robbins, Annals of Mathematical Statistics 41, 1970); by Ville's inequality
    it ever reaches ``1 / p`` with a chance of at most p.

    Examples:
        >>> round(sequential_p([1] * 9), 3), sequential_p([0, 0, 1, -1])
        (0.043, 1.0)
    """
    from scipy.special import betaln

    values = np.asarray(steps, dtype=int)
    better, worse = np.cumsum(values > 0), np.cumsum(values < 0)
    ratios = betaln(MIXTURE + better, MIXTURE + worse) - betaln(MIXTURE, MIXTURE)
    ratios = ratios + (better + worse) * math.log(2)
    return math.exp(-max(0.0, float(ratios.max(initial=0.0))))


def rollouts_needed(first: float, second: float, power: float = 0.8) -> int | None:
    """Episodes a side with which two rates are told apart at 5 percent, independent of each other.

    By the normal approximation (Fleiss, Statistical Methods for Rates and Proportions, 1981).

    Examples:
        >>> [rollouts_needed(*rates) for rates in ((0.5, 0.7), (0.8, 0.9), (0.85, 0.9))]
        [93, 199, 686]
    """
    from scipy.special import ndtri

    if first == second:
        return None
    mean = (first + second) / 2
    null = float(ndtri(1 - LEVEL / 2)) * math.sqrt(2 * mean * (1 - mean))
    other = float(ndtri(power)) * math.sqrt(first * (1 - first) + second * (1 - second))
    needed = math.ceil(((null + other) / (first - second)) ** 2)
    return needed if needed <= MOST_ROLLOUTS else None


def holm(p_values: Sequence[float]) -> list[float]:
    """p values by Holm: all of them hold together at 5 percent."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return []
    return np.asarray(multipletests(p_values, method="holm")[1]).tolist()
