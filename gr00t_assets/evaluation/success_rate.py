"""How many of some episodes succeeded, with intervals."""

from typing import Self

from pydantic import Field, model_validator

from gr00t_assets.core.files import FrozenModel

Interval = tuple[float, float]


class SuccessRate(FrozenModel):
    """Successes among independent episodes.

    Examples:
        >>> SuccessRate(successes=25, episodes=50).words()
        '25 of 50 (50 %, 37 to 63 %)'
    """

    successes: int = Field(ge=0)
    episodes: int = Field(ge=0)

    @model_validator(mode="after")
    def _no_more_than_episodes(self) -> Self:
        if self.successes > self.episodes:
            raise ValueError(f"{self.successes} successes in {self.episodes} episodes")
        return self

    @property
    def rate(self) -> float:
        """Share of the episodes that succeeded; 0 where there are none."""
        return self.successes / self.episodes if self.episodes else 0.0

    def wilson(self, level: float = 0.95) -> Interval:
        """Score interval (Wilson, JASA 22, 1927): on average over rates it holds its level."""
        return self._interval("wilson", level)

    def clopper_pearson(self, level: float = 0.95) -> Interval:
        """Exact interval (Clopper and Pearson, Biometrika 26, 1934): never under its level."""
        return self._interval("exact", level)

    def words(self, level: float = 0.95, interval: Interval | None = None) -> str:
        """Counts, rate and an interval in percent; Wilson's where none is given."""
        if not self.episodes:
            return "no episode"
        low, high = (f"{100 * end:.0f}" for end in interval or self.wilson(level))
        counts = f"{self.successes:,} of {self.episodes:,}"
        return f"{counts} ({100 * self.rate:.0f} %, {low} to {high} %)"

    def _interval(self, method: str, level: float) -> Interval:
        from scipy.stats import binomtest

        if not self.episodes:
            return 0.0, 1.0
        ends = binomtest(self.successes, self.episodes).proportion_ci(level, method=method)  # pyright: ignore[reportArgumentType]
        return float(ends.low), float(ends.high)
