"""Policies on the same episodes: as scipy has it, right as often as it says, and over seeds."""

import numpy as np
import pytest
from scipy import stats

from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.evaluation.paired_errors import PairedError, error_over_seeds, paired


def errors(draw: np.random.Generator, episodes: int, seeds: int = 1, between: float = 0.0):
    """Two configurations on episodes of which some are hard for both, without a difference."""
    hard = draw.normal(0, 0.5, episodes)
    own = draw.normal(0, 0.08, (2, seeds, episodes)) + draw.normal(0, between, (2, seeds, 1))
    return np.exp(hard + own)


def test_two_policies_are_compared_as_a_paired_t_test_has_it() -> None:
    first, second = errors(np.random.default_rng(0), 9)
    found = paired(first, 1.1 * second)
    expected = stats.ttest_rel(np.log(1.1 * second[0]), np.log(first[0]))
    ends = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx((np.exp(ends.low), np.exp(ends.high)))
    assert found.ratio == pytest.approx(1.1 * np.exp(np.mean(np.log(second) - np.log(first))))


def test_ten_percent_are_told_apart_by_pairs_and_no_difference_hardly_ever() -> None:
    draw, told = np.random.default_rng(1), np.zeros((2, 300), bool)
    for study in range(300):
        first, second = errors(draw, 12)
        told[:, study] = [paired(first, ratio * second).told_apart for ratio in (1.1, 1.0)]
    with_difference, without = told.mean(axis=1)
    assert with_difference > 0.6
    assert 0.02 < without < 0.09


def test_seeds_count_where_there_are_several() -> None:
    """With one of each, equal configurations are told apart: their policies do differ."""
    draw = np.random.default_rng(2)
    three, one, uneven = (
        np.mean([paired(*sides).told_apart for sides in studies])
        for studies in (
            [errors(draw, 16, 3, 0.06) for _ in range(300)],
            [errors(draw, 16, 1, 0.06) for _ in range(300)],
            [(a[:1], b) for a, b in (errors(draw, 16, 4, 0.06) for _ in range(300))],
        )
    )
    assert three < 0.09 and uneven < 0.09 < one


def test_the_interval_over_seeds_holds_the_truth() -> None:
    draw, held = np.random.default_rng(3), 0
    for _ in range(300):
        seeds = 1.0 + draw.normal(0, 0.1, 20) + draw.normal(0, 0.05, (3, 1))
        found = error_over_seeds(seeds + draw.normal(0, 0.05, (3, 20)))
        assert found.interval is not None
        held += found.interval[0] < 1.0 < found.interval[1]
    assert 0.92 * 300 < held <= 0.995 * 300


def test_few_episodes_and_equal_policies() -> None:
    first, second = errors(np.random.default_rng(4), 4)
    few = paired(first, second)
    assert (few.interval, few.told_apart) == (None, False)
    assert few.words.endswith("fewer than 5 episodes")
    assert error_over_seeds(np.ones((3, 4))).interval is None
    same = np.exp(np.arange(6.0))[None]
    assert paired(same, same) == PairedError(1.0, (1.0, 1.0), 1.0)
    assert paired(same, 2 * same).told_apart
    absurd = paired(same, same * 10.0 ** np.array([90, -90, 90, -90, 90, -90]))
    assert absurd.interval == pytest.approx((1e-100, 1e100)) and not absurd.told_apart


def test_pairs_of_one_table_are_adjusted_by_holm() -> None:
    assert holm([0.03, 0.001, 0.04]) == pytest.approx([0.06, 0.003, 0.06])
    assert holm([]) == []
