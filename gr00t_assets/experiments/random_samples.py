"""Random sampling of hyperparameters, the same on every machine and for ever.

Every draw is a function of the seed, its number and the hyperparameter's name alone. Raising the
count, or adding an experiment or another hyperparameter, leaves the samples before as they were.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, ValidationInfo, field_validator

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.units import short_number
from gr00t_assets.core.yaml_files import explained_error

DIGITS = 3
"""Significant digits of a sampled number."""


class Distribution(FrozenModel):
    """Where the values of one hyperparameter are drawn from."""

    distribution: Literal["uniform", "log_uniform", "int_uniform"]
    low: float
    high: float

    @field_validator("low", "high")
    @classmethod
    def _can_be_drawn(cls, value: float, info: ValidationInfo) -> float:
        kind, low = info.data.get("distribution"), info.data.get("low", -math.inf)
        if not math.isfinite(value):
            raise explained_error("low and high are finite numbers")
        if kind == "int_uniform" and not value.is_integer():
            raise explained_error(f"int_uniform needs whole numbers, not {value:g}")
        if kind == "log_uniform" and value <= 0:
            raise explained_error(f"log_uniform needs low above 0, not {value:g}")
        if info.field_name == "high" and value <= low:
            raise explained_error(f"high {value:g} is not above low {low:g}")
        return value

    def value(self, share: float) -> float | int:
        """The quantile at ``share``, to three digits but for whole numbers, inside the bounds.

        Examples:
            >>> Distribution(distribution="log_uniform", low=1e-5, high=1e-3).value(0.5)
            0.0001
        """
        if self.distribution == "int_uniform":
            low, high = int(self.low), int(self.high)
            return min(high, low + math.floor(share * (high - low + 1)))
        if self.distribution == "log_uniform":
            exact = math.exp(math.log(self.low) + share * math.log(self.high / self.low))
        else:
            exact = self.low + share * (self.high - self.low)
        return min(self.high, max(self.low, float(f"{exact:.{DIGITS}g}")))

    def bound(self, name: Literal["low", "high"]) -> float | int:
        """A bound as it is drawn."""
        value = getattr(self, name)
        return int(value) if self.distribution == "int_uniform" else value


CHOICE_FORMS = LISTED, DRAWN = "listed", "drawn"
"""Names of the forms of a choice, which pydantic puts into the places of its errors."""

Choice = Annotated[
    Annotated[list[Any], Tag(LISTED)] | Annotated[Distribution, Tag(DRAWN)],
    Discriminator(
        lambda value: {list: LISTED, dict: DRAWN, Distribution: DRAWN}.get(type(value)),
        custom_error_type="choice",
        custom_error_message="expected a list of values, or distribution, low and high",
    ),
]
"""What one hyperparameter is drawn from: values that are each as likely, or a distribution."""


def samples(choices: Mapping[str, Choice], count: int, seed: int) -> list[dict[str, Any]]:
    """Different samples of hyperparameters, in an order that depends on nothing but the seed.

    At most ``count``; fewer where the choices have no more combinations.
    """
    points: dict[str, dict[str, Any]] = {}
    number = missed = 0
    while len(points) < count and missed <= 1000 + 50 * count:
        point = {name: _drawn(choice, name, number, seed) for name, choice in choices.items()}
        missed = missed + 1 if repr(point) in points else 0
        points.setdefault(repr(point), point)
        number += 1
    return list(points.values())


def _drawn(choice: Choice, name: str, number: int, seed: int) -> Any:
    share = _share(seed, number, name)
    if isinstance(choice, Distribution):
        return choice.value(share)
    return choice[min(len(choice) - 1, math.floor(share * len(choice)))]


def _share(seed: int, number: int, name: str) -> float:
    """A number in [0, 1).

    It comes from the bits of PCG64 and not from a Generator: numpy keeps the first the same for
    ever and not the second (NEP 19), and a sample that changes is an experiment to train again.
    """
    import numpy as np

    entropy = [seed, number, int.from_bytes(name.encode(), "big")]
    return int(np.random.PCG64(np.random.SeedSequence(entropy)).random_raw() >> 11) / 2**53


def short_value(value: float | int) -> str:
    """A drawn number as it stands in a name.

    Examples:
        >>> short_value(0.000123), short_value(0.05), short_value(8)
        ('1.23e-4', '0.05', '8')
    """
    return str(value) if isinstance(value, int) else short_number(value, DIGITS)
