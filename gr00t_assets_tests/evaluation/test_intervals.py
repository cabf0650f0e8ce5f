"""Windows in their episodes; intervals over episodes and of rates, as right as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.evaluation.intervals import (
    EpisodeMeans,
    SuccessRate,
    Windows,
    answered,
    choose_windows,
    default_stride,
)
from gr00t_assets.evaluation.result import Estimate, EvaluationSettings


def windows_of(episodes: np.ndarray, horizon: int = 4, inside: np.ndarray | None = None) -> Windows:
    whole = np.ones((len(episodes), horizon), bool) if inside is None else inside
    return Windows(episodes, np.arange(len(episodes)), whole, episodes, 1)


def test_the_interval_is_students_over_episode_means() -> None:
    values = np.random.default_rng(0).lognormal(size=(24, 4))
    episodes = np.repeat(np.arange(6), (1, 2, 3, 4, 5, 9))
    found = EpisodeMeans(windows_of(episodes)).mean(values)
    means = [values[episodes == episode].mean() for episode in range(6)]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(means), rel=1e-5)
    assert found.standard_error == pytest.approx(stats.sem(means), rel=1e-5)
    assert found.interval == pytest.approx((max(0, expected.low), expected.high), rel=1e-5)


def test_more_windows_of_the_same_episodes_do_not_narrow_the_interval() -> None:
    by_episode = np.random.default_rng(0).normal(size=12)
    once = EpisodeMeans(windows_of(np.arange(12))).mean(np.tile(by_episode[:, None], 4))
    repeated = np.tile(np.repeat(by_episode, 10)[:, None], 4)
    assert EpisodeMeans(windows_of(np.repeat(np.arange(12), 10))).mean(repeated) == once


def test_fewer_than_five_episodes_have_a_mean_and_no_interval() -> None:
    values = np.random.default_rng(0).lognormal(size=(40, 4))
    four = EpisodeMeans(windows_of(np.arange(40) % 4)).mean(values)
    five = EpisodeMeans(windows_of(np.arange(40) % 5)).mean(values)
    assert (four.interval, four.standard_error) == (None, None) and five.interval is not None
    assert four.mean == pytest.approx(values.mean(), rel=1e-5)
    assert answered(four) == "cannot be told"


@pytest.mark.parametrize("episodes", [5, 10, 25])
def test_the_truth_is_covered_as_often_as_it_should_be(episodes: int) -> None:
    random, covered = np.random.default_rng(1), 0
    numbers = np.repeat(np.arange(episodes), 8)
    over = EpisodeMeans(windows_of(numbers))
    for _ in range(400):
        shared = random.normal(size=episodes)[numbers][:, None]
        found = over.mean(1.0 + shared + random.normal(size=(8 * episodes, 4)))
        assert found.interval is not None
        covered += found.interval[0] < 1.0 < found.interval[1]
    assert 0.92 * 400 < covered < 0.98 * 400


def test_a_ratio_of_means_is_covered_too() -> None:
    random, covered = np.random.default_rng(2), 0
    numbers = np.repeat(np.arange(16), 4)
    over = EpisodeMeans(windows_of(numbers))
    for _ in range(300):
        below = random.lognormal(0, 0.4, 16)[numbers][:, None] * np.ones(4)
        above = 2.0 * below * random.lognormal(-0.02, 0.2, 16)[numbers][:, None]
        found = over.ratio(above, below)
        assert found.interval is not None
        covered += found.interval[0] < 2.0 < found.interval[1]
    assert 0.91 * 300 < covered < 0.99 * 300


def test_steps_past_the_end_are_not_counted() -> None:
    inside = np.ones((6, 4), bool)
    inside[::2, 2:] = False
    values = np.where(inside, 1.0, 1e6)
    over = EpisodeMeans(windows_of(np.arange(6), inside=inside))
    assert over.mean(values).mean == 1.0
    steps = over.by_step(values)
    assert [estimate.mean for estimate in steps] == [1.0] * 4
    assert [estimate.interval is None for estimate in steps] == [False, False, True, True]
    assert over.plain(values) == (1.0,) * 4


def test_values_that_never_differ_have_an_interval_of_no_width() -> None:
    found = EpisodeMeans(windows_of(np.arange(6))).mean(np.full((6, 4), 0.25))
    assert found == Estimate(mean=0.25, standard_error=0, low=0.25, high=0.25)


def test_an_answer_needs_the_whole_interval() -> None:
    def between(low: float, high: float) -> Estimate:
        return Estimate(mean=(low + high) / 2, standard_error=0.1, low=low, high=high)

    told = [answered(between(*ends)) for ends in ((-2, -1), (1, 2), (-1, 1), (-1, 0))]
    assert told == ["yes", "no", "cannot be told", "cannot be told"]


HORIZON = list(range(16))


@settings(deadline=None)
@given(st.lists(st.integers(40, 900), min_size=1, max_size=12), st.integers(2, 64))
def test_chunks_lie_in_their_episodes(lengths: list[int], most: int) -> None:
    asked = EvaluationSettings(max_windows=most)
    windows = choose_windows(dict(enumerate(lengths)), HORIZON, asked)
    assert windows.inside.all()
    assert np.bincount(windows.episodes).max() <= most
    for episode, row in zip(windows.episodes, windows.rows, strict=True):
        assert row >= 0 and row + 16 <= lengths[episode]
    assert (windows.places == windows.episodes).all()


def test_an_episode_shorter_than_the_horizon_counts_the_steps_that_it_has() -> None:
    windows = choose_windows({4: 10, 7: 12}, HORIZON, EvaluationSettings())
    assert (windows.rows.tolist(), windows.places.tolist()) == ([0, 0], [0, 1])
    assert windows.inside.sum(axis=1).tolist() == [10, 12]
    with pytest.raises(EvaluationError, match="two or more"):
        choose_windows({4: 10}, HORIZON, EvaluationSettings())


def test_a_stride_that_is_given_is_taken() -> None:
    asked = EvaluationSettings(stride=1, max_windows=2)
    assert len(choose_windows({0: 30}, HORIZON, asked, first_row=1)) == 14
    assert default_stride(100_000, 16, 64) == 1563


@pytest.mark.parametrize(
    ("successes", "episodes", "wilson", "exact"),
    [  # Newcombe (Statistics in Medicine 17, 1998, 857), table I
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_intervals_are_those_of_the_literature(successes, episodes, wilson, exact):
    rate = SuccessRate(successes=successes, episodes=episodes)
    assert rate.wilson() == pytest.approx(wilson, abs=6e-5)
    assert rate.clopper_pearson() == pytest.approx(exact, abs=6e-5)


def test_no_episode_tells_nothing():
    none = SuccessRate(successes=0, episodes=0)
    assert (none.rate, none.wilson(), none.words()) == (0.0, (0.0, 1.0), "no episode")


def test_more_successes_than_episodes_are_refused():
    with pytest.raises(ValidationError, match="6 successes in 5 episodes"):
        SuccessRate(successes=6, episodes=5)
