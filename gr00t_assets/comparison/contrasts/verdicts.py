"""From what two sides of a contrast estimate, and the noise of it, to verdicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gr00t_assets.comparison.contrasts.contrast import Contrast, Verdict
from gr00t_assets.comparison.contrasts.factors import Configuration
from gr00t_assets.comparison.contrasts.noise import (
    ASSUMED_SPREAD,
    LEVEL,
    WITHIN_DEGREES,
    Level,
    Spread,
    holm_levels,
    quantiles,
    tails,
)
from gr00t_assets.comparison.run import Change
from gr00t_assets.comparison.wording import SENTENCES, in_words, value_words

_REASONS = SENTENCES["reasons"]


@dataclass(frozen=True)
class ContrastEstimate:
    """What a contrast estimates, and the noise of it, before its verdict.

    ``spread`` is that of their class from run to run, None where it is what is asked about, that
    is, for the seed.
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
    def variance(self) -> float:
        """Variance of the log ratio, both kinds of noise included."""
        if self.spread is None:
            return self.low_level.within + self.high_level.within
        return self.low_level.variance(self.spread) + self.high_level.variance(self.spread)

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the variance; 0 where it is taken as known."""
        return self.spread.degrees if self.spread else WITHIN_DEGREES

    @property
    def explained(self) -> float:
        """Variance of the log ratio from all noise that was measured."""
        if self.spread is None or self.spread.measured:
            return self.variance
        return self.low_level.within + self.high_level.within


@dataclass(frozen=True)
class MatchedPairs(ContrastEstimate):
    """All clean pairs with the same two values of the factor, each pair with other settings.

    A grid repeats every value of a factor beside each value of the others, so it tells noise even
    where no configuration has a second seed. The effect is the mean of the pairs' log ratios. Its
    variance is that from the noise of the runs, or where it is larger, that from the differences
    between the pairs, which have in them whatever the effect owes to the other settings.
    """

    pairs: tuple[ContrastEstimate, ...] = ()

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


def matched(estimates: Sequence[ContrastEstimate]) -> list[MatchedPairs]:
    """One estimate for each two values of the factor that at least two clean pairs share."""
    groups: dict[tuple[object, ...], list[ContrastEstimate]] = {}
    for estimate in estimates:
        if not estimate.confounders and estimate.basis == "end" and estimate.spread is not None:
            asked = estimate.changes[0]
            key = (estimate.low.comparable, asked.low, asked.high)
            groups.setdefault(key, []).append(estimate)
    return [
        MatchedPairs(
            low=_together([pair.low for pair in pairs]),
            high=_together([pair.high for pair in pairs]),
            changes=tuple(
                change
                for change in pairs[0].changes
                if all(change in pair.changes for pair in pairs)
            ),
            low_level=_mean([pair.low_level for pair in pairs]),
            high_level=_mean([pair.high_level for pair in pairs]),
            spread=pairs[0].spread,
            pairs=tuple(pairs),
        )
        for pairs in groups.values()
        if len(pairs) > 1
    ]


def judged(factor: str, estimates: Sequence[ContrastEstimate]) -> list[Contrast]:
    """The contrasts of one question, in the order of their estimates.

    The hypothesis that a factor does nothing is tested in every contrast that changed nothing
    else, so the tests are adjusted together: Holm's step-down procedure ("A simple sequentially
    rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979) keeps the
    chance of one false effect among all of them below 5 percent. A contrast's interval has the
    level that it was tested at, so it leaves out zero where the effect stands and only there.
    Confounded contrasts claim nothing and have plain 95 percent intervals. Matched pairs are tested
    with the others, and left out where they show nothing.
    """
    if not estimates:
        return []
    ratios = np.array([estimate.log_ratio for estimate in estimates])
    degrees = np.array([estimate.degrees for estimate in estimates])
    variances = np.array([estimate.variance for estimate in estimates])
    errors = np.sqrt(np.maximum(variances, 1e-18))
    chances = 2 * tails(degrees, np.abs(ratios) / errors)
    clean = np.array([not estimate.confounders for estimate in estimates])
    alphas = np.full(len(estimates), 1 - LEVEL)
    alphas[clean] = holm_levels(chances[clean], 1 - LEVEL)
    halves = quantiles(degrees, alphas / 2) * errors
    measured = np.sqrt([estimate.explained for estimate in estimates])
    explained = np.abs(ratios) <= measured * quantiles(0 * degrees, alphas / 2)
    return [
        _contrast(factor, estimate, float(half), bool(inner))
        for estimate, half, ratio, inner in zip(estimates, halves, ratios, explained, strict=True)
        if not isinstance(estimate, MatchedPairs) or abs(ratio) > half
    ]


def _together(members: Sequence[Configuration]) -> Configuration:
    once = {id(item): item for item in members}.values()
    return Configuration(tuple(run for item in once for run in item.runs), members[0].material)


def _mean(levels: Sequence[Level]) -> Level:
    count = len(levels)
    within = sum(item.within for item in levels) / count**2
    variances = tuple(value for item in levels for value in item.variances)
    return Level(sum(item.mean for item in levels) / count, within, variances)


def _contrast(factor: str, estimate: ContrastEstimate, half: float, explained: bool) -> Contrast:
    """The contrast with its verdict, from half the interval of its log ratio.

    Losses are put about their geometric mean ``m``, where a log ratio ``r`` is a difference of
    ``2 m sinh(r / 2)``.
    """
    ratio = estimate.log_ratio
    verdict: Verdict = "inconclusive"
    if estimate.confounders:
        verdict = "confounded"
    elif abs(ratio) > half:
        verdict = "controlled"
    elif explained and half < math.inf:
        verdict = "within_noise"
    middle = math.exp((estimate.low_level.mean + estimate.high_level.mean) / 2)
    interval = (ratio - half, ratio + half)
    low, effect, high = (
        2 * middle * math.sinh(end / 2) if math.isfinite(end) else end
        for end in (interval[0], ratio, interval[1])
    )
    return Contrast(
        factor=factor,
        low=estimate.low.runs,
        high=estimate.high.runs,
        changes=estimate.changes,
        effect=effect,
        interval=(low, high) if half < math.inf else None,
        ratio=math.exp(ratio),
        verdict=verdict,
        reason=_reason(verdict, estimate, half),
        basis=estimate.basis,
    )


def _reason(verdict: Verdict, estimate: ContrastEstimate, half: float) -> str:
    """Why a contrast has its verdict, from half the interval of its log ratio."""
    asked, spread, kind = estimate.changes[0], estimate.spread, str(verdict)
    if verdict == "within_noise":
        single = len(estimate.low.by_seed) == 1 and len(estimate.high.by_seed) == 1
        kind += ", not repeated" if single else ""
    if verdict == "inconclusive" and math.isinf(half):
        kind += ", short window"
    elif verdict == "inconclusive" and spread and spread.measured:
        kind += ", few repeated"
    noise = f"run-to-run spread assumed to be {100 * ASSUMED_SPREAD:.0f} percent"
    if spread is None:
        noise = "noise within the runs"
    elif spread.measured:
        noise = (
            f"run-to-run spread {100 * math.expm1(spread.between):.0f} percent, from "
            f"{spread.runs} repeated runs"
        )
    alone = f"Only {asked.factor} changed"
    if isinstance(estimate, MatchedPairs):
        alone += f" in {len(estimate.pairs)} pairs at other settings"
    others = [item for item in estimate.changes[1:] if item.material and not item.implied]
    ratio = estimate.log_ratio
    return _REASONS[kind].format(
        others=in_words(others, "{factor} ({low} and {high})"),
        factor=asked.factor,
        alone=alone,
        low=value_words(asked.low),
        high=value_words(asked.high),
        where="" if estimate.basis == "end" else f" at {estimate.basis}",
        ratio=_times(ratio),
        interval=f"{_times(ratio - half)} to {_times(ratio + half)}" if half < math.inf else "",
        noise=noise,
    )


def _times(log_ratio: float) -> str:
    return f"{math.exp(log_ratio):.2g}" if abs(log_ratio) < 20 else f"{math.exp(log_ratio):.0e}"
