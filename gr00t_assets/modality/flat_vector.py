"""The robot's flat vector: the numbers of all state or action keys in the dataset's order."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gr00t_assets.modality.config import VectorKey
from gr00t_assets.modality.vector_names import plain_name


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
        self._by_name, self._by_plain_name = _index(self.names), _index(map(_plain, self.names))

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
        return self._by_name.get(name, self._by_plain_name.get(_plain(name)))


def matching_names(names: Sequence[str], others: Iterable[str]) -> list[str | None]:
    """For each name the same or else the like spelt one of ``others``; None where there is none.

    Examples:
        >>> matching_names(["main_gripper", "elbow"], ["elbow", "gripper.pos"])
        ['gripper.pos', 'elbow']
    """
    choices = list(others)
    plain = _index(map(_plain, choices))
    same = {name: choices[plain[_plain(name)]] for name in names if _plain(name) in plain}
    return [name if name in choices else same.get(name) for name in names]


def _plain(name: str) -> str:
    return plain_name(name).removeprefix("main_")


def _index(names: Iterable[str]) -> dict[str, int]:
    """Places by name, of names that are there once."""
    listed = list(names)
    return {name: at for at, name in enumerate(listed) if listed.count(name) == 1}
