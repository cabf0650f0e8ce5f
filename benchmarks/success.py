"""How often the statistics of success are right, where the true rates are known.

``python -m benchmarks.success [--studies 1000]``, some minutes. Coverage of one rate's
interval is exact, summed over every outcome and averaged over rates of 0.01 to 0.99; all else is
simulated. Targets: intervals at 95 percent hold the truth in 93 to 97 of 100, Clopper-Pearson's in
95 at least; at most 6 of 100 false claims of a difference, at any number of looks; power of 80 of
100 where as many episodes were rolled as ``rollouts_needed`` says.
"""

import argparse
from bisect import bisect_left
from functools import cache

import numpy as np

from gr00t_assets.comparison.statistics.success import (
    SuccessEstimate,
    against_first,
    barnard,
    between_runs,
    compared,
    mcnemar,
    rank_correlation,
    rollouts_needed,
    sequential_p,
)
from gr00t_assets.evaluation.intervals import SuccessRate

LEVEL = 0.05

RATES = np.linspace(0.01, 0.99, 197)

PLANNED = ((0.5, 0.7), (0.8, 0.9), (0.25, 0.085))

HARD = 0.5
"""Share of an episode's luck that all policies share, where episodes are common."""


def main() -> None:
    """Print a table: what is true, what was found, of a hundred."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    studies = parser.parse_args().studies
    one_rate()
    two_policies(studies)
    looks(studies)
    several_seeds(studies)
    correlations(studies)


def show(what: str, *shares: float) -> None:
    """One line, shares as hundreds."""
    print(f"{what}: {', '.join(f'{100 * share:.1f}' for share in shares)}", flush=True)


def one_rate() -> None:
    """Mean coverage of the intervals of one rate, and the least over rates."""
    from scipy.stats import binom

    for episodes in (20, 50, 100):
        chances = binom.pmf(np.arange(episodes + 1)[:, None], episodes, RATES)
        rates = [SuccessRate(successes=k, episodes=episodes) for k in range(episodes + 1)]
        for name, ends in (
            ("Wilson", [rate.wilson() for rate in rates]),
            ("Clopper-Pearson", [rate.clopper_pearson() for rate in rates]),
        ):
            low, high = np.array(ends).T[:, :, None]
            held = (chances * ((low <= RATES) & (high >= RATES))).sum(axis=0)
            show(f"{name}, {episodes} episodes, mean and least over rates", held.mean(), held.min())


def two_policies(studies: int) -> None:
    """False claims and power of the exact tests; power where as many were rolled as planned."""
    for first, second in (*PLANNED, (0.5, 0.5), (0.1, 0.1)):
        planned = rollouts_needed(first, second) or 50
        p_values = []
        for study in range(studies):
            one, other = _independent(study, planned, first, second)
            shared = _shared(study, planned, first, second)
            p_values.append((
                _barnard(int(one.sum()), int(other.sum()), planned),
                mcnemar(int((other & ~one).sum()), int((one & ~other).sum())),
                mcnemar(int((shared[1] & ~shared[0]).sum()), int((shared[0] & ~shared[1]).sum())),
            ))  # fmt: skip
        found = (np.array(p_values) < LEVEL).mean(axis=0)
        show(f"{first} and {second}, {planned} episodes each: Barnard, McNemar, McNemar where "
             "episodes are common", *found)  # fmt: skip
    tables = []
    for study in range(studies):
        draw = np.random.default_rng([study, 6])
        runs = [_estimate(draw.random(50) < 0.5) for _ in range(6)]
        pairs = against_first(sorted(runs, key=lambda run: -run.rate))
        tables.append(any(pair.told_apart for pair in pairs))
    show("six equal policies, 50 episodes: any told from the first", float(np.mean(tables)))


def looks(studies: int) -> None:
    """The sequential test with a look every ten episodes: false claims, power, episodes spent."""
    equal = ((0.5, 0.5, 1000), (0.9, 0.9, 1000), (0.1, 0.1, 1000))
    planned = [(*rates, rollouts_needed(*rates) or 0) for rates in PLANNED]
    twice = [(first, second, 2 * most) for first, second, most in planned]
    for first, second, most in (*equal, *planned, *twice):
        spent = []
        for study in range(studies):
            one, other = _independent(study, most, first, second)
            steps = (other.astype(int) - one.astype(int)).tolist()
            ends = range(10, most + 10, 10)
            # The p value never rises from one look to the next.
            at = bisect_left(ends, -LEVEL, key=lambda end: -sequential_p(steps[:end]))
            spent.append((at < len(ends), ends[min(at, len(ends) - 1)]))
        found, episodes = np.array(spent).mean(axis=0)
        show(f"{first} and {second}, up to {most} each, sequential", found)
        print(f"  episodes of a side in the mean {episodes:.0f}")
    plain = [
        any(_barnard(int(one[:end].sum()), int(other[:end].sum()), end) < LEVEL
            for end in range(10, 201, 10))
        for one, other in (_independent(study, 200, 0.5, 0.5) for study in range(studies // 4))
    ]  # fmt: skip
    show("0.5 and 0.5, up to 200 each, Barnard every ten", float(np.mean(plain)))


def several_seeds(studies: int) -> None:
    """Intervals of configurations and claims between equal ones, where runs differ."""
    for spread in (0.0, 0.05, 0.1):
        for seeds, configurations in ((2, 2), (2, 6), (3, 3)):
            held, apart, claims, single = [], [], [], []
            for study in range(studies):
                draw = np.random.default_rng([study, seeds, configurations, int(1000 * spread)])
                hard = draw.random(50)
                runs = [[_run(draw, hard, 0.4, spread) for _ in range(seeds)]
                        for _ in range(configurations)]  # fmt: skip
                between = between_runs(runs)
                estimates = [SuccessEstimate(tuple(of), between) for of in runs]
                low, high = estimates[0].interval
                held.append(low <= 0.4 <= high)
                pair = compared(estimates[0], estimates[1])
                apart.append(pair.interval[0] <= 0 <= pair.interval[1])
                claims.append(pair.told_apart)
                sides = [SuccessEstimate((of[0],)) for of in runs[:2]]
                single.append(compared(*sides).told_apart)
            show(f"runs differ by {spread}, {seeds} seeds, {configurations} configurations: "
                 "interval holds, that of a difference, equal ones told apart, their single runs",
                 *(float(np.mean(values)) for values in (held, apart, claims, single)))  # fmt: skip


def correlations(studies: int) -> None:
    """Intervals of rank correlations of so many configurations."""
    for truth in (0.0, 0.5, 0.9):
        pearson = 2 * np.sin(np.pi * truth / 6)
        shares = []
        for count in (5, 6, 10, 20):
            held = []
            for study in range(studies):
                draw = np.random.default_rng([study, count, int(10 * truth)])
                one, own = draw.normal(size=(2, count))
                other = pearson * one + np.sqrt(1 - pearson**2) * own
                low, high = rank_correlation(one.tolist(), other.tolist())[1]
                held.append(low <= truth <= high)
            shares.append(float(np.mean(held)))
        show(f"rank correlation {truth}, interval holds it with 5, 6, 10, 20", *shares)


def _independent(study: int, episodes: int, *rates: float) -> tuple[np.ndarray, ...]:
    draw = np.random.default_rng([study, episodes])
    return tuple(draw.random(episodes) < rate for rate in rates)


def _shared(study: int, episodes: int, *rates: float) -> tuple[np.ndarray, ...]:
    """Outcomes in common episodes of which some are hard for both; each rate is as asked."""
    draw = np.random.default_rng([study, episodes, 1])
    hard, common = draw.random(episodes), draw.random(episodes) < HARD
    return tuple(np.where(common, hard, draw.random(episodes)) < rate for rate in rates)


def _run(
    draw: np.random.Generator, hard: np.ndarray, rate: float, spread: float
) -> dict[int, bool]:
    own = rate + draw.uniform(-1, 1) * np.sqrt(3) * spread
    luck = np.where(draw.random(len(hard)) < HARD, hard, draw.random(len(hard)))
    return dict(enumerate((luck < own).tolist()))


def _estimate(successes: np.ndarray) -> SuccessEstimate:
    return SuccessEstimate((dict(enumerate(successes.tolist())),))


@cache
def _barnard(one: int, other: int, episodes: int) -> float:
    low, high = sorted((one, other))
    if (low, high) != (one, other):
        return _barnard(low, high, episodes)
    sides = (SuccessRate(successes=count, episodes=episodes) for count in (low, high))
    return barnard(*sides)


if __name__ == "__main__":
    main()
