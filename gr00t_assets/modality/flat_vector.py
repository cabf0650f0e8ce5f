"""The robot's flat vector: the numbers of all state or action keys in the dataset's order.

``StateRanges`` holds a state against the ranges of the data: other units, another order, or never
seen. A wrong unit or order gives plausible actions without an error, and moves a real arm.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from gr00t_assets.modality.config import VectorKey
from gr00t_assets.modality.vector_names import plain_name

MARGIN, FAR = 0.1, 3.0
"""Beyond the trained range by more than this share of its width: a warning; an error."""

LEAST_SHARE = 0.1
"""Of the widest range of a key: that of a joint which hardly moved counts as so wide."""

BETTER, LEAST_NUMBERS = 4.0, 3
"""How many times nearer to the data, in squared standard deviations, a conversion has to be; fewer
joints do not tell units or an order."""

UNITS = {
    "radians to degrees": 180 / math.pi,
    "degrees to radians": math.pi / 180,
    "millimetres to metres": 1e-3,
    "metres to millimetres": 1e3,
    "a share to percent": 100.0,
    "percent to a share": 0.01,
}


class FlatVector:
    """The numbers of some keys, each once, in the order that the dataset has them in.

    A data config may name its keys in another order, and two keys may share numbers. ``names`` are
    the dataset's, or ``key[place]`` where it has none, or one twice; ``places`` of each key's
    numbers in the flat vector are by key.
    """

    def __init__(self, keys: Sequence[VectorKey]) -> None:
        self.keys = tuple(keys)
        columns = list(dict.fromkeys(key.original_key for key in keys))
        at = {
            key.key: [(columns.index(key.original_key), n) for n in range(key.start, key.end)]
            for key in keys
        }
        names: dict[tuple[int, int], str] = {}
        for key in keys:
            names = dict(zip(at[key.key], key.number_names, strict=True)) | names
        order = sorted(names)
        self.names = tuple(names[place] for place in order)
        if len(set(self.names)) < len(order):
            plain = {
                place: f"{key}[{n}]" for key in reversed(at) for n, place in enumerate(at[key])
            }
            self.names = tuple(plain[place] for place in order)
        self.places = {key: [order.index(place) for place in listed] for key, listed in at.items()}
        self._by_name, self._by_plain_name = _index(self.names), _index(map(plain_name, self.names))

    def __len__(self) -> int:
        return len(self.names)

    def by_key(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """The numbers of each key, (..., numbers of the key), of flat vectors (..., numbers)."""
        return {name: flat[..., places] for name, places in self.places.items()}

    def flat(self, by_key: Mapping[str, np.ndarray]) -> np.ndarray:
        """Flat vectors (..., numbers) of the numbers of each key; of a shared one the first."""
        first = next(iter(by_key.values()))
        flat = np.zeros((*first.shape[:-1], len(self)), first.dtype)
        for name in reversed(self.places):
            flat[..., self.places[name]] = by_key[name]
        return flat

    def columns(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """One row of the dataset's columns, (1, D) each, zeros where no key has a number."""
        rows: dict[str, np.ndarray] = {}
        for key in sorted(self.keys, key=lambda key: -key.end):
            row = rows.setdefault(key.original_key, np.zeros((1, key.end)))
            row[0, key.start : key.end] = flat[self.places[key.key]]
        return rows

    def statistic(self, name: str) -> np.ndarray:
        """A statistic of each number, such as ``min``, over the dataset, (numbers,)."""
        return self.flat(
            {key.key: np.array(getattr(key.statistics, name), float) for key in self.keys}
        )

    def place_of(self, name: str) -> int | None:
        """The place of a number by its name, or by another spelling of it."""
        return self._by_name.get(name, self._by_plain_name.get(plain_name(name)))


def matching_names(names: Sequence[str], others: Iterable[str]) -> list[str | None]:
    """For each name the same or else the like spelt one of ``others``; None where there is none.

    Examples:
        >>> matching_names(["main_gripper", "elbow"], ["elbow", "gripper.pos"])
        ['gripper.pos', 'elbow']
    """
    choices = list(others)
    plain = _index(map(plain_name, choices))
    same = {name: choices[plain[plain_name(name)]] for name in names if plain_name(name) in plain}
    return [name if name in choices else same.get(name) for name in names]


def _index(names: Iterable[str]) -> dict[str, int]:
    """Places by name, of names that are there once."""
    listed = list(names)
    return {name: at for at, name in enumerate(listed) if listed.count(name) == 1}


class StateRanges:
    """The ranges that a policy's states had in training.

    Other units or another order are told where values as given do not fit the ranges and converted
    ones all do: of units where two joints or more do not fit, or the converted ones are far nearer
    to the mean in standard deviations, as those in another order have to be.
    """

    def __init__(self, vector: FlatVector) -> None:
        self._vector = vector
        self.low, self.high = vector.statistic("min"), vector.statistic("max")
        self._mean, self._width = vector.statistic("mean"), np.zeros(len(vector))
        for places in vector.places.values():
            widths = (self.high - self.low)[places]
            widest = widths.max(initial=0) or np.abs(self._mean[places]).max() or 1.0
            self._width[places] = np.maximum(widths, LEAST_SHARE * widest)
        self._std = np.maximum(vector.statistic("std"), LEAST_SHARE * self._width)

    def check(self, values: np.ndarray) -> tuple[list[str], list[str]]:
        """Problems and warnings about one state, (numbers,), in the dataset's order."""
        beyond = self._beyond(values)
        if explained := [*self._other_units(values, beyond), *self._other_order(values, beyond)]:
            return explained, []
        lines = {at: self._line(at, values[at]) for at in np.flatnonzero(beyond > MARGIN).tolist()}
        return (
            [line for at, line in lines.items() if beyond[at] > FAR],
            [line for at, line in lines.items() if beyond[at] <= FAR],
        )

    def _line(self, at: int, value: float) -> str:
        trained = f"the trained range {self.low[at]:.4g} to {self.high[at]:.4g}"
        return f"{self._vector.names[at]} is {value:.4g}, outside {trained}"

    def _beyond(self, values: np.ndarray) -> np.ndarray:
        """How far values are outside, in widths of the range."""
        outside = np.maximum(self.low - values, values - self.high)
        return np.maximum(0, outside) / self._width

    def _squares(self, values: np.ndarray) -> np.ndarray:
        """Squared distances to the data's mean in standard deviations."""
        return ((values - self._mean) / self._std) ** 2

    def _other_units(self, values: np.ndarray, beyond: np.ndarray) -> Iterator[str]:
        for key, places in self._vector.places.items():
            outside = (beyond[places] > MARGIN).sum()
            if len(places) < LEAST_NUMBERS or not outside:
                continue
            nearest = np.inf if outside > 1 else self._squares(values)[places].mean() / BETTER
            fitting = {
                self._squares(values * factor)[places].mean(): name
                for name, factor in UNITS.items()
                if (self._beyond(values * factor)[places] <= MARGIN).all()
            }
            if fitting and min(fitting) < nearest:
                worst = places[int(np.argmax(beyond[places]))]
                yield (
                    f"{key} is not in the units of the training data: "
                    f"{self._line(worst, values[worst])}; converted from "
                    f"{fitting[min(fitting)]} all of its numbers would fit"
                )

    def _other_order(self, values: np.ndarray, beyond: np.ndarray) -> Iterator[str]:
        if len(values) < LEAST_NUMBERS or not (beyond > MARGIN).any():
            return
        nearest, names = self._squares(values).mean() / BETTER, self._vector.names
        for name, order in _orders(names):
            moved = np.empty_like(values)
            moved[order] = values
            fits = (self._beyond(moved) <= MARGIN).all()
            if fits and self._squares(moved).mean() < nearest:
                worst = int(np.argmax(beyond))
                yield (
                    f"the numbers are in another order than the dataset's: "
                    f"{self._line(worst, values[worst])}; {name} they would fit. "
                    f"The order is: {', '.join(names)}"
                )
                return


def _orders(names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Orders that people mix up: for each given place the place in the dataset's order."""
    every = np.arange(len(names))
    yield "taken from the last to the first", every[::-1]
    yield "taken in the alphabetical order of their names", np.argsort(names)
    yield "with the first one taken for the last", np.roll(every, 1)
    yield "with the last one taken for the first", np.roll(every, -1)
    yield "with their halves changed over", np.roll(every, len(names) // 2)
