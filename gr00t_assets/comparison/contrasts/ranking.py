"""Comparability classes and the order of configurations within one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gr00t_assets.comparison.contrasts.factors import Configuration, configurations
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


@dataclass(frozen=True)
class RankedConfiguration:
    """A configuration's place in its class.

    Attributes:
        place: From 1; the lowest loss.
        runs: The replicates.
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
    """Runs whose losses may be set side by side: equal data, frames and trainable parts.

    Attributes:
        runs: Of any status, in the order in which they came.
    """

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
    """A run with its place; without one where it is not ranked.

    Attributes:
        run: The run.
        place: Its configuration in the ranking of its class.
    """

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
    """The ranked runs class by class, lowest loss first, and after them the other runs.

    Args:
        classes: The classes.
        runs: All runs in the order in which those without a place follow.
    """
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
    ordered = configurations(runs)
    if not ordered:
        return []
    spread = spread_of(ordered)
    levels = {id(item): end_level(item) for item in ordered}
    ordered.sort(key=lambda item: levels[id(item)].mean)
    means = np.array([levels[id(item)].mean for item in ordered])
    variances = np.array([levels[id(item)].variance(spread) for item in ordered])
    degrees = np.full(len(ordered), spread.degrees)
    halves = quantiles(degrees, np.full(len(ordered), (1 - LEVEL) / 2)) * np.sqrt(variances)
    tied = _tied(means, variances, spread.degrees)
    return [
        RankedConfiguration(
            place=place,
            runs=item.runs,
            loss=_pooled_loss(item, mean, math.sqrt(variance)),
            interval=(math.exp(mean - half), math.exp(mean + half)) if half < math.inf else None,
            tied_with_best=bool(same),
        )
        for place, (item, mean, variance, half, same) in enumerate(
            zip(ordered, means.tolist(), variances.tolist(), halves.tolist(), tied, strict=True), 1
        )
    ]


def _tied(means: np.ndarray, variances: np.ndarray, degrees: int) -> np.ndarray:
    errors = np.sqrt(np.maximum(variances[1:] + variances[0], 1e-18))
    chances = 2 * tails(np.full(len(errors), degrees), (means[1:] - means[0]) / errors)
    return np.concatenate([[True], chances > holm_levels(chances, 1 - LEVEL)])


def _pooled_loss(item: Configuration, log_mean: float, log_error: float) -> Loss:
    losses = [run.loss for run in item.runs if run.loss]
    mean = math.exp(log_mean)
    error = mean * log_error if log_error < math.inf else None
    return Loss(mean, error, sum(loss.samples for loss in losses), losses[0].kind)
