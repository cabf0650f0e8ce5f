"""Each measure of motion on a fault that was made, whose right value is known."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.quality.figures import Measure, Quality
from gr00t_assets.datasets.quality.motion import (
    episode_lags,
    lagged_correlation,
    robust_scores,
    root_mean_square_jerk,
)
from gr00t_assets_tests.datasets.quality.edits import ACTION, STATE, measured, rewrite, warned

FPS = 30
ONE_KEY = np.zeros(4, dtype=int)


def walk(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """A smooth motion of joints, ``(rows, columns)``."""
    random = np.random.default_rng(seed)
    waves = np.sin(np.arange(rows)[:, None] / FPS * random.uniform(1, 4, (1, columns)))
    return waves + random.normal(0, 0.05, (rows, columns)).cumsum(axis=0)


def lags(quality: Quality) -> dict[str, float | None]:
    return quality.motion.lags


def delayed(directory: Path, rows: int) -> None:
    """Make the state the action of so many rows before."""
    dataset = LeRobotDataset.open(directory)
    for episode in dataset.episodes:
        actions = walk(episode.length, 6, episode.index)
        states = np.roll(actions, rows, axis=0)
        states[:rows] = actions[0]
        rewrite(directory, ACTION, lambda _, values=actions: values, episode.index)
        rewrite(directory, STATE, lambda _, values=states: values, episode.index)


def test_a_lag_of_three_rows_at_30_fps_is_100_ms(arm: Path) -> None:
    delayed(arm, 3)
    quality = measured(arm)
    assert lags(quality) == {"single_arm": pytest.approx(100), "gripper": pytest.approx(100)}
    assert Measure.LAG not in warned(quality)


def test_a_lag_of_half_a_second_is_a_warning(arm: Path) -> None:
    delayed(arm, 15)
    quality = measured(arm)
    assert lags(quality)["single_arm"] == pytest.approx(500)
    assert "follows the action late: single_arm 500 ms" in " ".join(quality.messages())


def test_a_state_that_is_ahead_of_its_action_is_a_warning(arm: Path) -> None:
    delayed(arm, 2)
    dataset = LeRobotDataset.open(arm)
    for episode in dataset.episodes:
        state, action = (dataset.vector(episode.index, name).copy() for name in (STATE, ACTION))
        rewrite(arm, STATE, lambda _, values=action: values, episode.index)
        rewrite(arm, ACTION, lambda _, values=state: values, episode.index)
    quality = measured(arm)
    assert lags(quality)["single_arm"] == pytest.approx(-2000 / 30)
    assert "the state is ahead of the action: single_arm 67 ms" in " ".join(quality.messages())


def test_a_sensor_of_noise_takes_no_part(arm: Path) -> None:
    delayed(arm, 3)
    random = np.random.default_rng(0)

    def noisy(rows: np.ndarray) -> np.ndarray:
        rows[:, :4] = random.normal(0, 1e-4, (len(rows), 4))
        return rows

    rewrite(arm, ACTION, noisy)
    rewrite(arm, STATE, lambda rows: rows * ([0] * 4 + [1] * 2))
    quality = measured(arm)
    assert lags(quality)["single_arm"] == pytest.approx(100)
    assert quality.motion.stuck == {}


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_the_lag_of_a_position_and_of_a_step(rows: int) -> None:
    state = walk(200, 4)
    position = np.roll(state, -rows, axis=0)[: 200 - rows]
    lag, correlation = episode_lags(position, state[: 200 - rows], ONE_KEY, FPS)[0, 0]
    assert (lag, correlation) == (rows, pytest.approx(1))
    steps = np.roll(np.diff(state, axis=0), -rows, axis=0)[: 199 - rows]
    lag, correlation = episode_lags(steps, state[: 199 - rows], ONE_KEY, FPS)[0, 1]
    assert (lag, correlation) == (rows + 1, pytest.approx(1))


def test_joints_that_do_not_move_have_no_lag() -> None:
    still = np.zeros((50, 2))
    assert np.isnan(episode_lags(still, still, ONE_KEY[:2], FPS)).all()
    assert np.isnan(episode_lags(still[:2], still[:2], ONE_KEY[:2], FPS)).all()


def test_the_correlation_of_shifts_is_pearsons() -> None:
    random = np.random.default_rng(1)
    leading, following = random.normal(5, 1, (2, 60, 3))
    found = lagged_correlation(leading, following, 10)
    for shift in range(-10, 11):
        left = leading[max(-shift, 0) : 60 - max(shift, 0)]
        right = following[max(shift, 0) : 60 + min(shift, 0)]
        for column in range(3):
            right_value = np.corrcoef(left[:, column], right[:, column])[0, 1]
            assert found[shift + 10, column] == pytest.approx(right_value)


def test_a_joint_that_does_not_follow_its_action_is_stuck(arm: Path) -> None:
    def stuck(rows: np.ndarray) -> np.ndarray:
        rows[:, 2] = rows[0, 2]
        return rows

    rewrite(arm, STATE, stuck, 4)
    quality = measured(arm)
    assert quality.motion.stuck == {"single_arm 2": (4,)}
    assert Measure.STUCK in warned(quality)
    assert quality.scores[4].reasons[0] == "single_arm 2 is stuck (-40)"
    rewrite(arm, ACTION, stuck, 4)
    assert measured(arm).motion.stuck == {}


def test_a_joint_without_an_action_is_stuck_where_it_moves_in_all_other_episodes(arm: Path) -> None:
    path = arm / "meta" / "modality.json"
    modality = json.loads(path.read_text())
    modality["action"] = {"arm": modality["action"]["single_arm"]}
    path.write_text(json.dumps(modality))

    def stuck(rows: np.ndarray) -> np.ndarray:
        rows[:, 1] = 0
        return rows

    rewrite(arm, STATE, stuck, 0)
    assert measured(arm).motion.stuck == {"single_arm 1": (0,)}


def wave(clip: float) -> Callable[[np.ndarray], np.ndarray]:
    """Joint 3 goes up from 0 to 1 and down again, cut off; joint 0 moves in every row."""

    def change(rows: np.ndarray) -> np.ndarray:
        share = np.linspace(0, 2, len(rows))
        rows[:, 3] = np.minimum(1 - np.abs(1 - share), clip)
        rows[:, 0] = 10 * share
        return rows

    return change


def test_values_at_their_limit(arm: Path) -> None:
    rewrite(arm, STATE, wave(0.5))
    quality = measured(arm)
    limit = next(item for item in quality.motion.limits if item.column == STATE)
    assert limit.shares[3] == pytest.approx(0.5, abs=0.015)
    assert limit.episodes[3] == (0, 1, 2, 3, 4, 5)
    assert max(limit.shares[:3]) < 0.05
    assert Measure.LIMITS in warned(quality)
    assert "single_arm 3 in episodes 0, 1, 2, 3, 4, 5" in " ".join(quality.messages())
    rewrite(arm, STATE, wave(1.0))
    quality = measured(arm)
    assert quality.motion.limits[0].shares[3] < 0.03
    assert quality.motion.limits[0].episodes[3] == ()


def test_a_gripper_belongs_at_its_limits(arm: Path) -> None:
    def closed(rows: np.ndarray) -> np.ndarray:
        rows[:, 5] = np.clip(10 * np.sin(np.arange(len(rows)) / 10), -1, 1)
        return rows

    rewrite(arm, STATE, closed)
    quality = measured(arm)
    assert quality.motion.limits[0].shares[5] > 0.5
    assert Measure.LIMITS not in warned(quality), quality.messages()


def test_a_pose_to_start_from_is_no_limit(arm: Path) -> None:
    def waits(rows: np.ndarray) -> np.ndarray:
        rows[:, 3] = np.maximum(np.linspace(-1, 1, len(rows)), 0)
        rows[:, 0] = np.linspace(0, 10, len(rows))
        return rows

    rewrite(arm, STATE, waits)
    assert measured(arm).motion.limits[0].episodes[3] == ()


@pytest.mark.parametrize("fps", [10, 30, 50])
def test_the_jerk_of_a_cubic_is_six(fps: int) -> None:
    seconds = np.arange(3 * fps)[:, None] / fps
    assert root_mean_square_jerk(seconds**3 + 2 * seconds**2, fps) == pytest.approx(6)
    assert root_mean_square_jerk(seconds[:3], fps) == 0


def test_one_episode_that_moves_among_still_ones_is_measured(arm: Path) -> None:
    for column in (STATE, ACTION):
        for index in range(5):
            rewrite(arm, column, lambda rows: np.zeros_like(rows), only=index)
    quality = measured(arm)
    assert (quality.motion.jerk_median, quality.motion.jerk_outliers) == (0.0, ())


def test_the_jerk_of_a_wave_is_that_of_its_third_derivative() -> None:
    seconds = np.arange(2000) / 200
    positions = np.sin(2 * seconds)[:, None]
    expected = np.sqrt(np.mean((8 * np.cos(2 * seconds)) ** 2))
    assert root_mean_square_jerk(positions, 200) == pytest.approx(expected, rel=0.01)


def test_an_episode_that_shakes(arm: Path) -> None:
    random = np.random.default_rng(0)
    rewrite(arm, STATE, lambda rows: rows + random.normal(0, 2, rows.shape), 3)
    quality = measured(arm)
    assert quality.motion.jerk_outliers == (3,)
    assert Measure.JERK in warned(quality)
    assert "times the median (-20)" in quality.scores[3].reasons[0]
    assert measured(arm).scores[0].score == 100


def test_equal_values_have_no_outlier_but_one() -> None:
    assert robust_scores(np.ones(5)).tolist() == [0] * 5
    assert robust_scores(np.array([1.0, 1, 1, 1, 1, 1, 1, 9]))[-1] > 3.5
