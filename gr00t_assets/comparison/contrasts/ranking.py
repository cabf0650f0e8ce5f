"""Comparability classes and the order of configurations within one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gr00t_assets.comparison.contrasts.class_words import class_id, class_words
from gr00t_assets.comparison.contrasts.configurations import Configuration, configurations
from gr00t_assets.comparison.contrasts.factors import trainable_parts
from gr00t_assets.comparison.contrasts.noise import (
    LEVEL,
    end_level,
    quantiles,
    spread_of,
    tails,
)
from gr00t_assets.comparison.contrasts.observation import Frames, Loss, Observation
from gr00t_assets.comparison.contrasts.verdicts import holm_levels


@dataclass(frozen=True)
class Class:
    """Runs whose losses may be set side by side: equal data, frames and trainable parts.

    Attributes:
        observations: Of any status, in the order in which they came.
        words: What they have in common, by name.
    """

    observations: tuple[Observation, ...]
    words: dict[str, str]

    @property
    def frames(self) -> Frames:
        """Whether the images that they trained on are known to be the right ones."""
        return self.observations[0].frames

    @cached_property
    def short_id(self) -> str:
        """What it is called by; see :func:`class_id`."""
        return class_id(self.words)

    @property
    def finished(self) -> tuple[Observation, ...]:
        """Those that are ranked."""
        return tuple(run for run in self.observations if run.finished)


@dataclass(frozen=True)
class Ranked:
    """A configuration's place in its class.

    Attributes:
        place: From 1; the lowest loss.
        observations: The replicates.
        loss: Geometric mean over replicates; its standard error has both kinds of noise in it.
        interval: Of the loss at 95 percent.
        tied_with_best: Whether it cannot be told from the configuration in the first place, which
            is always so for that one. The comparisons of one class are adjusted together.
    """

    place: int
    observations: tuple[Observation, ...]
    loss: Loss
    interval: tuple[float, float]
    tied_with_best: bool

    @property
    def observation(self) -> Observation:
        """The first of the replicates."""
        return self.observations[0]


def classes(observations: Sequence[Observation]) -> list[Class]:
    """The comparability classes; with verified frames first, then those with more finished runs.

    Losses have no say in the order: those of two classes say nothing of each other.
    """
    groups: dict[tuple[object, ...], list[Observation]] = {}
    for run in observations:
        key = (run.comparable, trainable_parts(run.settings))
        groups.setdefault(key, []).append(run)
    found = [Class(tuple(runs), _words(runs[0])) for runs in groups.values()]
    return sorted(found, key=lambda one: (one.frames != "verified", -len(one.finished)))


def ranking(group: Class) -> list[Ranked]:
    """The configurations with a finished run, lowest loss first."""
    found = configurations(group.observations)
    if not found:
        return []
    spread = spread_of(found)
    levels = {id(one): end_level(one) for one in found}
    found.sort(key=lambda one: levels[id(one)].mean)
    means = np.array([levels[id(one)].mean for one in found])
    variances = np.array([levels[id(one)].variance(spread) for one in found])
    degrees = np.full(len(found), spread.degrees)
    halves = quantiles(degrees, np.full(len(found), (1 - LEVEL) / 2)) * np.sqrt(variances)
    tied = _tied(means, variances, spread.degrees)
    return [
        Ranked(
            place=place,
            observations=one.observations,
            loss=_loss(one, mean, math.sqrt(variance)),
            interval=(math.exp(mean - half), math.exp(mean + half)),
            tied_with_best=bool(same),
        )
        for place, (one, mean, variance, half, same) in enumerate(
            zip(found, means.tolist(), variances.tolist(), halves.tolist(), tied, strict=True), 1
        )
    ]


def differing(groups: Sequence[Class]) -> list[str]:
    """The fewest words, in their order, that tell the classes apart."""
    names = dict.fromkeys(name for group in groups for name in group.words)
    chosen: list[str] = []
    told = 1
    for name in names:
        values = {tuple(group.words.get(one) for one in [*chosen, name]) for group in groups}
        if len(values) > told:
            chosen.append(name)
            told = len(values)
    return chosen


def _tied(means: np.ndarray, variances: np.ndarray, degrees: int) -> np.ndarray:
    errors = np.sqrt(np.maximum(variances[1:] + variances[0], 1e-18))
    chances = 2 * tails(np.full(len(errors), degrees), (means[1:] - means[0]) / errors)
    return np.concatenate([[True], chances > holm_levels(chances, 1 - LEVEL)])


def _loss(one: Configuration, log_mean: float, log_error: float) -> Loss:
    losses = [run.loss for run in one.observations if run.loss]
    mean = math.exp(log_mean)
    samples = sum(loss.samples for loss in losses)
    return Loss(mean, mean * log_error, samples, losses[0].kind)


def _words(run: Observation) -> dict[str, str]:
    return class_words(run.data, trainable_parts(run.settings), run.frames)
