"""Success of configurations and pairs of them; a run's outcomes are ``{episode's seed: success}``.

Two single runs are compared as these two policies, by McNemar's exact test where both met the same
episodes, else by Barnard's; of several training seeds the run is the unit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.evaluation.intervals import Interval, SuccessRate, Variance, summed_error

LEVEL = 0.05
MOST_ROLLOUTS = 5000  # Of a side; a difference that needs more is too small to be settled
MOST_EXACT = 400  # Episodes of a side up to which Barnard's test takes under a second
MIXTURE = 2.0  # Both parameters of the sequential test's Beta mixture, for differences near 0.2


def barnard(first: SuccessRate, second: SuccessRate) -> float:
    """p value of Barnard's exact test (Nature 156, 1945) with the pooled score statistic.

    Above ``MOST_EXACT`` episodes of a side that of the score test itself.

    Examples:
        >>> first, second = (SuccessRate(successes=count, episodes=15) for count in (7, 12))
        >>> round(barnard(first, second), 3)
        0.068
    """
    from scipy.stats import barnard_exact, norm

    sides = (first, second)
    pooled = sum(side.successes for side in sides) / max(1, sum(side.episodes for side in sides))
    if not 0 < pooled < 1 or not (first.episodes and second.episodes):
        return 1.0
    if max(side.episodes for side in sides) > MOST_EXACT:
        error = math.sqrt(pooled * (1 - pooled) * sum(1 / side.episodes for side in sides))
        return float(2 * norm.sf(abs(first.rate - second.rate) / error))
    table = [(side.successes, side.episodes - side.successes) for side in sides]
    return float(barnard_exact(np.transpose(table)).pvalue)


def mcnemar(better: int, worse: int) -> float:
    """p value of McNemar's exact test: episodes in which one policy alone succeeded."""
    from scipy.stats import binomtest

    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def sequential_p(steps: Sequence[int]) -> float:
    """p value that holds its level at any number of looks.

    ``steps`` are 1, -1 or 0 for each pair of episodes in order: the second policy alone succeeded,
    the first alone, or both did alike. Without a difference a pair that differs is a fair coin, so
    that the likelihood ratio of a Beta mixture of coins against it is a martingale (Robbins, Annals
    of Mathematical Statistics 41, 1970); by Ville's inequality it ever reaches ``1 / p`` with a
    chance of at most p.

    Examples:
        >>> round(sequential_p([1] * 9), 3), sequential_p([0, 0, 1, -1])
        (0.043, 1.0)
    """
    from scipy.special import betaln

    values = np.asarray(steps, dtype=int)
    better, worse = np.cumsum(values > 0), np.cumsum(values < 0)
    ratios = betaln(MIXTURE + better, MIXTURE + worse) - betaln(MIXTURE, MIXTURE)
    ratios = ratios + (better + worse) * math.log(2)
    return math.exp(-max(0.0, float(ratios.max(initial=0.0))))


def rollouts_needed(first: float, second: float, power: float = 0.8) -> int | None:
    """Episodes a side with which independent rates are told apart at 5 percent, by this power.

    By the normal approximation (Fleiss, Statistical Methods for Rates and Proportions, 1981). None
    where the rates are equal, or ``MOST_ROLLOUTS`` are too few.

    Examples:
        >>> [rollouts_needed(*rates) for rates in ((0.5, 0.7), (0.8, 0.9), (0.85, 0.9))]
        [93, 199, 686]
    """
    from scipy.special import ndtri

    if first == second:
        return None
    mean = (first + second) / 2
    null = float(ndtri(1 - LEVEL / 2)) * math.sqrt(2 * mean * (1 - mean))
    other = float(ndtri(power)) * math.sqrt(first * (1 - first) + second * (1 - second))
    needed = math.ceil(((null + other) / (first - second)) ** 2)
    return needed if needed <= MOST_ROLLOUTS else None


Outcomes = Mapping[int, bool]
MOST_PAIRED = 20  # Configurations, the highest rates first, of which every two are compared


@dataclass(frozen=True)
class SuccessEstimate:
    """Success of one configuration over its runs, of a training seed each; not none."""

    runs: tuple[Outcomes, ...]
    between: Variance = (0.0, 0)  # Of all configurations of the environment

    @cached_property
    def counts(self) -> SuccessRate:
        """Over all episodes of all runs."""
        successes = sum(sum(run.values()) for run in self.runs)
        return SuccessRate(successes=successes, episodes=sum(map(len, self.runs)))

    @property
    def by_run(self) -> tuple[SuccessRate, ...]:
        """Of each run."""
        return tuple(SuccessEstimate((run,)).counts for run in self.runs)

    @property
    def rate(self) -> float:
        """That of ``counts``."""
        return self.counts.rate

    @cached_property
    def interval(self) -> Interval:
        """At 95 percent: Wilson's of one run; of several, what new runs and episodes may give."""
        if len(self.runs) == 1:
            return self.counts.wilson()
        _, _, half = summed_error(self.variances)
        low, high = _rate(self.angle - half), _rate(self.angle + half)
        return min(low, self.rate), max(high, self.rate)

    @cached_property
    def angle(self) -> float:
        """``arcsin(sqrt(rate))`` after Anscombe (Biometrika 35, 1948): its variance is constant."""
        counts = self.counts
        return math.asin(math.sqrt((counts.successes + 3 / 8) / (counts.episodes + 3 / 4)))

    @cached_property
    def variances(self) -> list[Variance]:
        """Of ``angle``: that between episodes, which runs share, and that between runs.

        A run's own episodes are in both, so that intervals of several runs are rather too wide.
        """
        seeds = dict.fromkeys(seed for run in self.runs for seed in run)
        by_episode = {seed: [run[seed] for run in self.runs if seed in run] for seed in seeds}
        rate, total, groups = self.rate, self.counts.episodes, len(by_episode)
        episodes = 1 / (4 * groups)
        if 0 < rate < 1 and groups > 1:
            squares = sum((sum(values) - len(values) * rate) ** 2 for values in by_episode.values())
            spread = groups / (groups - 1) * squares / total**2 / (4 * rate * (1 - rate))
            episodes = max(spread, 1 / (4 * total))
        between, degrees = self.between
        return [(episodes, max(1, groups - 1)), (between / len(self.runs), max(1, degrees))]


@dataclass(frozen=True)
class SuccessPair:
    """Success of a second policy against a first one."""

    difference: float  # Rate of the second minus that of the first
    interval: Interval  # At 95 percent, of single runs Newcombe's (Statistics in Medicine 17, 1998)
    p_value: float  # That they differ by chance; ``against_first`` adjusts it
    test: str  # ``McNemar``, ``Barnard``, ``score``, or ``t over runs``
    sequential_p: float | None = None  # Where one may look at any time; None for several runs
    rollouts: int | None = None  # Episodes a side that would settle it, see ``rollouts_needed``

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
    difference, rollouts = second.rate - first.rate, rollouts_needed(first.rate, second.rate)
    if max(len(first.runs), len(second.runs)) > 1:
        ends, p_value = _over_runs(first, second)
        return SuccessPair(difference, ends, p_value, "t over runs", None, rollouts)
    here, there = first.runs[0], second.runs[0]
    correlation = 0.0
    if here.keys() == there.keys():
        outcomes = np.array([(here[seed], there[seed]) for seed in here], dtype=float)
        steps = np.diff(outcomes).ravel()
        p_value, test = mcnemar(int((steps > 0).sum()), int((steps < 0).sum())), "McNemar"
        if outcomes.std(axis=0).all():
            correlation = float(np.corrcoef(outcomes.T)[0, 1])
    else:
        p_value = barnard(first.counts, second.counts)
        test = "Barnard" if max(len(here), len(there)) <= MOST_EXACT else "score"
    ends = _newcombe(first, second, correlation)
    in_order = [int(there[b]) - int(here[a]) for a, b in zip(here, there, strict=False)]
    return SuccessPair(difference, ends, p_value, test, sequential_p(in_order), rollouts)


def between_runs(configurations: Sequence[Sequence[Outcomes]]) -> Variance:
    """Variance of ``arcsin(sqrt(rate))`` between the runs of each configuration, pooled.

    An episode's own chance is in it; no degrees of freedom where no configuration has two runs.
    """
    squares, degrees = 0.0, 0
    for runs in configurations:
        angles = np.array([SuccessEstimate((run,)).angle for run in runs])
        squares += float(((angles - angles.mean()) ** 2).sum())
        degrees += len(angles) - 1
    return squares / max(1, degrees), degrees


def against_first(estimates: Sequence[SuccessEstimate]) -> list[SuccessPair]:
    """Each of the first ``MOST_PAIRED`` but the first against the first, p values by Holm.

    All pairs of the table count, since which one is the first was chosen by looking at it.
    """
    shown = estimates[:MOST_PAIRED]
    pairs = [compared(*pair) for pair in combinations(shown, 2)]
    adjusted = holm([pair.p_value for pair in pairs])[: len(shown) - 1]
    return [replace(pair, p_value=value) for pair, value in zip(pairs, adjusted, strict=False)]


def _newcombe(first: SuccessEstimate, second: SuccessEstimate, correlation: float) -> Interval:
    """Interval of second minus first, from the intervals of both (Newcombe's method 10)."""
    (low1, high1), (low2, high2) = first.interval, second.interval
    sides = (second.rate - low2, high1 - first.rate), (high2 - second.rate, first.rate - low1)
    down, up = (math.sqrt(abs(a**2 + b**2 - 2 * correlation * a * b)) for a, b in sides)
    difference = second.rate - first.rate
    return max(-1.0, difference - down), min(1.0, difference + up)


def _over_runs(first: SuccessEstimate, second: SuccessEstimate) -> tuple[Interval, float]:
    """Interval of second minus first and the p value of a t test, both of the angles."""
    from scipy.special import stdtr

    error, degrees, half = summed_error([*first.variances, *second.variances])
    apart = second.angle - first.angle
    mean, observed = (first.angle + second.angle) / 2, second.rate - first.rate
    ends = (apart - half, apart + half)
    low, high = (_rate(mean + end / 2) - _rate(mean - end / 2) for end in ends)
    p_value = float(2 * stdtr(degrees, -abs(apart) / error))
    return (min(low, observed), max(high, observed)), p_value


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, Interval]:
    """Spearman's correlation with its 95 percent interval; five values at least.

    Fisher's z with the variance of Bonett and Wright (Psychometrika 65, 2000). A perfect order is
    taken as half a swap of two neighbours less: few values are easily in order by chance.
    """
    from scipy.stats import spearmanr

    count = len(first)
    value = float(spearmanr(first, second).statistic)  # pyright: ignore[reportAttributeAccessIssue]
    limit = 1 - 6 / (count * (count**2 - 1))
    center = math.atanh(max(-limit, min(limit, value)))
    half = 1.96 * math.sqrt((1 + value**2 / 2) / (count - 3))
    return value, (math.tanh(center - half), math.tanh(center + half))


def _rate(angle: float) -> float:
    return math.sin(min(math.pi / 2, max(0.0, angle))) ** 2
