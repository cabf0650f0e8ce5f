"""Where a value stands in what an environment shows, takes and tells, as it is declared."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from gr00t_assets.core.files import FrozenModel

_PLACE = re.compile(r"(?P<path>[\w-]+(\.[\w-]+)*)(\[(?P<numbers>\d+|\d*:\d*)\])?")
_READING = re.compile(
    r"(?P<path>reward|terminated|info(\.[\w-]+)+)"
    r"(\s*(?P<operator>>=|<=|==|>|<)\s*(?P<number>-?\d+(\.\d*)?([eE][+-]?\d+)?))?"
)
_COMPARE: Mapping[str | None, Callable[[float, float], bool]] = {
    None: lambda value, _: bool(value),
    ">=": lambda value, number: value >= number,
    "<=": lambda value, number: value <= number,
    "==": lambda value, number: value == number,
    ">": lambda value, number: value > number,
    "<": lambda value, number: value < number,
}


class Place(FrozenModel):
    """A value inside an observation or an action: ``pixels.front``, ``state[0:5]``.

    Attributes:
        path: Keys of nested dictionaries; an observation that is an array alone is "observation".
        numbers: The numbers of a vector that are meant, from and to; all where left out.
    """

    path: tuple[str, ...]
    numbers: tuple[int | None, int | None] = (None, None)

    @property
    def part(self) -> slice:
        """The numbers as a slice."""
        return slice(*self.numbers)


class Reading(FrozenModel):
    """What tells success or score: a value of a step, compared with a number where one is given."""

    path: tuple[str, ...]
    operator: Literal[">=", "<=", "==", ">", "<"] | None = None
    number: float | None = None

    def value(self, step: Mapping[str, Any]) -> float:
        """The value itself.

        Raises:
            LookupError: The step does not have it.
            ValueError: It is no number.
        """
        value = item(step, self.path)
        numbers = np.asarray(value, float).ravel()
        if len(numbers) != 1:
            raise ValueError(f"{'.'.join(self.path)} is no number: {shape_text(value)}")
        return float(numbers[0])

    def holds(self, step: Mapping[str, Any]) -> bool:
        """Whether the comparison holds, or the value is not zero; raises as ``value`` does."""
        return _COMPARE[self.operator](self.value(step), self.number or 0.0)


def parse_place(text: str) -> Place:
    """Read ``PATH``, ``PATH[a:b]`` or ``PATH[i]``.

    Raises:
        ValueError: It is none of them.

    Examples:
        >>> parse_place("robot.state[0:5]")
        Place(path=('robot', 'state'), numbers=(0, 5))
    """
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError(f"expected a path such as pixels.front or state[0:5], found {text!r}")
    low, colon, high = (match["numbers"] or ":").partition(":")
    start = int(low) if low else None
    end = int(high) if high else None if colon else int(low) + 1
    return Place(path=tuple(match["path"].split(".")), numbers=(start, end))


def parse_reading(text: str) -> Reading:
    """Read ``info.PATH``, ``reward`` or ``terminated``, with a comparison or without.

    Raises:
        ValueError: It is none of them.

    Examples:
        >>> parse_reading("reward >= 1").number
        1.0
    """
    match = _READING.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            "expected info.NAME, reward or terminated, with or without a comparison such as "
            f"'reward >= 1', found {text!r}"
        )
    path, operator, number = match["path"].split("."), match["operator"], match["number"]
    return Reading.model_validate({"path": path, "operator": operator, "number": number})


def item(content: Any, path: Sequence[str]) -> Any:
    """What stands at a path of nested dictionaries.

    Raises:
        LookupError: Something of the path is not there.
    """
    for at, name in enumerate(path):
        if not isinstance(content, Mapping) or name not in content:
            raise LookupError(f"there is no {'.'.join(path[: at + 1])}")
        content = content[name]
    return content


def numbers_at(observation: Mapping[str, Any], place: Place) -> np.ndarray:
    """The numbers of a vector, (n,) float64.

    Raises:
        LookupError: It is not there.
        ValueError: It is no vector, or has fewer numbers.
    """
    value = item(observation, place.path)
    vector = np.asarray(value, float)
    if vector.ndim > 1 or max(n or 0 for n in place.numbers) > vector.size:
        raise ValueError(f"{'.'.join(place.path)} is {shape_text(value)}")
    return vector.reshape(-1)[place.part]


def image_at(observation: Mapping[str, Any], place: Place) -> np.ndarray:
    """An image, (H, W, 3) uint8; raises as ``numbers_at`` does."""
    return checked_image(item(observation, place.path))


def checked_image(value: Any) -> np.ndarray:
    """An image, (H, W, 3) uint8.

    Raises:
        ValueError: It is none.
    """
    image = np.asarray(value)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an image (H, W, 3) uint8, found {shape_text(value)}")
    return image


def spread(action: np.ndarray, places: Sequence[Place], space: Any) -> dict[str, Any]:
    """A flat action as a dictionary of arrays, cut to their limits; zero where no place is.

    Args:
        action: (numbers,), in the order of the places.
        places: Of each key in the action.
        space: A Gymnasium ``Dict`` space of ``Box`` spaces.

    Raises:
        LookupError: A place is not in the space.
        ValueError: The places have more or fewer numbers than the action.
    """
    native: dict[str, Any] = {}
    start = 0
    for place in places:
        inner, holder = space, native
        for at, name in enumerate(place.path):
            if name not in getattr(inner, "keys", tuple)():
                raise LookupError(f"there is no {'.'.join(place.path[: at + 1])} in {space}")
            inner = inner[name]
            if at < len(place.path) - 1:
                holder = holder.setdefault(name, {})
        array = holder.setdefault(place.path[-1], np.zeros(inner.shape, inner.dtype))
        numbers, low, high = (
            side.reshape(-1)[place.part] for side in (array, inner.low, inner.high)
        )
        given = action[start : start + len(numbers)]
        if len(given) < len(numbers):
            break
        numbers[...] = np.clip(given, low, high)
        start += len(numbers)
    else:
        if start == len(action):
            return native
    raise ValueError(f"the action has {len(action)} numbers, which do not fit the declared places")


def leaves(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """All values of nested dictionaries, by their paths."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        path = f"{prefix}{key}"
        found |= leaves(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return found


def shape_text(value: Any) -> str:
    """Shape and type of an array, for people."""
    array = np.asarray(value)
    return f"{array.shape} {array.dtype}" if array.ndim else f"a single {array.dtype}"
