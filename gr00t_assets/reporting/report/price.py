"""What a GPU-hour costs, where somebody has said it."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from gr00t_assets.core.errors import Gr00tAssetsError

VARIABLE = "GR00T_ASSETS_GPU_PRICE"


@dataclass(frozen=True)
class Price:
    """Price of one GPU for one hour; ``currency`` is empty where none was named."""

    per_gpu_hour: float
    currency: str = ""

    def of(self, gpu_hours: float) -> str:
        """Cost of so many GPU-hours, in words.

        Example:
            >>> Price(2.5, "EUR").of(4.0)
            '10.00 EUR'
        """
        return f"{self.per_gpu_hour * gpu_hours:,.2f} {self.currency}".strip()


def price_per_gpu_hour(environment: Mapping[str, str] | None = None) -> Price | None:
    """The price in ``GR00T_ASSETS_GPU_PRICE``, such as ``2.49`` or ``2.49 EUR``; None without one.

    Raises:
        Gr00tAssetsError: It is not a number of at least 0.

    Example:
        >>> price_per_gpu_hour({"GR00T_ASSETS_GPU_PRICE": "2.49 EUR"})
        Price(per_gpu_hour=2.49, currency='EUR')
    """
    text = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
    if not text:
        return None
    number, _, currency = text.partition(" ")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise Gr00tAssetsError(
            VARIABLE,
            f"'{text}' is no price of a GPU-hour.",
            ["expected a number of at least 0, with a currency where you like: 2.49 EUR"],
        )
    return Price(value, currency.strip())
