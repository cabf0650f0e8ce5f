"""The robot's flat vector: the numbers of all state or action keys in the dataset's order."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gr00t_assets.modality.config import VectorKey
from gr00t_assets.modality.vector_names import plain_name


class FlatVector:
    """The numbers of some keys, each once, in the order that the dataset has them in.

    A data config may name its keys in another order, and two keys may share numbers.

    Attributes:
        keys: State or action keys of a modality config.
        names: The dataset's name of each number; ``key[place]`` where it has none, or one twice.
        places: Places of each key's numbers in the flat vector, by key.
    """

    def __init__(self, keys: Sequence[VectorKey]) -> None:
        self.keys = tuple(keys)
        columns = list(dict.fromkeys(key.original_key for key in keys))
        numbers: dict[tuple[int, int], tuple[str, str]] = {}
        for key in keys:
            for at, name in enumerate(key.number_names):
                place = columns.index(key.original_key), key.start + at
                numbers.setdefault(place, (name, f"{key.key}[{at}]"))
        order = sorted(numbers)
        names = [numbers[place][0] for place in order]
        is_distinct = len(set(names)) == len(names)
        self.names = tuple(names if is_distinct else [numbers[place][1] for place in order])
        self.places = {
            key.key: [
                order.index((columns.index(key.original_key), number))
                for number in range(key.start, key.end)
            ]
            for key in keys
        }
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
        for column in dict.fromkeys(key.original_key for key in self.keys):
            keys = [key for key in self.keys if key.original_key == column]
            rows[column] = np.zeros((1, max(key.end for key in keys)))
            for key in keys:
                rows[column][0, key.start : key.end] = flat[self.places[key.key]]
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
    found = [plain.get(_plain(name)) for name in names]
    return [
        name if name in choices else None if at is None else choices[at]
        for name, at in zip(names, found, strict=True)
    ]


def _plain(name: str) -> str:
    return plain_name(name).removeprefix("main_")


def _index(names: Iterable[str]) -> dict[str, int]:
    """Places by name, of names that are there once."""
    listed = list(names)
    return {name: at for at, name in enumerate(listed) if listed.count(name) == 1}
