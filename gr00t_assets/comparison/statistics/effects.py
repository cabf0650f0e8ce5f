"""Effects: what the runs of one class say of one factor, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import computed_field

from gr00t_assets.comparison.run import RunIds
from gr00t_assets.comparison.statistics.linear_model import LEVEL
from gr00t_assets.comparison.statistics.pairs import Pair
from gr00t_assets.comparison.statistics.spread import Spread

ALPHA = 1 - LEVEL
"""Chance of one false effect that is put up with in a whole report."""

FEWEST_DEGREES = 3
"""With fewer degrees of freedom an effect that is not shown is open, not small."""

Verdict = Literal["controlled", "within_noise", "inconclusive", "confounded", "not_comparable"]
"""What the runs say of a factor: that it has an effect beyond noise with all else equal, that
noise explains what is seen, that the noise is not known or the runs are too few, that something
else changed with it, or that no two finished runs of one class differ in it."""


@dataclass(frozen=True)
class LevelEstimate:
    """The loss at one value of a factor, the other factors at their average.

    Attributes:
        interval: At 95 percent, between runs; None where no spread is known.
    """

    value: object
    loss: float
    interval: tuple[float, float] | None
    runs: RunIds


@dataclass(frozen=True)
class SimpleEffect:
    """The effect of a factor at one value of the factor that it depends on.

    Attributes:
        ratio: Loss at the highest value of the factor over that at the lowest.
        p_adjusted: By Holm's procedure over the values.
    """

    value: object
    ratio: float
    interval: tuple[float, float]
    p_adjusted: float

    @property
    def shown(self) -> bool:
        """Whether it is more than noise."""
        return self.p_adjusted <= ALPHA


@dataclass(frozen=True)
class Effect:
    """What one class says of one factor.

    Attributes:
        low: The lowest value of the factor among the runs that could be compared, and ``high`` the
            highest; of words the first and the last in their order.
        ratio: Loss at ``high`` over loss at ``low``, with its interval at 95 percent; None where
            nothing can be estimated.
        p: Of the hypothesis that the factor does nothing; ``p_adjusted`` by Holm's procedure over
            the whole report, and the smaller one of it and of the interaction that is shown.
        levels: The losses at each value.
        lower: By value of the factor the values whose loss is higher by more than noise.
        depends_on: The factor that its effect depends on, with the effects ``at`` its values.
        interaction_p: Of the hypothesis that it does not, adjusted.
        confounders: Factors that changed with it.
        pair: Two configurations that differ in it and in as little else as there is.
        needed: Where no spread is known: the effect would count if two runs of one configuration
            differed by less than this, as a log ratio.
        clean: Whether all its levels were compared at equal values of every other factor, so that
            nothing rests on the form of the model.
        single: Values that ran once where others were repeated, and took no part.
    """

    factor: str
    class_id: str
    verdict: Verdict
    spread: Spread
    low: object = None
    high: object = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    p_adjusted: float | None = None
    levels: tuple[LevelEstimate, ...] = ()
    lower: Mapping[Any, tuple[object, ...]] = field(default_factory=dict)
    depends_on: str | None = None
    interaction_p: float | None = None
    at: tuple[SimpleEffect, ...] = ()
    confounders: tuple[str, ...] = ()
    pair: Pair | None = None
    needed: float | None = None
    clean: bool = False
    single: tuple[object, ...] = ()
    runs: RunIds = ()

    @computed_field
    @property
    def percent(self) -> float | None:
        """The effect in percent of the loss at ``low``."""
        return None if self.ratio is None else 100 * (self.ratio - 1)


def holm(chances: Sequence[float]) -> list[float]:
    """Adjusted p-values; statsmodels' own function collects garbage, a tenth of a second a call.

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(chances, kind="stable")
    scaled = np.asarray(chances)[order] * np.arange(len(chances), 0, -1)
    adjusted = np.empty(len(chances))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(scaled))
    return adjusted.tolist()
