"""Pairs of configurations that differ in a factor, with all else that differs between them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product

from pydantic import computed_field

from gr00t_assets.comparison.run import Change, RunIds
from gr00t_assets.comparison.statistics.factors import (
    Configuration,
    known_factors,
    order_of,
    samples_are_equal,
    setting_names,
)

MOST_CANDIDATES = 4000
"""Pairs that are looked at for the nearest ones."""


@dataclass(frozen=True)
class Pair:
    """Two configurations that differ in the factor that is asked about.

    Attributes:
        low: Runs of the lower value, or of the first one where values have no order.
        changes: Everything that differs, the factor first, then the other material ones.
        ratio: Loss of ``high`` over that of ``low``.
    """

    factor: str
    low: RunIds
    high: RunIds
    changes: tuple[Change, ...]
    ratio: float

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of all runs, low ones first."""
        return tuple(run.run_id for run in (*self.low, *self.high))

    @property
    def within_noise(self) -> bool:
        """Whether the noise within the runs alone explains the difference."""
        error = 0.0
        for runs in (self.low, self.high):
            losses = [run.loss for run in runs if run.loss]
            errors = [x.standard_error / x.mean for x in losses if x.standard_error is not None]
            if len(errors) < len(losses):
                return False
            error = math.hypot(error, *(item / len(errors) for item in errors))
        return abs(math.log(self.ratio)) <= 1.96 * error

    @property
    def equal_samples(self) -> tuple[int, float] | None:
        """The samples that both had seen, and the ratio of the losses there.

        None where they saw equally many at their end, or where a run has no curve.
        """
        if not any(change.factor == "samples_seen" for change in self.changes):
            return None
        seen = min((run.samples_seen or 0 for run in (*self.low, *self.high)), default=0)
        means = []
        for runs in (self.low, self.high):
            losses = [loss.mean for run in runs if (loss := run.loss_at(seen)) is not None]
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


def nearest_pair(members: Sequence[Configuration], factor: str) -> Pair | None:
    """The pair with the fewest other changes; of several the one that is furthest apart."""
    return next(iter(nearest_pairs(members, factor)), None)


def nearest_pairs(members: Sequence[Configuration], factor: str) -> list[Pair]:
    """The pairs of neighbouring values that have the fewest other changes, nearest first.

    Losses of runs that were given other trainable parts come last.
    """
    by_value: dict[object, list[Configuration]] = {}
    for item in members:
        if (value := item.value(factor)) is not None:
            by_value.setdefault(value, []).append(item)
    values = sorted(by_value, key=lambda value: order_of(factor, value))
    names = [
        name
        for name in setting_names(members)
        if any(item.value(name) != members[0].value(name) for item in members)
    ]
    pairs = []
    for place, value in enumerate(values):
        for other in values[place + 1 :] if len(values) <= 12 else values[place + 1 : place + 2]:
            candidates = islice(product(by_value[value], by_value[other]), MOST_CANDIDATES)
            found = []
            for low, high in candidates:
                ratio = math.exp(high.log_loss - low.log_loss)
                differ = changes(low, high, factor, names)
                found.append(Pair(factor, low.runs, high.runs, differ, ratio))
            pairs.append(min(found, key=_distance))
    return sorted(pairs, key=_distance)


def _distance(pair: Pair) -> tuple[bool, int, float, float]:
    others = [change for change in pair.changes if change.factor in pair.confounders]
    width = sum(1.0 if change.width is None else change.width for change in others)
    return ("trainable_parts" in pair.confounders, len(others), width, -abs(math.log(pair.ratio)))


def changes(
    low: Configuration, high: Configuration, factor: str, names: Iterable[str] | None = None
) -> tuple[Change, ...]:
    """Everything that differs between two configurations of the same data and frames.

    The change of the factor that is asked about comes first. ``names`` are the settings that may
    differ, all of both sides where left out.
    """
    found = []
    for name in names if names is not None else setting_names([low, high]):
        before, after = low.value(name), high.value(name)
        if before != after:
            material = name == factor or name in low.material or name in high.material
            found.append(Change(name, before, after, material))
    equal = samples_are_equal(low, high)
    if not equal:
        before, after = low.value("samples_seen"), high.value("samples_seen")
        found.append(Change("samples_seen", before, after))
    implied = {"max_steps": "samples_seen", "samples_seen": "max_steps"}.get(factor)
    if factor == "batch_size" and equal:
        implied = "max_steps"
    order = {name: place for place, name in enumerate(known_factors())}

    def rank(item: Change) -> tuple[object, ...]:
        place = order.get(item.factor, len(order))
        return item.factor != factor, not item.material, item.implied, place, item.factor

    marked = (replace(item, implied=item.factor == implied) for item in found)
    return tuple(sorted(marked, key=rank))
