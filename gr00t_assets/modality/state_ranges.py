"""Joint values against the ranges of the data: other units, another order, or never seen.

A wrong unit or order gives plausible actions without an error, and moves a real arm. It is told
where values as they are given do not fit the trained ranges and converted ones all do: of units
where two joints or more do not fit, or the converted ones are far nearer to the mean in standard
deviations, as those in another order have to be. Values inside every range tell nothing.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gr00t_assets.modality.flat_vector import FlatVector

MARGIN, FAR = 0.1, 3.0
"""Beyond the trained range by more than this share of its width: a warning; an error."""

LEAST_SHARE = 0.1
"""Of the widest range of a key: that of a joint which hardly moved counts as so wide."""

BETTER = 4.0
"""How many times nearer to the data, in squared standard deviations, a conversion has to be."""

LEAST_NUMBERS = 3
"""Fewer joints do not tell units or an order."""

UNITS = {
    "radians to degrees": 180 / math.pi,
    "degrees to radians": math.pi / 180,
    "millimetres to metres": 1e-3,
    "metres to millimetres": 1e3,
    "a share to percent": 100.0,
    "percent to a share": 0.01,
}


class RangeFindings(NamedTuple):
    """What speaks against a state: a sentence for each problem and each warning."""

    problems: list[str]
    warnings: list[str]


class StateRanges:
    """The ranges that a policy's states had in training."""

    def __init__(self, vector: FlatVector) -> None:
        self._vector = vector
        self.low, self.high = vector.statistic("min"), vector.statistic("max")
        self._mean, self._std = vector.statistic("mean"), vector.statistic("std")
        self._width = np.zeros(len(vector))
        for places in vector.places.values():
            widths = (self.high - self.low)[places]
            widest = widths.max(initial=0)
            least = LEAST_SHARE * (widest or np.abs(self._mean[places]).max() or 1.0)
            self._width[places] = np.maximum(widths, least)

    def check(self, values: np.ndarray) -> RangeFindings:
        """What is odd about one state, (numbers,), in the dataset's order."""
        beyond = self._beyond(values, np.arange(len(values)))
        outside = np.flatnonzero(beyond > MARGIN)
        explained = [*self._other_units(values, beyond), *self._other_order(values, beyond)]
        if explained:
            return RangeFindings(explained, [])
        lines = [(at, self._line(at, values[at])) for at in outside.tolist()]
        return RangeFindings(
            [line for at, line in lines if beyond[at] > FAR],
            [line for at, line in lines if beyond[at] <= FAR],
        )

    def _line(self, at: int, value: float) -> str:
        trained = f"the trained range {self.low[at]:.4g} to {self.high[at]:.4g}"
        return f"{self._vector.names[at]} is {value:.4g}, outside {trained}"

    def _beyond(self, values: np.ndarray, places: np.ndarray) -> np.ndarray:
        """How far values of the numbers at some places are outside, in widths of the range."""
        below, above = self.low[places] - values, values - self.high[places]
        return np.maximum(0, np.maximum(below, above)) / self._width[places]

    def _distance(self, values: np.ndarray, places: np.ndarray) -> float:
        """Mean squared distance to the data's mean in standard deviations."""
        spread = np.maximum(self._std[places], LEAST_SHARE * self._width[places])
        return float(np.mean(((values - self._mean[places]) / spread) ** 2))

    def _other_units(self, values: np.ndarray, beyond: np.ndarray) -> Iterator[str]:
        for key, listed in self._vector.places.items():
            places = np.array(listed)
            outside = (beyond[places] > MARGIN).sum()
            if len(places) < LEAST_NUMBERS or not outside:
                continue
            given = values[places]
            nearest = np.inf if outside > 1 else self._distance(given, places) / BETTER
            fitting = {
                self._distance(given * factor, places): name
                for name, factor in UNITS.items()
                if (self._beyond(given * factor, places) <= MARGIN).all()
                and self._distance(given * factor, places) < nearest
            }
            if fitting:
                worst = int(places[np.argmax(beyond[places])])
                yield (
                    f"{key} is not in the units of the training data: "
                    f"{self._line(worst, values[worst])}; converted from "
                    f"{fitting[min(fitting)]} all of its numbers would fit"
                )

    def _other_order(self, values: np.ndarray, beyond: np.ndarray) -> Iterator[str]:
        every = np.arange(len(values))
        if len(values) < LEAST_NUMBERS or not (beyond > MARGIN).any():
            return
        for name, order in _orders(self._vector.names):
            moved = np.empty_like(values)
            moved[order] = values
            nearest = self._distance(values, every) / BETTER
            if (self._beyond(moved, every) <= MARGIN).all() and (
                self._distance(moved, every) < nearest
            ):
                worst = int(np.argmax(beyond))
                yield (
                    f"the numbers are in another order than the dataset's: "
                    f"{self._line(worst, values[worst])}; {name} they would fit. "
                    f"The order is: {', '.join(self._vector.names)}"
                )
                return


def _orders(names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Orders that people mix up: for each given place the place in the dataset's order."""
    every = np.arange(len(names))
    alphabetical = np.array(sorted(range(len(names)), key=names.__getitem__))
    for name, order in (
        ("taken from the last to the first", every[::-1]),
        ("taken in the alphabetical order of their names", alphabetical),
        ("with the first one taken for the last", np.roll(every, 1)),
        ("with the last one taken for the first", np.roll(every, -1)),
        ("with their halves changed over", np.roll(every, len(names) // 2)),
    ):
        if not np.array_equal(order, every):
            yield name, order
