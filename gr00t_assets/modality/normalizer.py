"""Normalisation of one key's numbers, and back; the formulas are Isaac-GR00T's."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gr00t_assets.modality.config import ChunkStatistics, Statistics


@dataclass(frozen=True)
class Normalizer:
    """One mode with the statistics that it needs.

    Attributes:
        mode: ``min_max`` maps [min, max] to [-1, 1]; ``q99`` does so with the 1st and 99th
            percentile and clips; ``mean_std`` subtracts the mean and divides by the standard
            deviation; ``binary`` is 1 above 0.5, else 0.
        low: min, q01 or mean, (D,); of a relative action (horizon, D).
        high: max, q99 or standard deviation, of the same shape.
    """

    mode: str
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, mode: str, statistics: Statistics | ChunkStatistics) -> "Normalizer":
        """The normaliser of a mode over a key's own statistics."""
        low, high = _NAMES[mode]
        return cls(mode, np.array(getattr(statistics, low)), np.array(getattr(statistics, high)))

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Normalise (..., D).

        A dimension that never changes gives 0 under ``min_max``; under ``q99`` and ``mean_std`` it
        stays as it is.

        Examples:
            >>> normalizer = Normalizer("min_max", np.array([0.0, 1.0]), np.array([4.0, 1.0]))
            >>> normalizer.forward(np.array([3.0, 1.0]))
            array([0.5, 0. ])
        """
        if self.mode == "binary":
            return (values > 0.5).astype(values.dtype)
        if self.mode == "mean_std":
            varies = self.high != 0
            scaled = (values - self.low) / np.where(varies, self.high, 1.0)
            return np.where(varies, scaled, values)
        varies = self.low != self.high
        span = np.where(varies, self.high - self.low, 1.0)
        scaled = 2 * ((values - self.low) / span) - 1
        if self.mode == "min_max":
            return np.where(varies, scaled, 0.0)
        return np.clip(np.where(varies, scaled, values), -1.0, 1.0)

    def inverse(self, values: np.ndarray) -> np.ndarray:
        """Back to the data's units, (..., D); what lies outside [-1, 1] is not clipped."""
        if self.mode == "binary":
            return (values > 0.5).astype(values.dtype)
        if self.mode == "mean_std":
            return values * self.high + self.low
        return (values + 1) / 2 * (self.high - self.low) + self.low


_NAMES: Mapping[str, tuple[str, str]] = {
    "min_max": ("min", "max"),
    "q99": ("q01", "q99"),
    "mean_std": ("mean", "std"),
    "binary": ("min", "max"),
}
