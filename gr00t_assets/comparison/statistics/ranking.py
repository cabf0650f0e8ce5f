"""Comparability classes, the order of configurations within one, and the chance to be the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Frames, Run, grouped, trainable_parts
from gr00t_assets.comparison.statistics import factors
from gr00t_assets.comparison.statistics.chances import ENOUGH_REPEATS, AdjustedMeans, drawn_losses
from gr00t_assets.comparison.statistics.linear_model import LEVEL
from gr00t_assets.comparison.statistics.questions import additive_question
from gr00t_assets.evaluation.intervals import student_t

BAND = 0.05  # Losses no further apart than this share are equally good for most purposes
LARGEST_HALF = 600.0  # Of an interval of log losses: beyond it ``exp`` overflows


@dataclass(frozen=True)
class RankedConfiguration:
    """A configuration's place in its class, from 1 for the lowest loss."""

    place: int
    runs: tuple[Run, ...]
    loss: Loss  # Geometric mean over seeds; its error is that between runs, else that within them
    interval: tuple[float, float] | None = None  # Of the loss at 95 percent, between runs
    expected: float | None = None  # In new runs, drawn towards the others: the lowest is lucky
    expected_interval: tuple[float, float] | None = None
    chance_best: float | None = None  # That no configuration of the class has a lower loss
    chance_good: float | None = None  # That its loss is at most the band above the lowest
    finished: int = 1  # Number of its runs that finished
    started: int = 1  # Of those that were begun
    failed: int = 0  # With any it is not called the best
    tied_with_best: bool = True  # Whether it cannot be told from the first; so for that one

    @property
    def run(self) -> Run:
        """The first of the replicates."""
        return self.runs[0]

    @property
    def tied(self) -> bool:
        """Whether it cannot be told from the best, and is not it."""
        return self.tied_with_best and self.place > 1

    @property
    def survivors(self) -> str:
        """``2 of 5 finished``; '' where no run failed."""
        return f"{self.finished} of {self.started} finished" if self.failed else ""


@dataclass(frozen=True)
class ComparabilityClass:
    """Runs whose losses may be set side by side: equal data, frames and trainable parts."""

    runs: tuple[Run, ...]
    band: float = BAND  # Share by which losses may differ and still be equally good

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
    def members(self) -> list[factors.Configuration]:
        """The configurations with a finished run."""
        return factors.configurations(self.runs)

    @cached_property
    def spread(self) -> factors.Spread:
        """How much two runs of one configuration differ here."""
        return class_spread(self.members)

    @cached_property
    def ranking(self) -> tuple[RankedConfiguration, ...]:
        """The configurations with a finished run, lowest loss first."""
        return tuple(_ranking(self))

    @property
    def best(self) -> RankedConfiguration | None:
        """The best by more than noise, if known; none that ran once, or of which a run failed."""
        if len(self.ranking) < 2 or self.ranking[0].failed:
            return None
        first = self.ranking[0]
        seeds = next(item.by_seed for item in self.members if item.first is first.run)
        return None if len(seeds) == 1 or any(item.tied for item in self.ranking) else first

    @property
    def good(self) -> tuple[RankedConfiguration, ...]:
        """Those that are at most the band above the lowest, with 95 percent of certainty."""
        return tuple(item for item in self.ranking if (item.chance_good or 0.0) >= LEVEL)


@dataclass(frozen=True)
class RankedRun:
    """A run with the place of its configuration in its class; None where it is not ranked."""

    run: Run
    place: RankedConfiguration | None = None


def comparability_classes(runs: Sequence[Run], band: float = BAND) -> list[ComparabilityClass]:
    """The classes of runs; with verified frames first, then those with more finished runs.

    A run that is missing is in none. Losses of two classes say nothing of each other.
    """
    present = [run for run in runs if run.status != "missing"]
    groups = grouped(present, lambda run: (run.comparable, trainable_parts(run.settings)))
    classes = [ComparabilityClass(tuple(members), band) for members in groups.values()]
    return sorted(classes, key=lambda item: (item.frames != "verified", -len(item.finished)))


def differing(classes: Sequence[ComparabilityClass]) -> list[str]:
    """The fewest names, in their order, whose values tell the classes apart."""
    chosen: list[str] = []
    distinct = 1
    for name in dict.fromkeys(name for item in classes for name in item.comparability):
        names = [*chosen, name]
        values = {tuple(map(item.comparability.get, names)) for item in classes}
        if len(values) > distinct:
            chosen, distinct = names, len(values)
    return chosen


def class_spread(members: Sequence[factors.Configuration]) -> factors.Spread:
    """Of repeated seeds; where they are few or none, of what the model of all factors leaves."""
    repeated = factors.repeated_spread(members)
    if repeated.degrees >= ENOUGH_REPEATS or (question := additive_question(members)) is None:
        return repeated
    of_model = question.additive
    return of_model.spread if of_model.residual_degrees > repeated.degrees else repeated


def _ranking(of_class: ComparabilityClass) -> list[RankedConfiguration]:
    members, spread = of_class.members, of_class.spread
    if not members:
        return []
    begun = [run for run in of_class.runs if run.status not in ("missing", "stale")]
    by_configuration = grouped(begun, factors.configuration_key)
    adjusted = AdjustedMeans(factors.observations(members), len(members), spread)
    order = np.argsort(adjusted.means, kind="stable")
    chances = _chances(adjusted, order, of_class.band)
    ranking = []
    for place, cell in enumerate(order, 1):
        item = members[cell]
        losses = [run.loss for run in item.runs if run.loss]
        mean, interval = math.exp(item.log_loss), None
        errors = [loss.standard_error for loss in losses if loss.standard_error is not None]
        error = math.hypot(*errors) / len(losses) if len(errors) == len(losses) else None
        if spread.deviation is not None:
            between = spread.deviation / math.sqrt(adjusted.counts[cell])
            half = student_t(adjusted.degrees) * between
            error = mean * between
            if half < LARGEST_HALF:
                interval = mean * math.exp(-half), mean * math.exp(half)
        started = by_configuration[factors.configuration_key(item.first)]
        ranking.append(
            RankedConfiguration(
                place=place,
                runs=item.runs,
                loss=Loss(mean, error, sum(loss.samples for loss in losses), losses[0].kind),
                interval=interval,
                finished=len(item.runs),
                started=len(started),
                failed=sum(run.status == "failed" for run in started),
                **{name: values[cell] for name, values in chances.items()},
            )
        )
    return ranking


def _chances(adjusted: AdjustedMeans, order: np.ndarray, band: float) -> dict[str, Sequence[Any]]:
    """Fields of each configuration by its cell; none where no spread is known."""
    spread = adjusted.paired
    if adjusted.spread.deviation is None:
        return {}
    draws = drawn_losses(adjusted.means, spread.variance / adjusted.counts, spread.degrees)
    lowest = draws.min(axis=1, keepdims=True)
    first = draws <= lowest
    quantiles = (1 - LEVEL) / 2, (1 + LEVEL) / 2
    ends = np.quantile(adjusted.with_seeds(draws), quantiles, axis=0)
    tied = adjusted.tied_with_first(order)
    return {
        "chance_best": (first / first.sum(axis=1, keepdims=True)).mean(axis=0).tolist(),
        "chance_good": (draws <= lowest + math.log1p(band)).mean(axis=0).tolist(),
        "expected": np.exp(draws.mean(axis=0)).tolist(),
        "expected_interval": [
            (math.exp(low), math.exp(high)) if high - low < LARGEST_HALF else None
            for low, high in ends.T.tolist()
        ],
        "tied_with_best": [tied[place] for place in np.argsort(order)],
    }
