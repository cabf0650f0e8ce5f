"""Factors that move together over a series of runs, so that none of them can be told apart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import computed_field

from gr00t_assets.comparison.contrasts.factors import (
    Configuration,
    configurations,
    factor_value,
    order_of,
)
from gr00t_assets.comparison.run import Run, RunIds

TOGETHER = 0.9
"""Rank correlation from which on two factors move together."""

LEVELS = 3
"""A series has at least this many values of the factor."""

SHARE = 0.5
"""A series has at least this share of the configurations of its class."""


@dataclass(frozen=True)
class CollinearSeries:
    """A series of runs, by the value of a factor, over which others move ``together`` with it.

    Attributes:
        directions: 1 where a factor rises as the asked one rises, -1 where it falls.
        levels: By configuration, the values of the factor and of ``together``.
    """

    factor: str
    together: tuple[str, ...]
    directions: dict[str, int]
    levels: tuple[tuple[object, ...], ...]
    runs: RunIds

    @computed_field
    @property
    def factors(self) -> tuple[str, ...]:
        """The factor and those that move with it."""
        return (self.factor, *self.together)

    @computed_field
    @property
    def values(self) -> dict[str, list[object]]:
        """By factor the value of each run."""
        return {name: [factor_value(run, name) for run in self.runs] for name in self.factors}


def collinear_series(runs: Sequence[Run], factor: str) -> CollinearSeries | None:
    """The longest series in which other factors move with ``factor``; None where there is none.

    A series is a class's finished configurations, those that differ in a factor which does not
    move with the asked one left out until none does. Two factors move together where the rank
    correlation of their values is 0.9 or more, in either direction.
    """
    classes: dict[tuple[object, ...], list[Configuration]] = {}
    for item in configurations(runs):
        classes.setdefault(item.class_key, []).append(item)
    series = [_class_series(members, factor) for members in classes.values()]
    return max(filter(None, series), key=lambda item: len(item.levels), default=None)


def _class_series(members: list[Configuration], factor: str) -> CollinearSeries | None:
    chosen = [item for item in members if item.value(factor) is not None]
    least = SHARE * len(members)
    while len(chosen) >= max(LEVELS, least):
        if len({item.value(factor) for item in chosen}) < LEVELS:
            return None
        names = dict.fromkeys(name for item in chosen for name in (*item.material, "samples_seen"))
        correlations = {
            name: _correlation(chosen, factor, name)
            for name in sorted(names, key=lambda name: name == "samples_seen")
            if name != factor and len({item.value(name) for item in chosen}) > 1
        }
        together = {name: value for name, value in correlations.items() if abs(value) >= TOGETHER}
        separate = correlations.keys() - together.keys() - {"samples_seen"}
        if not separate:
            return _series(chosen, factor, together) if together else None
        chosen = max(
            (_with_usual_value(chosen, name) for name in correlations if name in separate), key=len
        )
    return None


def _with_usual_value(chosen: Sequence[Configuration], name: str) -> list[Configuration]:
    """Those that have the most frequent value of a factor."""
    value = Counter(item.value(name) for item in chosen).most_common(1)[0][0]
    return [item for item in chosen if item.value(name) == value]


def _correlation(chosen: Sequence[Configuration], factor: str, other: str) -> float:
    """Spearman's rank correlation, ties at their mean rank."""
    ranks = []
    for name in (factor, other):
        keys = [order_of(name, item.value(name)) for item in chosen]
        places = {key: place for place, key in enumerate(sorted(set(keys)))}
        ranks.append(pd.Series([places[key] for key in keys]).rank())
    return float(np.corrcoef(*ranks)[0, 1])


def _series(
    chosen: Sequence[Configuration], factor: str, correlations: dict[str, float]
) -> CollinearSeries:
    together = tuple(sorted(correlations, key=lambda name: name == "samples_seen"))
    ordered = sorted(chosen, key=lambda item: order_of(factor, item.value(factor)))
    return CollinearSeries(
        factor=factor,
        together=together,
        directions={name: 1 if correlations[name] > 0 else -1 for name in together},
        levels=tuple(tuple(item.value(name) for name in (factor, *together)) for item in ordered),
        runs=tuple(run for item in ordered for run in item.runs),
    )
