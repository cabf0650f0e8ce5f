"""Intervals: Student's t over episodes, none with fewer than five, right as often as they say."""

import numpy as np
import pytest
from scipy import stats

from gr00t_assets.evaluation.result import Estimate
from gr00t_assets.evaluation.windows import EpisodeMeans, Windows, answered


def windows_of(episodes: np.ndarray, horizon: int = 4, inside: np.ndarray | None = None) -> Windows:
    whole = np.ones((len(episodes), horizon), bool) if inside is None else inside
    return Windows(episodes, np.arange(len(episodes)), whole, episodes, 1)


def test_the_interval_is_students_over_episode_means() -> None:
    values = np.random.default_rng(0).lognormal(size=(24, 4))
    episodes = np.repeat(np.arange(6), (1, 2, 3, 4, 5, 9))
    (found,) = EpisodeMeans(windows_of(episodes)).means([values])
    means = [values[episodes == episode].mean() for episode in range(6)]
    expected = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(means), rel=1e-5)
    assert found.standard_error == pytest.approx(stats.sem(means), rel=1e-5)
    assert found.interval == pytest.approx((max(0, expected.low), expected.high), rel=1e-5)


def test_more_windows_of_the_same_episodes_do_not_narrow_the_interval() -> None:
    by_episode = np.random.default_rng(0).normal(size=12)
    once = EpisodeMeans(windows_of(np.arange(12))).means([np.tile(by_episode[:, None], 4)])
    repeated = np.tile(np.repeat(by_episode, 10)[:, None], 4)
    assert EpisodeMeans(windows_of(np.repeat(np.arange(12), 10))).means([repeated]) == once


def test_fewer_than_five_episodes_have_a_mean_and_no_interval() -> None:
    values = np.random.default_rng(0).lognormal(size=(40, 4))
    (four,) = EpisodeMeans(windows_of(np.arange(40) % 4)).means([values])
    (five,) = EpisodeMeans(windows_of(np.arange(40) % 5)).means([values])
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
        (found,) = over.means([1.0 + shared + random.normal(size=(8 * episodes, 4))])
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
    assert over.means([values])[0].mean == 1.0
    steps = over.by_step(values)
    assert [estimate.mean for estimate in steps] == [1.0] * 4
    assert [estimate.interval is None for estimate in steps] == [False, False, True, True]
    assert over.plain(values) == (1.0,) * 4


def test_values_that_never_differ_have_an_interval_of_no_width() -> None:
    (found,) = EpisodeMeans(windows_of(np.arange(6))).means([np.full((6, 4), 0.25)])
    assert found == Estimate(mean=0.25, standard_error=0, low=0.25, high=0.25)


def test_an_answer_needs_the_whole_interval() -> None:
    def between(low: float, high: float) -> Estimate:
        return Estimate(mean=(low + high) / 2, standard_error=0.1, low=low, high=high)

    told = [answered(between(*ends)) for ends in ((-2, -1), (1, 2), (-1, 1), (-1, 0))]
    assert told == ["yes", "no", "cannot be told", "cannot be told"]
