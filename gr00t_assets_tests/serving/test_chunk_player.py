"""Which action is due, step by step."""

import numpy as np
import pytest

from gr00t_assets.serving.robot_loop import ChunkPlayer


def chunk(value: float, horizon: int = 4) -> np.ndarray:
    """Two joints; the step is in the digits behind the point."""
    steps = value + np.arange(horizon)[:, None] / 10
    return np.repeat(steps, 2, axis=1)


def played(player: ChunkPlayer, steps: int) -> tuple[list[float], list[int]]:
    """The first joint of so many actions, and the steps at which a chunk was asked for."""
    actions, asked = [], []
    for step in range(steps):
        if player.needs_chunk():
            asked.append(step)
            player.add(chunk(len(asked), player.horizon))
        actions.append(float(player.next()[0]))
    return actions, asked


def test_a_whole_chunk_is_played_and_then_the_next():
    actions, asked = played(ChunkPlayer(4, 4), 6)
    assert actions == pytest.approx([1.0, 1.1, 1.2, 1.3, 2.0, 2.1])
    assert asked == [0, 4]


def test_replanning_drops_the_rest_of_a_chunk():
    actions, asked = played(ChunkPlayer(4, 3), 7)
    assert actions == pytest.approx([1.0, 1.1, 1.2, 2.0, 2.1, 2.2, 3.0])
    assert asked == [0, 3, 6]


def test_temporal_ensembling_weighs_the_oldest_most():
    actions, _ = played(ChunkPlayer(3, 1, ensemble=0.5), 4)
    weights = np.exp(-0.5 * np.arange(3))
    predicted = [1.2, 2.1, 3.0]  # of step 2: the oldest chunk's third step, and so on
    assert actions[2] == pytest.approx(np.dot(weights, predicted) / weights.sum())
    assert actions[3] == pytest.approx(np.dot(weights, [2.2, 3.1, 4.0]) / weights.sum())


def test_without_a_weight_it_is_the_mean():
    actions, _ = played(ChunkPlayer(3, 1, ensemble=0), 3)
    assert actions == pytest.approx([1.0, (1.1 + 2.0) / 2, (1.2 + 2.1 + 3.0) / 3])


def test_chunks_that_agree_are_not_changed_by_ensembling():
    truth = np.arange(20.0)
    player, actions = ChunkPlayer(5, 2, ensemble=0.01), []
    for step in range(12):
        if player.needs_chunk():
            player.add(truth[step : step + 5, None])
        actions.append(player.next()[0])
    np.testing.assert_allclose(actions, truth[:12])


def test_what_is_cleared_is_asked_for_anew():
    player = ChunkPlayer(4, 4, ensemble=0.1)
    player.add(chunk(1))
    player.next()
    player.clear()
    assert player.needs_chunk()
    with pytest.raises(ValueError, match="no chunk reaches"):
        player.next()


@pytest.mark.parametrize(
    "options", [(4, 0), (4, 5), (4, 2, -0.1), (4, 2, float("nan")), (4, 2, float("inf"))]
)
def test_settings_that_mean_nothing_are_refused(options):
    with pytest.raises(ValueError, match=r"^(replan_every|ensemble) is"):
        ChunkPlayer(*options)


def test_a_chunk_of_another_length_is_refused():
    with pytest.raises(ValueError, match="4 steps, not 3"):
        ChunkPlayer(4, 1).add(chunk(1, 3))
