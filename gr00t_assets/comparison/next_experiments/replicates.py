"""How often a pair has to be repeated before its difference can be told from noise."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.noise import Spread, log_error
from gr00t_assets.comparison.contrasts.observation import Observation

MOST = 5
"""Runs of one configuration at most: what five cannot show is too small to be worth more."""


class Replicates(NamedTuple):
    """How many runs a contrast needs.

    Attributes:
        each: Runs of either configuration, those that there are included.
        enough: Whether so many would show the difference that was seen, were it real.
        visible: Smallest ratio of the losses that so many would show, above 1.
    """

    each: int
    enough: bool
    visible: float


def needed(contrast: Contrast, spread: Spread) -> Replicates:
    """Runs of either side from the run-to-run spread and the effect, on the log of the loss.

    With ``s`` the standard deviation of one run, both kinds of noise in it, ``n`` runs a side show
    an effect of ``t(0.975, 2 n - 2) * s * sqrt(2 / n)``.

    Args:
        contrast: A clean one.
        spread: Between runs of one configuration in this class, measured or assumed.
    """
    single = _deviation(contrast, spread)
    effect = abs(math.log(contrast.ratio)) if contrast.ratio else 0.0
    for each in range(2, MOST + 1):
        if effect > _visible(single, each):
            return Replicates(each, True, math.exp(_visible(single, each)))
    return Replicates(MOST, False, math.exp(_visible(single, MOST)))


def fresh_seeds(runs: Sequence[Observation], count: int) -> list[int]:
    """The lowest seeds from 1 that none of the runs has."""
    taken = {run.settings.get("seed", 42) for run in runs}
    seeds = (seed for seed in range(1, count + len(taken) + 1) if seed not in taken)
    return [next(seeds) for _ in range(count)]


def _visible(single: float, each: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, 2 * each - 2)) * single * math.sqrt(2 / each)


def _deviation(contrast: Contrast, spread: Spread) -> float:
    """Standard deviation of the log loss of one run, over both sides."""
    losses = [run.loss for run in (*contrast.low, *contrast.high) if run.loss]
    variances = [spread.variance(log_error(loss) ** 2) for loss in losses]
    return math.sqrt(sum(variances) / len(variances))
