"""Factors that move together over a series of runs, so that none of them can be told apart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.comparison.contrasts.configurations import Configuration, configurations
from gr00t_assets.comparison.contrasts.factors import order_of
from gr00t_assets.comparison.contrasts.observation import Observation

TOGETHER = 0.9
"""Rank correlation from which on two factors move together."""

LEVELS = 3
"""A series has at least this many values of the factor."""

SHARE = 0.5
"""A series has at least this share of the configurations of its class."""


@dataclass(frozen=True)
class Collinear:
    """A series of runs over which other factors move with the one that is asked about.

    Attributes:
        factor: What is asked about.
        together: The factors that move with it, samples seen last.
        directions: 1 where a factor rises as the asked one rises, -1 where it falls.
        levels: By configuration, the values of the factor and of ``together``.
        observations: The runs of the series, by the factor's value.
    """

    factor: str
    together: tuple[str, ...]
    directions: dict[str, int]
    levels: tuple[tuple[object, ...], ...]
    observations: tuple[Observation, ...]

    @property
    def factors(self) -> tuple[str, ...]:
        """The factor and those that move with it."""
        return (self.factor, *self.together)


def collinear(observations: Sequence[Observation], factor: str) -> Collinear | None:
    """The longest series in which other factors move with ``factor``; None where there is none.

    A series is a class's finished configurations, those that differ in a factor which does not
    move with the asked one left out until none does. Two factors move together where the rank
    correlation of their values is 0.9 or more, in either direction.
    """
    groups: dict[tuple[object, ...], list[Configuration]] = {}
    for one in configurations(observations):
        groups.setdefault(one.class_key, []).append(one)
    found = [_series(members, factor) for members in groups.values()]
    series = [one for one in found if one is not None]
    return max(series, key=lambda one: len(one.levels), default=None)


def _series(members: list[Configuration], factor: str) -> Collinear | None:
    chosen = [one for one in members if one.value(factor) is not None]
    least = SHARE * len(members)
    while len(chosen) >= max(LEVELS, least):
        if len({one.value(factor) for one in chosen}) < LEVELS:
            return None
        correlations = {
            name: _correlation(chosen, factor, name) for name in _varying(chosen, factor)
        }
        apart = [name for name, value in correlations.items() if abs(value) < TOGETHER]
        if not [name for name in apart if name != "samples_seen"]:
            correlations = {name: c for name, c in correlations.items() if name not in apart}
            return _found(chosen, factor, correlations)
        chosen = max((_usual(chosen, name) for name in apart if name != "samples_seen"), key=len)
    return None


def _varying(chosen: Sequence[Configuration], factor: str) -> list[str]:
    names = dict.fromkeys(name for one in chosen for name in one.material)
    names["samples_seen"] = None
    return [
        name for name in names if name != factor and len({one.value(name) for one in chosen}) > 1
    ]


def _usual(chosen: Sequence[Configuration], name: str) -> list[Configuration]:
    """Those that have the most frequent value of a factor."""
    value = Counter(one.value(name) for one in chosen).most_common(1)[0][0]
    return [one for one in chosen if one.value(name) == value]


def _correlation(chosen: Sequence[Configuration], one: str, other: str) -> float:
    """Spearman's rank correlation, ties at their mean rank."""
    ranks = [_ranks([item.value(name) for item in chosen], name) for name in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Sequence[object], name: str) -> np.ndarray:
    keys = [order_of(name, value) for value in values]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    level = np.array([places[key] for key in keys])
    counts = np.bincount(level)
    return (np.cumsum(counts) - (counts - 1) / 2)[level]


def _found(
    chosen: Sequence[Configuration], factor: str, correlations: dict[str, float]
) -> Collinear | None:
    if not correlations:
        return None
    together = tuple(sorted(correlations, key=lambda name: name == "samples_seen"))
    ordered = sorted(chosen, key=lambda one: order_of(factor, one.value(factor)))
    return Collinear(
        factor=factor,
        together=together,
        directions={name: 1 if correlations[name] > 0 else -1 for name in together},
        levels=tuple(tuple(one.value(name) for name in (factor, *together)) for one in ordered),
        observations=tuple(run for one in ordered for run in one.observations),
    )
