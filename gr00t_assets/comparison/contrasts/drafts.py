"""Contrasts before their verdicts: two sides, their levels, and the noise of the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gr00t_assets.comparison.contrasts.configurations import Configuration
from gr00t_assets.comparison.contrasts.contrast import Change
from gr00t_assets.comparison.contrasts.noise import WITHIN_DEGREES, Level, Spread


@dataclass(frozen=True)
class Draft:
    """A contrast before its verdict.

    Attributes:
        low: One side.
        high: The other.
        changes: What differs.
        low_level: Loss of the low side.
        high_level: Loss of the high side.
        spread: Run-to-run spread of their class; None where the spread is what is asked about,
            that is, for the seed.
        basis: Where the losses are taken.
    """

    low: Configuration
    high: Configuration
    changes: tuple[Change, ...]
    low_level: Level
    high_level: Level
    spread: Spread | None
    basis: str = "end"

    @cached_property
    def confounders(self) -> int:
        """Number of factors that changed besides the one that is asked about."""
        return sum(change.material and not change.implied for change in self.changes[1:])

    @property
    def log_ratio(self) -> float:
        """Log of the ratio of the two losses, high over low."""
        return self.high_level.mean - self.low_level.mean

    @property
    def within(self) -> float:
        """Variance of the log ratio from noise within the runs."""
        return self.low_level.within + self.high_level.within

    @property
    def variance(self) -> float:
        """Variance of the log ratio, both kinds of noise included."""
        if self.spread is None:
            return self.within
        return self.low_level.variance(self.spread) + self.high_level.variance(self.spread)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the variance; 0 where it is taken as known."""
        return self.spread.degrees if self.spread else WITHIN_DEGREES

    @property
    def explained(self) -> float:
        """Variance of the log ratio from all noise that was measured."""
        measured = self.spread is None or self.spread.measured
        return self.variance if measured else self.within


@dataclass(frozen=True)
class MatchedDraft(Draft):
    """All clean pairs with the same two values of the factor, each pair with other settings.

    A grid repeats every value of a factor beside each value of the others, so it tells noise even
    where no configuration has a second seed. The effect is the mean of the pairs' log ratios. Its
    variance is that from the noise of the runs, or where it is larger, that from the differences
    between the pairs, which have in them whatever the effect owes to the other settings.

    Attributes:
        pairs: The clean pairs.
    """

    pairs: tuple[Draft, ...] = ()

    @cached_property
    def _by_noise(self) -> float:
        return sum(pair.variance for pair in self.pairs) / len(self.pairs) ** 2

    @cached_property
    def _by_differences(self) -> float:
        return float(np.var([pair.log_ratio for pair in self.pairs], ddof=1)) / len(self.pairs)

    @property
    def variance(self) -> float:
        """Variance of the mean log ratio."""
        return max(self._by_noise, self._by_differences)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the variance; 0 where it is taken as known."""
        if self._by_differences > self._by_noise:
            return len(self.pairs) - 1
        return self.pairs[0].degrees


def matched(drafts: Sequence[Draft]) -> list[MatchedDraft]:
    """One draft for each two values of the factor that at least two clean pairs share."""
    groups: dict[tuple[object, ...], list[Draft]] = {}
    for draft in drafts:
        if not draft.confounders and draft.basis == "end" and draft.spread is not None:
            asked = draft.changes[0]
            key = (draft.low.comparable, asked.low, asked.high)
            groups.setdefault(key, []).append(draft)
    return [_matched(pairs) for pairs in groups.values() if len(pairs) > 1]


def _matched(pairs: Sequence[Draft]) -> MatchedDraft:
    shared = [one for one in pairs[0].changes if all(one in pair.changes for pair in pairs)]
    return MatchedDraft(
        low=_together([pair.low for pair in pairs]),
        high=_together([pair.high for pair in pairs]),
        changes=tuple(shared),
        low_level=_mean([pair.low_level for pair in pairs]),
        high_level=_mean([pair.high_level for pair in pairs]),
        spread=pairs[0].spread,
        pairs=tuple(pairs),
    )


def _together(found: Sequence[Configuration]) -> Configuration:
    once = {id(one): one for one in found}.values()
    return Configuration(tuple(run for one in once for run in one.observations), found[0].material)


def _mean(levels: Sequence[Level]) -> Level:
    count = len(levels)
    within = sum(one.within for one in levels) / count**2
    variances = tuple(value for one in levels for value in one.variances)
    return Level(sum(one.mean for one in levels) / count, within, variances)
