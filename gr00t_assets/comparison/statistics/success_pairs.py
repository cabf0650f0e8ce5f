"""Success of configurations, over one run or several, and in pairs.

A run's outcomes are ``{seed of the episode: success}``. Two single runs are compared as these two
policies: by McNemar's exact test where both met the same episodes, else by Barnard's. Where a
configuration was trained with several seeds, runs are the unit: what differs from run to run counts
as well as what differs between episodes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np

from gr00t_assets.comparison.statistics.success import (
    LEVEL,
    MOST_EXACT,
    barnard,
    holm,
    mcnemar,
    rollouts_needed,
    sequential_p,
)
from gr00t_assets.evaluation.intervals import Interval, SuccessRate

Outcomes = Mapping[int, bool]

MOST_PAIRED = 20
"""Configurations, the highest rates first, of which every two are compared."""


class BetweenRuns(NamedTuple):
    """Variance between training seeds of ``arcsin(sqrt(rate))``, pooled over configurations.

    Of an episode's own chance as well; 0 degrees of freedom where no configuration has two runs.
    """

    variance: float = 0.0
    degrees: int = 0


ONE_RUN_EACH = BetweenRuns()


@dataclass(frozen=True)
class SuccessEstimate:
    """Success of one configuration over its runs, one or several; not none.

    Attributes:
        runs: Of each training seed.
        between: Of all configurations of the environment.
    """

    runs: tuple[Outcomes, ...]
    between: BetweenRuns = ONE_RUN_EACH

    @property
    def counts(self) -> SuccessRate:
        """Over all episodes of all runs."""
        return SuccessRate(
            successes=sum(sum(run.values()) for run in self.runs), episodes=sum(map(len, self.runs))
        )

    @property
    def by_run(self) -> tuple[SuccessRate, ...]:
        """Of each run."""
        return tuple(SuccessEstimate((run,)).counts for run in self.runs)

    @property
    def rate(self) -> float:
        """Over all episodes of all runs."""
        return self.counts.rate

    @cached_property
    def interval(self) -> Interval:
        """At 95 percent: Wilson's of one run; of several, what new runs and episodes may give."""
        if len(self.runs) == 1:
            return self.counts.wilson()
        from scipy.special import stdtrit

        variance, degrees = self.variance
        half = float(stdtrit(degrees, 1 - LEVEL / 2)) * math.sqrt(variance)
        low, high = _rate(self.angle - half), _rate(self.angle + half)
        return min(low, self.rate), max(high, self.rate)

    @cached_property
    def angle(self) -> float:
        """``arcsin(sqrt(rate))`` after Anscombe (Biometrika 35, 1948): its variance is constant."""
        return _angle(self.counts)

    @cached_property
    def variance(self) -> tuple[float, float]:
        """Of ``angle``, with Satterthwaite's degrees of freedom.

        That between episodes, which runs share, and that between runs; the chance of a run's own
        episodes is in both, so that intervals of several runs are rather too wide.
        """
        by_episode: dict[int, list[bool]] = {}
        for run in self.runs:
            for seed, success in run.items():
                by_episode.setdefault(seed, []).append(success)
        rate, total, groups = self.rate, self.counts.episodes, len(by_episode)
        episodes = 1 / (4 * groups)
        if 0 < rate < 1 and groups > 1:
            squares = sum((sum(values) - len(values) * rate) ** 2 for values in by_episode.values())
            spread = groups / (groups - 1) * squares / total**2 / (4 * rate * (1 - rate))
            episodes = max(spread, 1 / (4 * total))
        between = self.between.variance / len(self.runs)
        below = episodes**2 / max(1, groups - 1) + between**2 / max(1, self.between.degrees)
        return episodes + between, (episodes + between) ** 2 / below


@dataclass(frozen=True)
class SuccessPair:
    """Success of a second policy against a first one.

    Attributes:
        difference: Rate of the second minus that of the first.
        interval: Of the difference at 95 percent, of single runs Newcombe's (Statistics in Medicine
            17, 1998).
        p_value: That they differ by chance; ``adjusted`` replaces it.
        test: ``McNemar``, ``Barnard``, ``score``, or ``t over runs``.
        sequential_p: The same where one may look after every episode; None for several runs.
        rollouts: Episodes a side that would settle it at 80 percent power if the rates stay as they
            are; None where the rates are equal or ``MOST_ROLLOUTS`` are too few.
    """

    difference: float
    interval: Interval
    p_value: float
    test: str
    sequential_p: float | None = None
    rollouts: int | None = None

    @property
    def told_apart(self) -> bool:
        """Whether one is known to succeed more often."""
        return self.p_value < LEVEL

    @property
    def words(self) -> str:
        """What the second one does.

        Examples:
            >>> SuccessPair(0.2, (0.03, 0.36), 0.02, "McNemar").words
            'succeeds in 20 of 100 more (+3 to +36)'
            >>> SuccessPair(-0.04, (-0.2, 0.12), 0.7, "McNemar", None, 1500).words
            'cannot be told apart: succeeds in 4 of 100 fewer (-20 to +12)'
        """
        verdict = "" if self.told_apart else "cannot be told apart: "
        low, high = (f"{100 * end:+.0f}" for end in self.interval)
        word = "fewer" if self.difference < 0 else "more"
        points = f"{100 * abs(self.difference):.0f} of 100 {word}"
        return f"{verdict}succeeds in {points} ({low} to {high})"


def compared(first: SuccessEstimate, second: SuccessEstimate) -> SuccessPair:
    """The second against the first configuration, each with one run or several."""
    difference = second.rate - first.rate
    sides = (first, second)
    rollouts = rollouts_needed(first.rate, second.rate)
    if max(len(side.runs) for side in sides) > 1:
        ends, p_value = _over_runs(first, second)
        return SuccessPair(difference, ends, p_value, "t over runs", None, rollouts)
    here, there = first.runs[0], second.runs[0]
    if here.keys() == there.keys():
        better = sum(there[seed] and not here[seed] for seed in here)
        worse = sum(here[seed] and not there[seed] for seed in here)
        p_value, test = mcnemar(better, worse), "McNemar"
        ends = difference_interval(first, second, correlation(here, there))
    else:
        exact = max(len(here), len(there)) <= MOST_EXACT
        p_value = barnard(first.counts, second.counts)
        test, ends = "Barnard" if exact else "score", difference_interval(first, second)
    steps = [int(there[b]) - int(here[a]) for a, b in zip(here, there, strict=False)]
    return SuccessPair(difference, ends, p_value, test, sequential_p(steps), rollouts)


def between_runs(configurations: Sequence[Sequence[Outcomes]]) -> BetweenRuns:
    """Variance between the runs of each configuration, pooled over all of them."""
    squares, degrees = 0.0, 0
    for runs in configurations:
        angles = np.array([_angle(SuccessEstimate((run,)).counts) for run in runs])
        squares += float(((angles - angles.mean()) ** 2).sum())
        degrees += len(angles) - 1
    return BetweenRuns(squares / degrees, degrees) if degrees else BetweenRuns()


def adjusted(pairs: Sequence[SuccessPair]) -> list[SuccessPair]:
    """The pairs of one table with p values by Holm."""
    values = holm([pair.p_value for pair in pairs])
    return [replace(pair, p_value=value) for pair, value in zip(pairs, values, strict=True)]


def against_first(estimates: Sequence[SuccessEstimate]) -> list[SuccessPair]:
    """Each of the first ``MOST_PAIRED`` but the first against the first, adjusted for all pairs.

    All pairs of the table count, since which one is the first was chosen by looking at it.
    """
    shown = estimates[:MOST_PAIRED]
    return adjusted([compared(*pair) for pair in combinations(shown, 2)])[: len(shown) - 1]


def difference_interval(
    first: SuccessEstimate, second: SuccessEstimate, correlated: float = 0.0
) -> Interval:
    """Of second minus first, from the intervals of both (Newcombe's method 10)."""
    (low1, high1), (low2, high2) = first.interval, second.interval
    down, up = (second.rate - low2, high1 - first.rate), (high2 - second.rate, first.rate - low1)
    difference = second.rate - first.rate
    ends = [math.sqrt(abs(a**2 + b**2 - 2 * correlated * a * b)) for a, b in (down, up)]
    return max(-1.0, difference - ends[0]), min(1.0, difference + ends[1])


def correlation(first: Outcomes, second: Outcomes) -> float:
    """Of the outcomes of the same episodes; 0 where those of one never differ."""
    values = np.array([(first[seed], second[seed]) for seed in first], dtype=float)
    return float(np.corrcoef(values.T)[0, 1]) if values.std(axis=0).all() else 0.0


def _over_runs(first: SuccessEstimate, second: SuccessEstimate) -> tuple[Interval, float]:
    """Interval of second minus first and the p value of a t test, both of the angles.

    The interval leaves out 0 where the p value is below ``LEVEL``: what the angles may differ by,
    about their mean.
    """
    from scipy.special import stdtr, stdtrit

    (one, of_one), (other, of_other) = first.variance, second.variance
    degrees = (one + other) ** 2 / (one**2 / of_one + other**2 / of_other)
    apart, error = second.angle - first.angle, math.sqrt(one + other)
    half = float(stdtrit(degrees, 1 - LEVEL / 2)) * error
    mean, observed = (first.angle + second.angle) / 2, second.rate - first.rate
    low, high = (
        _rate(mean + end / 2) - _rate(mean - end / 2) for end in (apart - half, apart + half)
    )
    p_value = float(2 * stdtr(degrees, -abs(apart) / error))
    return (min(low, observed), max(high, observed)), p_value


def _rate(angle: float) -> float:
    return math.sin(min(math.pi / 2, max(0.0, angle))) ** 2


def _angle(counts: SuccessRate) -> float:
    return math.asin(math.sqrt((counts.successes + 3 / 8) / (counts.episodes + 3 / 4)))
