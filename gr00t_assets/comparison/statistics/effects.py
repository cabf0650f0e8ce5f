"""What the runs of one class say of a factor: pairs that differ in it, effects, verdicts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any, Literal

import numpy as np
from pydantic import computed_field

from gr00t_assets.comparison.run import TRAINABLE_PARTS, Change, Run, grouped
from gr00t_assets.comparison.statistics.factors import (
    Configuration,
    Spread,
    known_factors,
    order_of,
    samples_are_equal,
)
from gr00t_assets.comparison.statistics.linear_model import LEVEL

MOST_CANDIDATES = 4000  # Pairs that are looked at for the nearest ones


@dataclass(frozen=True)
class Pair:
    """Two configurations that differ in the factor that is asked about."""

    factor: str
    low: tuple[Run, ...]  # Of the lower value, or of the first one where values have no order
    high: tuple[Run, ...]
    changes: tuple[Change, ...]  # All that differs, the factor first, then the other material ones
    ratio: float  # Loss of ``high`` over that of ``low``

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of all runs, low ones first."""
        return tuple(run.run_id for run in (*self.low, *self.high))

    @property
    def within_noise(self) -> bool:
        """Whether the noise within the runs alone explains the difference."""
        errors = []
        for runs in (self.low, self.high):
            for loss in filter(None, (run.loss for run in runs)):
                if loss.standard_error is None:
                    return False
                errors.append(loss.standard_error / loss.mean / len(runs))
        return abs(math.log(self.ratio)) <= 1.96 * math.hypot(*errors)

    @property
    def equal_samples(self) -> tuple[int, float] | None:
        """Samples that both had seen and the losses' ratio there; None if equal at their end."""
        if not any(change.factor == "samples_seen" for change in self.changes):
            return None
        seen = min((run.samples_seen or 0 for run in (*self.low, *self.high)), default=0)
        means = []
        for runs in (self.low, self.high):
            losses = [loss.mean for x in runs if x.curve and (loss := x.curve.loss_at(seen))]
            if not seen or len(losses) < len(runs):
                return None
            means.append(sum(map(math.log, losses)) / len(losses))
        return seen, math.exp(means[1] - means[0])

    @computed_field
    @property
    def confounders(self) -> tuple[str, ...]:
        """Material factors that changed besides the one asked about, and are not implied."""
        others = (item for item in self.changes if item.material and not item.implied)
        return tuple(item.factor for item in others if item.factor != self.factor)


def nearest_pairs(members: Sequence[Configuration], factor: str) -> list[Pair]:
    """The pairs of two values with the fewest other changes, nearest first, then furthest apart.

    Pairs that differ in trained parts come last. Of many values only neighbours are paired.
    """
    by_value = grouped(members, lambda item: item.value(factor))
    known = [value for value in by_value if value is not None]
    values = sorted(known, key=lambda value: order_of(factor, value))
    names = [name for name in _names(members) if len({x.value(name) for x in members}) > 1]
    pairs = []
    for place, value in enumerate(values):
        for other in values[place + 1 : None if len(values) <= 12 else place + 2]:
            sides = islice(product(by_value[value], by_value[other]), MOST_CANDIDATES)
            candidates = [_pair(low, high, factor, names) for low, high in sides]
            pairs.append(min(candidates, key=_distance))
    return sorted(pairs, key=_distance)


def _pair(low: Configuration, high: Configuration, factor: str, names: Sequence[str]) -> Pair:
    ratio = math.exp(high.log_loss - low.log_loss)
    return Pair(factor, low.runs, high.runs, changes(low, high, factor, names), ratio)


def _names(members: Iterable[Configuration]) -> list[str]:
    """Names of everything that may differ between configurations, samples seen left out."""
    every = (name for item in members for name in (*item.material, *item.first.settings))
    return [name for name in dict.fromkeys(every) if name not in TRAINABLE_PARTS]


def _distance(pair: Pair) -> tuple[bool, int, float, float]:
    others = [change for change in pair.changes if change.factor in pair.confounders]
    width = sum(1.0 if change.width is None else change.width for change in others)
    return ("trainable_parts" in pair.confounders, len(others), width, -abs(math.log(pair.ratio)))


def changes(
    low: Configuration, high: Configuration, factor: str, names: Iterable[str] | None = None
) -> tuple[Change, ...]:
    """All that differs between two configurations, in ``names`` or any, the factor first."""
    equal = samples_are_equal(low, high)
    implied = {"max_steps": "samples_seen", "samples_seen": "max_steps"}.get(factor)
    if factor == "batch_size" and equal:
        implied = "max_steps"
    names = _names([low, high]) if names is None else names
    differing = [name for name in names if low.value(name) != high.value(name)]
    material = {factor, "samples_seen", *low.material, *high.material}
    pairs = [
        Change(name, low.value(name), high.value(name), name in material, name == implied)
        for name in (*differing, *(() if equal else ("samples_seen",)))
    ]
    order = {name: place for place, name in enumerate(known_factors())}

    def rank(item: Change) -> tuple[object, ...]:
        place = order.get(item.factor, len(order))
        return item.factor != factor, not item.material, item.implied, place, item.factor

    return tuple(sorted(pairs, key=rank))


ALPHA = 1 - LEVEL  # Chance of one false effect that is put up with in a whole report
FEWEST_DEGREES = 3  # With fewer degrees of freedom an effect that is not shown is open, not small

Verdict = Literal["controlled", "within_noise", "inconclusive", "confounded", "not_comparable"]
"""What the runs say of a factor: that it has an effect beyond noise with all else equal, that
noise explains what is seen, that the noise is not known or the runs are too few, that something
else changed with it, or that no two finished runs of one class differ in it."""


@dataclass(frozen=True)
class LevelEstimate:
    """The loss at one value of a factor, the other factors at their average."""

    value: object
    loss: float
    interval: tuple[float, float] | None  # At 95 percent, between runs; None: no spread is known
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class SimpleEffect:
    """The effect of a factor at one value of the factor that it depends on."""

    value: object
    ratio: float  # Loss at the highest value of the factor over that at the lowest
    interval: tuple[float, float]
    p_adjusted: float  # By Holm's procedure over the values

    @property
    def shown(self) -> bool:
        """Whether it is more than noise."""
        return self.p_adjusted <= ALPHA


@dataclass(frozen=True)
class Effect:
    """What one class says of one factor."""

    factor: str
    class_id: str
    verdict: Verdict
    spread: Spread
    low: object = None  # Lowest value that could be compared, of words the first
    high: object = None  # Highest value, of words the last
    ratio: float | None = None  # Loss at ``high`` over loss at ``low``; None: not estimated
    interval: tuple[float, float] | None = None  # Of it at 95 percent
    p: float | None = None  # Of the hypothesis that the factor does nothing
    p_adjusted: float | None = None  # By Holm over the whole report; the interaction's if smaller
    levels: tuple[LevelEstimate, ...] = ()  # The losses at each value
    lower: Mapping[Any, tuple[object, ...]] = field(default_factory=dict)  # Values with more loss
    depends_on: str | None = None  # The factor that its effect depends on
    interaction_p: float | None = None  # Of the hypothesis that it does not, adjusted
    at: tuple[SimpleEffect, ...] = ()  # The effects at its values
    confounders: tuple[str, ...] = ()  # Factors that changed with it
    pair: Pair | None = None  # Configurations that differ in it and as little else as there is
    needed: float | None = None  # Without a spread: it would count below this one, a log ratio
    clean: bool = False  # All levels met at equal values of all else: no form of a model counts
    single: tuple[object, ...] = ()  # Values that ran once where others were repeated, left out
    runs: tuple[Run, ...] = ()

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
