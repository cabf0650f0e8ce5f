"""Windows: inside their episodes, few enough, and counted by episode."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.evaluation.windows import choose_windows, default_stride

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
