"""Random sampling of hyperparameters, the same on every machine and for ever.

Every draw is a function of the seed, its number and the hyperparameter's name alone. Raising the
count, or adding an experiment or another hyperparameter, leaves the samples before as they were.
"""

import itertools
import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

from gr00t_assets.core.files import FrozenModel

DIGITS = 3
"""Significant digits of a sampled number."""

DistributionName = Literal["uniform", "log_uniform", "int_uniform"]
DISTRIBUTIONS = get_args(DistributionName)


class Distribution(FrozenModel):
    """Where the values of one hyperparameter are drawn from."""

    distribution: DistributionName
    low: float
    high: float

    def value(self, share: float) -> float | int:
        """The quantile at ``share``, rounded to three significant digits and inside the bounds.

        Whole numbers are not rounded; ``low`` and ``high`` are both among them.

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

    @property
    def problem(self) -> tuple[str, str] | None:
        """Field and message of bounds that cannot be drawn from; None where they can."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return "low", "low and high are finite numbers"
        if self.low >= self.high:
            return "high", f"high {self.high:g} is not above low {self.low:g}"
        if self.distribution == "log_uniform" and self.low <= 0:
            return "low", f"log_uniform needs low above 0, points {self.low:g}"
        if self.distribution == "int_uniform":
            for name in ("low", "high"):
                if not getattr(self, name).is_integer():
                    return name, f"int_uniform needs whole numbers, points {getattr(self, name):g}"
        return None


Choice = Distribution | list[Any]


def samples(choices: Mapping[str, Choice], count: int, seed: int) -> list[dict[str, Any]]:
    """Different samples of hyperparameters, in an order that depends on nothing but the seed.

    Args:
        choices: By hyperparameter the values to choose from, each as likely, or a distribution.
        count: Samples wanted.
        seed: Another seed gives other samples.

    Returns:
        At most ``count``; fewer where the choices have no more combinations.
    """
    points: dict[str, dict[str, Any]] = {}
    missed = 0
    for number in itertools.count():
        point = {name: _drawn(choice, name, number, seed) for name, choice in choices.items()}
        key = repr(point)
        missed = missed + 1 if key in points else 0
        points.setdefault(key, point)
        if len(points) >= count or missed > 1000 + 50 * count:
            break
    return list(points.values())[:count]


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
    if isinstance(value, int):
        return str(value)
    text = f"{value:.{DIGITS}g}"
    if value and (abs(value) < 1e-2 or "e" in text):
        mantissa, _, exponent = f"{value:.{DIGITS - 1}e}".partition("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text
