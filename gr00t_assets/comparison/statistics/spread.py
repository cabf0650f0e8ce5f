"""How much two runs of one configuration differ, and the observations that tell it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from gr00t_assets.comparison.statistics.factors import Configuration

SMALLEST_SPREAD = 1e-6
"""Standard deviations of a log loss below it are rounding."""


@dataclass(frozen=True)
class Spread:
    """How much two runs of one configuration differ, and where that is known from.

    Attributes:
        deviation: Standard deviation of the log loss; None where nothing tells.
        degrees: Degrees of freedom of it.
        source: Repeated seeds of the class, what the model leaves over, repeated runs of similar
            classes, or nothing.
        runs: It was estimated from so many.
    """

    deviation: float | None = None
    degrees: int = 0
    source: Literal["repeated seeds", "residual", "similar classes", "none"] = "none"
    runs: int = 0

    @property
    def variance(self) -> float:
        """The square of the deviation; 0 where nothing tells."""
        return (self.deviation or 0.0) ** 2

    @property
    def percent(self) -> float | None:
        """The deviation as a share of the loss, in percent."""
        return None if self.deviation is None else 100 * math.expm1(self.deviation)


class Observation(NamedTuple):
    """Runs of one configuration that count once: equal seeds, or losses equal to the last digit."""

    cell: int
    seed: object
    log_loss: float


def observations(members: Sequence[Configuration]) -> list[Observation]:
    """What the model is fitted to, configuration by configuration."""
    rows = []
    for cell, item in enumerate(members):
        seed_of: dict[float, object] = {}
        for number, (runs, loss) in enumerate(zip(item.by_seed, item.log_losses, strict=True)):
            seed = runs[0].settings.get("seed")
            seed_of.setdefault(loss, ("unknown", cell, number) if seed is None else seed)
        rows += [Observation(cell, seed, loss) for loss, seed in seed_of.items()]
    return rows


def repeated_spread(members: Sequence[Configuration]) -> Spread:
    """The spread between the seeds of configurations, pooled; a seed's own effect is in it."""
    groups: dict[int, list[float]] = {}
    for row in observations(members):
        groups.setdefault(row.cell, []).append(row.log_loss)
    repeated = [losses for losses in groups.values() if len(losses) > 1]
    degrees = sum(len(losses) - 1 for losses in repeated)
    if not degrees:
        return Spread()
    squares = sum((len(losses) - 1) * float(np.var(losses, ddof=1)) for losses in repeated)
    deviation = max(SMALLEST_SPREAD, math.sqrt(squares / degrees))
    return Spread(deviation, degrees, "repeated seeds", sum(map(len, repeated)))


def pooled(spreads: Iterable[Spread]) -> Spread:
    """The spread of similar classes: variances weighted by their degrees of freedom."""
    known = [item for item in spreads if item.deviation is not None]
    degrees = sum(item.degrees for item in known)
    if not degrees:
        return Spread()
    deviation = math.sqrt(sum(item.degrees * item.variance for item in known) / degrees)
    return Spread(deviation, degrees, "similar classes", sum(item.runs for item in known))
