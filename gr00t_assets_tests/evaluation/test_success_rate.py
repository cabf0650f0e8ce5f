import pytest
from pydantic import ValidationError

from gr00t_assets.evaluation.success_rate import SuccessRate


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


def test_a_higher_level_is_a_wider_interval_and_no_episode_tells_nothing():
    rate = SuccessRate(successes=7, episodes=20)
    low, high = rate.wilson(0.99)
    assert low < rate.wilson()[0] < rate.rate < rate.wilson()[1] < high
    none = SuccessRate(successes=0, episodes=0)
    assert (none.rate, none.wilson(), none.words()) == (0.0, (0.0, 1.0), "no episode")


def test_more_successes_than_episodes_are_refused():
    with pytest.raises(ValidationError, match="6 successes in 5 episodes"):
        SuccessRate(successes=6, episodes=5)
