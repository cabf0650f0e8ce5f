"""Where a value stands in what an environment shows, takes and tells, as it is declared."""

import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

_PLACE = re.compile(r"(?P<path>[\w-]+(\.[\w-]+)*)(\[((?P<one>\d+)|(?P<low>\d*):(?P<high>\d*))\])?")
_READING = re.compile(
    r"(?P<path>reward|terminated|info(\.[\w-]+)+)"
    r"(\s*(?P<operator>>=|<=|==|>|<)\s*(?P<number>-?\d+(\.\d*)?([eE][+-]?\d+)?))?"
)
_COMPARE = {
    **{None: operator.ne, ">=": operator.ge, "<=": operator.le},
    **{"==": operator.eq, ">": operator.gt, "<": operator.lt},
}


class Place(NamedTuple):
    """A value by its keys in nested dictionaries, and which numbers of it: ``state[0:5]``."""

    path: tuple[str, ...]
    part: slice = slice(None)


class Reading(NamedTuple):
    """What tells success or score: a value of a step, and what it is compared with."""

    path: tuple[str, ...]
    operator: str | None = None
    number: float = 0.0

    def value(self, step: Mapping[str, Any]) -> float:
        """The value itself; LookupError where it is not there, ValueError where it is no number."""
        value = item(step, self.path)
        numbers = np.asarray(value, float).ravel()
        if len(numbers) != 1:
            raise ValueError(f"{'.'.join(self.path)} is no number: {shape_text(value)}")
        return float(numbers[0])

    def holds(self, step: Mapping[str, Any]) -> bool:
        """Whether the comparison holds, or the value is not zero; raises as ``value`` does."""
        return bool(_COMPARE[self.operator](self.value(step), self.number))


def parse_place(text: str) -> Place:
    """Read ``PATH``, ``PATH[a:b]`` or ``PATH[i]``; ValueError where it is none of them.

    Examples:
        >>> parse_place("robot.state[0:5]")
        Place(path=('robot', 'state'), part=slice(0, 5, None))
    """
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a path such as pixels.front or state[0:5], found {text!r}")
    low, high = (int(match[side]) if match[side] else None for side in ("low", "high"))
    if match["one"]:
        low, high = int(match["one"]), int(match["one"]) + 1
    return Place(tuple(match["path"].split(".")), slice(low, high))


def parse_reading(text: str) -> Reading:
    """Read ``info.PATH``, ``reward`` or ``terminated``, compared or not; else ValueError.

    Examples:
        >>> parse_reading("reward >= 1")
        Reading(path=('reward',), operator='>=', number=1.0)
    """
    match = _READING.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            "expected info.NAME, reward or terminated, with or without a comparison such as "
            f"'reward >= 1', found {text!r}"
        )
    return Reading(tuple(match["path"].split(".")), match["operator"], float(match["number"] or 0))


def item(content: Any, path: Sequence[str]) -> Any:
    """The value at a path of nested dictionaries or spaces; LookupError where there is none."""
    for at, name in enumerate(path):
        if not isinstance(content, Mapping) or name not in set(content):  # `in` a space: a sample
            raise LookupError(f"there is no {'.'.join(path[: at + 1])}")
        content = content[name]
    if isinstance(content, Mapping):
        raise LookupError(f"{'.'.join(path)} is no value; in it are {', '.join(content)}")
    return content


def numbers_at(observation: Mapping[str, Any], place: Place) -> np.ndarray:
    """The numbers of a vector, (n,) float64; LookupError or ValueError where it is none."""
    value = item(observation, place.path)
    vector = np.asarray(value, float)
    if vector.ndim > 1 or max(place.part.start or 0, place.part.stop or 0) > vector.size:
        raise ValueError(f"{'.'.join(place.path)} is {shape_text(value)}")
    return vector.reshape(-1)[place.part]


def checked_image(value: Any) -> np.ndarray:
    """An image, (H, W, 3) uint8; ValueError where it is none."""
    image = np.asarray(value)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an image (H, W, 3) uint8, found {shape_text(value)}")
    return image


def spread(action: np.ndarray, places: Sequence[Place], space: Any) -> dict[str, Any]:
    """A flat action as the dictionary of a Gymnasium ``Dict`` space, cut to its limits.

    Numbers are taken in the order of the places; what no place names is zero. LookupError where a
    place is not in the space, ValueError where they have more or fewer numbers than the action.
    """
    native = _zeros(space)
    parts = [item(native, place.path).reshape(-1)[place.part] for place in places]
    ends = np.cumsum([len(part) for part in parts])
    if ends[-1] != len(action):
        numbers = f"the action has {len(action)} numbers, which"
        raise ValueError(f"{numbers} do not fit the declared places")
    for place, part, given in zip(places, parts, np.split(action, ends[:-1]), strict=True):
        box = item(space, place.path)
        if not hasattr(box, "low"):
            raise ValueError(f"{'.'.join(place.path)} is no vector of numbers: {box}")
        part[...] = np.clip(given, *(side.reshape(-1)[place.part] for side in (box.low, box.high)))
    return native


def _zeros(space: Any) -> Any:
    if isinstance(space, Mapping):
        return {name: _zeros(inner) for name, inner in space.items()}
    return np.zeros(space.shape, space.dtype)


def leaves(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """All values of nested dictionaries, by their paths."""
    by_place: dict[str, Any] = {}
    for key, value in content.items():
        path = f"{prefix}{key}"
        by_place |= leaves(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return by_place


def shape_text(value: Any) -> str:
    """Shape and type of an array, for people."""
    array = np.asarray(value)
    return f"{array.shape} {array.dtype}" if array.ndim else f"a single {array.dtype}"
