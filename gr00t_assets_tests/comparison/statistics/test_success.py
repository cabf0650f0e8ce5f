"""Exact tests against scipy and against sums over all outcomes; levels by simulation."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import barnard_exact, binom, spearmanr
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels

from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets.comparison.statistics.success import (
    MOST_EXACT,
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
from gr00t_assets.comparison.success_ranking import MeasuredSuccess, success_agreement
from gr00t_assets.evaluation.intervals import SuccessRate, Variance


def outcomes(text: str, first: int = 0) -> dict[int, bool]:
    """``1101``: success of episodes in order, their seeds from ``first``."""
    return {first + place: letter == "1" for place, letter in enumerate(text)}


def estimate(*texts: str, between: Variance | None = None) -> SuccessEstimate:
    runs = tuple(map(outcomes, texts))
    return SuccessEstimate(runs, between or between_runs([runs]))


def rate(successes: int, episodes: int) -> SuccessRate:
    return SuccessRate(successes=successes, episodes=episodes)


def test_barnard_is_that_of_scipy_by_sides_and_holds_its_level():
    assert barnard(rate(7, 15), rate(12, 15)) == pytest.approx(
        barnard_exact([[7, 12], [8, 3]]).pvalue
    )
    outcomes = np.array([[barnard(rate(a, 6), rate(b, 8)) for b in range(9)] for a in range(7)])
    for truth in (0.1, 0.3, 0.5):
        chance = np.outer(binom.pmf(range(7), 6, truth), binom.pmf(range(9), 8, truth))
        assert chance[outcomes < 0.05].sum() <= 0.05
    assert barnard(rate(0, 8), rate(0, 12)) == barnard(rate(0, 0), rate(3, 12)) == 1.0


def test_many_episodes_are_compared_by_the_score_test_which_agrees():
    many = rate(200, MOST_EXACT + 1), rate(15, 40)
    exact = barnard_exact([[200, 15], [MOST_EXACT + 1 - 200, 25]], n=4).pvalue
    assert barnard(*many) == pytest.approx(exact, rel=0.1)


@pytest.mark.parametrize(("better", "worse"), [(9, 1), (3, 3), (0, 5)])
def test_mcnemar_is_that_of_statsmodels(better, worse):
    expected = mcnemar_of_statsmodels([[10, better], [worse, 10]], exact=True).pvalue  # pyright: ignore[reportAttributeAccessIssue]
    assert mcnemar(better, worse) == pytest.approx(expected)


def test_the_sequential_test_is_never_wrong_more_often_than_its_level_in_all_sequences():
    """Every sequence of 12 differing pairs, equally likely without a difference, with all looks."""
    values = [sequential_p(steps) for steps in product((1, -1), repeat=12)]
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(values) <= level) <= level
    assert min(values) < 0.02, "and it can say so"


def test_looking_again_only_adds_to_the_evidence_and_equal_pairs_say_nothing():
    steps = [1, 0, 1, 1, -1, 1, 1, 0, 1, 1]
    looks = [sequential_p(steps[:end]) for end in range(11)]
    assert looks == sorted(looks, reverse=True)
    assert sequential_p([step for step in steps if step]) == looks[-1]


def test_as_many_episodes_as_needed_have_the_power_and_far_more_are_not_named():
    first, second = 0.5, 0.7
    planned = rollouts_needed(first, second) or 0
    counts = np.arange(planned + 1)
    pooled = (counts[:, None] + counts) / (2 * planned)
    error = np.sqrt(np.maximum(2 * pooled * (1 - pooled) / planned, 1e-12))
    found = np.abs(counts[:, None] - counts) / planned / error > 1.96
    chance = np.outer(binom.pmf(counts, planned, first), binom.pmf(counts, planned, second))
    assert chance[found].sum() == pytest.approx(0.8, abs=0.02)
    assert rollouts_needed(0.5, 0.5) is None and rollouts_needed(0.5, 0.501) is None


def test_common_episodes_are_paired_and_others_are_not():
    first, second = estimate("1100" * 10), estimate("1110" * 10)
    pair = compared(first, second)
    assert pair.test == "McNemar" and pair.told_apart and pair.difference == 0.25
    elsewhere = SuccessEstimate((outcomes("1110" * 10, first=100),))
    apart = compared(first, elsewhere)
    assert apart.test == "Barnard" and apart.p_value > pair.p_value
    low, high = pair.interval
    assert low > 0 and high - low < apart.interval[1] - apart.interval[0]
    assert apart.rollouts == rollouts_needed(0.5, 0.75)


def test_where_runs_differ_more_than_chance_two_configurations_are_not_told_apart():
    alike = estimate("1" * 30 + "0" * 20, "0" * 20 + "1" * 30)
    differing = estimate("1" * 45 + "0" * 5, "1" * 15 + "0" * 35)
    assert alike.rate == differing.rate == 0.6
    assert differing.interval[0] < 0.3 < alike.interval[0] < 0.6 < alike.interval[1] < 0.9
    low = estimate("1" * 10 + "0" * 40, "0" * 40 + "1" * 10)
    spread = between_runs([alike.runs, low.runs])
    certain = [SuccessEstimate(item.runs, spread) for item in (low, alike)]
    assert compared(*certain).told_apart and compared(*certain).test == "t over runs"
    spread = between_runs([differing.runs, low.runs])
    doubtful = [SuccessEstimate(item.runs, spread) for item in (low, differing)]
    assert not compared(*doubtful).told_apart
    single = [SuccessEstimate(item.runs[:1]) for item in (low, differing)]
    assert compared(*single).told_apart, "as these two policies they differ"


@pytest.mark.parametrize("counts", [(78, 66, 38, 18), (50, 46, 38, 18), (100, 99, 0, 1)])
def test_the_interval_of_a_difference_holds_0_where_several_runs_are_not_told_apart(counts):
    runs = [{seed: seed < count for seed in range(100)} for count in counts]
    spread = between_runs([runs[:2], runs[2:]])
    pair = compared(SuccessEstimate((*runs[:2],), spread), SuccessEstimate((*runs[2:],), spread))
    low, high = pair.interval
    assert low < pair.difference < high
    assert (high < 0) == pair.told_apart


def test_runs_that_all_fail_or_all_succeed_have_an_interval():
    for text, ends in (("0" * 50, (0.0, 0.06)), ("1" * 50, (0.94, 1.0))):
        low, high = estimate(text, text).interval
        assert ends[0] <= low <= high <= ends[1] and high - low > 0.01


def test_p_values_of_a_table_hold_together():
    first, better = estimate("10" * 20), estimate("1110" * 10)
    alone = compared(first, better)
    of_three = against_first([first, better, better])
    assert [pair.p_value for pair in of_three] == pytest.approx([3 * alone.p_value] * 2)
    assert holm([]) == against_first([first]) == []


def measured(values: list[float], successes: list[int]) -> list[MeasuredSuccess]:
    return [
        MeasuredSuccess(f"m{place}", value, 0.001, estimate("1" * count + "0" * (50 - count)))
        for place, (value, count) in enumerate(zip(values, successes, strict=True))
    ]


def test_agreement_says_yes_no_or_that_it_cannot_be_told():
    losses = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    yes = success_agreement("loss", "c", measured(losses, [45, 40, 33, 30, 20, 10]))
    assert yes.answer == "yes" and yes.correlation == pytest.approx(1.0)
    assert "did mean more success here: rank correlation 1.00" in yes.sentence
    no = success_agreement("loss", "c", measured(losses, [10, 20, 30, 33, 40, 45]))
    assert no.answer == "no" and "m0 has the lowest loss and m5 the most success" in no.sentence
    mixed = success_agreement("loss", "c", measured(losses, [30, 28, 33, 29, 31, 30]))
    assert mixed.answer == "cannot be told" and "rank correlation" in mixed.sentence
    few = success_agreement("open-loop error", "c", measured(losses[:3], [30, 28, 29]))
    assert few.answer == "cannot be told" and few.correlation is None
    assert "from 3 configurations; m0 has the lowest open-loop error and the most" in few.sentence
    alone = success_agreement("loss", "c", measured(losses[:1], [30]))
    assert alone.answer == "cannot be told" and "One configuration" in alone.sentence
    level = success_agreement("loss", "c", measured(losses, [0] * 6))
    assert level.answer == "cannot be told" and "all succeed equally often" in level.sentence


def test_two_configurations_may_already_disagree_beyond_chance():
    found = success_agreement("loss", "c", measured([0.1, 0.2], [5, 40]))
    assert found.answer == "no" and found.interval is None
    close = success_agreement("loss", "c", measured([0.1, 0.1001], [5, 40]))
    assert close.answer == "cannot be told", "their losses may be equal"


def test_a_rank_correlation_has_an_interval_around_it_and_a_perfect_order_is_no_certainty():
    first, second = [1.0, 2, 3, 4, 5, 6], [2.0, 1, 4, 3, 6, 5]
    value, (low, high) = rank_correlation(first, second)
    assert value == pytest.approx(spearmanr(first, second).statistic)  # pyright: ignore[reportAttributeAccessIssue]
    assert -1 < low < value < high < 1
    value, (low, high) = rank_correlation(first, first)
    assert value == pytest.approx(1.0) and 0.3 < low < high < 1
