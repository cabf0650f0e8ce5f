"""How often open-loop evaluation is right: policies told apart, and intervals that hold the truth.

``python -m benchmarks.evaluations [--studies 200]``, seconds. An episode's error is lognormal: a
few episodes are hard for every policy, and each policy has its own luck on each. Two policies are
compared as separate intervals do it and paired by episode; without a difference, both must tell
hardly any apart. Seeds of one configuration are policies that differ: with one of each, equal
configurations are told apart, which is why the report says that other seeds may order them
otherwise. Targets: 5 of 100 told apart without a difference, 95 of 100 intervals with the
truth in them. The intervals of skewed errors fall short of that with few episodes.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from gr00t_assets.comparison.statistics.effects import ALPHA, holm
from gr00t_assets.evaluation.paired_errors import error_over_seeds, paired

HARD, OWN = 0.5, 0.08
"""Standard deviation of log errors between episodes, and of a policy's own share on each."""

SEEDS_DIFFER = 0.04
"""Of log errors between seeds of one configuration."""

POLICIES = 8
"""In a table without any difference, whose pairs are adjusted together."""


def main() -> None:
    """Print shares of a hundred."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    studies = parser.parse_args().studies
    print(f"{studies} studies; errors differ by {HARD:.0%} between episodes, skewed")
    for ratio in (1.1, 1.0):
        for episodes in (5, 10, 16, 32):
            told = np.array([both_ways(*study) for study in pairs(studies, episodes, ratio)])
            apart, together = 100 * told.mean(axis=0)
            print(f"ratio {ratio}, {episodes:2} episodes: told apart by two intervals "
                  f"{apart:.0f} of 100, paired {together:.0f}")  # fmt: skip
    for seeds, ratio in ((3, 1.1), (3, 1.0), (1, 1.0)):
        told = [
            paired(*study).told_apart
            for study in pairs(studies, 16, ratio, seeds, between=SEEDS_DIFFER)
        ]
        print(f"ratio {ratio}, 16 episodes, seeds differ, {seeds} of each configuration: told "
              f"apart paired {100 * np.mean(told):.0f} of 100")  # fmt: skip
    print(f"a table of {POLICIES} equal policies, 16 episodes: any pair told apart in "
          f"{100 * np.mean([any_apart(seed) for seed in range(studies)]):.0f} of 100")  # fmt: skip
    for episodes in (5, 10, 32):
        for seeds in (1, 3):
            between = SEEDS_DIFFER if seeds > 1 else 0.0
            truth = np.exp((HARD**2 + OWN**2 + between**2) / 2)
            sides = [first for first, _ in pairs(5 * studies, episodes, 1.0, seeds, between)]
            intervals = [error_over_seeds(errors).interval or (0, 0) for errors in sides]
            held = np.mean([low <= truth <= high for low, high in intervals])
            print(f"{episodes:2} episodes, {seeds} seed(s): interval of the error holds the truth "
                  f"{100 * held:.0f} of 100")  # fmt: skip


def pairs(
    studies: int, episodes: int, ratio: float, seeds: int = 1, between: float = 0.0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Errors of two configurations, ``(seeds, episodes)`` each, the second one ``ratio`` higher."""
    for study in range(studies):
        draw = np.random.default_rng([study, episodes, seeds])
        hard = draw.normal(0, HARD, episodes)
        first, second = (
            np.exp(hard + draw.normal(0, between, (seeds, 1)) + own)
            for own in draw.normal(0, OWN, (2, seeds, episodes))
        )
        yield first, ratio * second


def both_ways(first: np.ndarray, second: np.ndarray) -> tuple[bool, bool]:
    """Told apart by two means with independent errors, as before, and paired by episode."""
    here, there = error_over_seeds(first), error_over_seeds(second)
    noise = np.hypot(here.standard_error or 0, there.standard_error or 0)
    return bool(abs(here.mean - there.mean) > 1.96 * noise), paired(first, second).told_apart


def any_apart(seed: int) -> bool:
    """Whether one of the pairs of a table of equal policies is told apart."""
    draw = np.random.default_rng([seed, POLICIES])
    hard = draw.normal(0, HARD, 16)
    errors = [np.exp(hard + draw.normal(0, OWN, (1, 16))) for _ in range(POLICIES)]
    compared = [paired(one, other) for at, one in enumerate(errors) for other in errors[at + 1 :]]
    return min(holm([pair.p_value for pair in compared])) <= ALPHA


if __name__ == "__main__":
    main()
