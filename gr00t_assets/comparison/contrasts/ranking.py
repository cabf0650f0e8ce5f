"""Comparability classes and the order of configurations within one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gr00t_assets.comparison.contrasts.factors import configurations
from gr00t_assets.comparison.contrasts.noise import (
    LEVEL,
    end_level,
    holm_levels,
    quantiles,
    spread_of,
    tails,
)
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Frames, Run, RunIds, trainable_parts

LARGEST_HALF = 600.0
"""Of an interval of log losses; with more of them nothing is known, and ``exp`` overflows."""


@dataclass(frozen=True)
class RankedConfiguration:
    """A configuration's place in its class.

    Attributes:
        place: From 1; the lowest loss.
        loss: Geometric mean over replicates; its standard error has both kinds of noise in it.
        interval: Of the loss at 95 percent; None where its noise cannot be told.
        tied_with_best: Whether it cannot be told from the configuration in the first place, which
            is always so for that one. The comparisons of one class are adjusted together.
    """

    place: int
    runs: RunIds
    loss: Loss
    interval: tuple[float, float] | None
    tied_with_best: bool

    @property
    def run(self) -> Run:
        """The first of the replicates."""
        return self.runs[0]

    @property
    def tied(self) -> bool:
        """Whether it cannot be told from the best, and is not it."""
        return self.tied_with_best and self.place > 1


@dataclass(frozen=True)
class ComparabilityClass:
    """Runs whose losses may be set side by side: equal data, frames and trainable parts."""

    runs: tuple[Run, ...]

    @property
    def comparability(self) -> dict[str, str]:
        """What they have in common, by name."""
        return self.runs[0].comparability

    @property
    def frames(self) -> Frames:
        """Whether the images that they trained on are known to be the right ones."""
        return self.runs[0].frames

    @cached_property
    def id(self) -> str:
        """What it is called by, 6 hex digits."""
        return self.runs[0].class_id

    @property
    def finished(self) -> tuple[Run, ...]:
        """Those that are ranked."""
        return tuple(run for run in self.runs if run.finished)

    @cached_property
    def ranking(self) -> tuple[RankedConfiguration, ...]:
        """The configurations with a finished run, lowest loss first."""
        return tuple(_ranking(self.runs))


@dataclass(frozen=True)
class RankedRun:
    """A run with the place of its configuration in its class; None where it is not ranked."""

    run: Run
    place: RankedConfiguration | None = None


def comparability_classes(runs: Sequence[Run]) -> list[ComparabilityClass]:
    """The classes of runs; with verified frames first, then those with more finished runs.

    A run that is missing is in none: what it would be trained on may change.
    Losses have no say in the order: those of two classes say nothing of each other.
    """
    groups: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        if run.status == "missing":
            continue
        groups.setdefault((run.comparable, trainable_parts(run.settings)), []).append(run)
    classes = [ComparabilityClass(tuple(members)) for members in groups.values()]
    return sorted(classes, key=lambda item: (item.frames != "verified", -len(item.finished)))


def ranked_runs(classes: Sequence[ComparabilityClass], runs: Sequence[Run] = ()) -> list[RankedRun]:
    """The ranked runs class by class, lowest loss first; after them the others in their order."""
    ranked = [
        RankedRun(run, place) for item in classes for place in item.ranking for run in place.runs
    ]
    placed = {id(row.run) for row in ranked}
    return ranked + [RankedRun(run) for run in runs if id(run) not in placed]


def differing(classes: Sequence[ComparabilityClass]) -> list[str]:
    """The fewest names, in their order, whose values tell the classes apart."""
    names = dict.fromkeys(name for item in classes for name in item.comparability)
    chosen: list[str] = []
    distinct = 1
    for name in names:
        values = {
            tuple(item.comparability.get(other) for other in [*chosen, name]) for item in classes
        }
        if len(values) > distinct:
            chosen.append(name)
            distinct = len(values)
    return chosen


def _ranking(runs: Sequence[Run]) -> list[RankedConfiguration]:
    members = configurations(runs)
    if not members:
        return []
    spread = spread_of(members)
    ordered = sorted(((end_level(item), item) for item in members), key=lambda pair: pair[0].mean)
    means = np.array([level.mean for level, _ in ordered])
    variances = np.array([level.variance(spread) for level, _ in ordered])
    degrees = np.full(len(ordered), spread.degrees)
    halves = quantiles(degrees, np.full(len(ordered), (1 - LEVEL) / 2)) * np.sqrt(variances)
    errors = np.sqrt(np.maximum(variances[1:] + variances[0], 1e-18))
    chances = 2 * tails(degrees[1:], (means[1:] - means[0]) / errors)
    tied = [True, *(chances > holm_levels(chances, 1 - LEVEL))]
    ranking = []
    for place, ((_, item), mean, variance, half) in enumerate(
        zip(ordered, means.tolist(), variances.tolist(), halves.tolist(), strict=True)
    ):
        losses = [run.loss for run in item.runs if run.loss]
        error = math.exp(mean) * math.sqrt(variance) if math.isfinite(variance) else None
        loss = Loss(math.exp(mean), error, sum(loss.samples for loss in losses), losses[0].kind)
        interval = (math.exp(mean - half), math.exp(mean + half)) if half < LARGEST_HALF else None
        ranking.append(RankedConfiguration(place + 1, item.runs, loss, interval, bool(tied[place])))
    return ranking
