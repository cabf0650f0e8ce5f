"""Errors of planted predictions on real recordings: their size, their units, and the verdicts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.evaluation.intervals import Windows, choose_windows
from gr00t_assets.evaluation.part_errors import PartPredictions, draw_spread, part_evaluation
from gr00t_assets.evaluation.predictions import (
    Predictor,
    language_used,
    prompt_swap,
    row_numbers,
    trajectory,
)
from gr00t_assets.evaluation.recorded_actions import (
    NEAREST,
    TrainingActions,
    action_groups,
    recorded_at,
)
from gr00t_assets.evaluation.result import Estimate, EvaluationSettings
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets_tests.evaluation.runs import a_store, make_data

QUICK = EvaluationSettings(draws=2)
DRAWS = 3


class Small:
    """A dataset with its windows, and what was recorded there."""

    def __init__(self, dataset: LeRobotDataset, data: Demonstrations) -> None:
        self.dataset, self.data, self.config = dataset, data, data.config
        lengths = {episode.index: episode.length for episode in dataset.episodes}
        self.windows = choose_windows(lengths, self.config.action_indices, QUICK)
        self.groups = action_groups(self.config)
        self.recorded = recorded_at(self.windows, dataset, self.groups, self.config)
        self.training = TrainingActions(data)
        self.asked = row_numbers(data, self.windows)

    def measured(self, predicted: np.ndarray) -> PartPredictions:
        return PartPredictions(
            part="seen in training",
            episodes_in_part=5,
            windows=self.windows,
            recorded=self.recorded,
            predicted=predicted,
            rules=self.training.answers(self.data.states(self.asked)[:, 0]),
            training_rows=(len(self.data), len(self.data)),
            groups=self.groups,
            labels={},
            dataset="small",
        )


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    store = a_store(tmp_path_factory.mktemp("planted"))
    make_data(store, episodes=5)
    config = load_modality_config("small", store)
    dataset = LeRobotDataset.open(store.dataset_directory("small", config.dataset_version), "small")
    frames = FrameCache.open(store.frame_cache("small", config.dataset_version))
    return Small(dataset, Demonstrations(dataset, frames, config))


def test_what_was_recorded_is_what_a_model_is_trained_on(small: Small) -> None:
    trained_on = small.data.actions(small.asked)[..., : small.config.action_dim]
    assert np.allclose(small.recorded.actions, trained_on, atol=1e-6)
    again = StateActionTransform(small.config).invert_action(small.recorded.actions)
    for name, values in small.recorded.actions_in_units.items():
        assert np.allclose(again[name], values, atol=1e-6)


def test_holding_repeats_the_state_of_the_windows_row(small: Small) -> None:
    key = next(key for key in small.config.state if key.key == "right_arm")
    episode, row = int(small.windows.episodes[5]), int(small.windows.rows[5])
    state = small.dataset.vector(episode, key.original_key)[row, key.start : key.end]
    assert np.allclose(small.recorded.held_in_units["right_arm"][5, 0], state)


def test_the_mean_action_is_that_of_every_row(small: Small) -> None:
    rows = [small.dataset.vector(index, "action") for index in range(5)]
    fed = StateActionTransform(small.config).actions(np.concatenate(rows))
    expected = fed.mean(axis=0)[: small.config.action_dim]
    assert np.allclose(small.training.mean, expected, atol=1e-6)
    median = np.median(fed, axis=0)[: small.config.action_dim]
    assert np.allclose(small.training.median, median, atol=1e-6)


def test_nearest_chunks_are_those_that_a_search_through_all_rows_finds(small: Small) -> None:
    every, compared = small.data.states(small.data.rows())[:, 0].astype(np.float64), 0
    asked = every[small.asked] + np.random.default_rng(0).normal(0, 0.02, every.shape[1])
    found = small.training.answers(asked)["nearest chunks"]
    for state, chunk in zip(asked, found, strict=True):
        distances = np.linalg.norm(every - state, axis=1)
        near = np.argsort(distances)[: NEAREST + 1]
        if np.diff(distances[near])[-1] > 1e-9:  # of equal states either may be taken
            actions = small.data.actions(near[:-1])[..., : small.config.action_dim]
            np.testing.assert_allclose(chunk, actions.mean(axis=0), atol=1e-6)
            compared += 1
    assert compared > 5


def test_many_training_rows_are_drawn_evenly(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gr00t_assets.evaluation.recorded_actions.MOST_ROWS", 21)
    drawn = TrainingActions(small.data)
    assert len(drawn.rows) == 21 and np.ptp(np.diff(drawn.rows)) <= 1
    assert (drawn.rows[0], drawn.rows[-1]) == (0, len(small.data) - 1)
    np.testing.assert_array_equal(drawn.mean, small.training.mean)
    few = replace(small.measured(small.recorded.actions[None]), training_rows=(21, len(small.data)))
    doubled = replace(few, predicted=np.repeat(few.predicted, 2, axis=0))
    words = part_evaluation([doubled]).baselines[2].words
    assert words.endswith(f"10 nearest training states, of 21 drawn evenly from {len(small.data)}")


def test_a_planted_error_comes_out_in_both_kinds_of_units(small: Small) -> None:
    off = np.zeros(small.config.action_dim)
    place = next(group for group in small.groups if group.key.key == "right_arm").normalised.start
    off[place + 1] = 0.1
    part = part_evaluation([small.measured(np.stack([small.recorded.actions + off] * DRAWS))])

    joint = next(joint for joint in part.joints if joint.name == "right_arm[1]")
    key = next(key for key in small.config.action if key.key == "right_arm")
    wide = key.statistics.max[1] - key.statistics.min[1]
    assert joint.normalised is not None
    assert joint.normalised.mean == pytest.approx(0.1)
    assert joint.in_units.mean == pytest.approx(0.1 * wide / 2, rel=1e-4)
    assert joint.by_step_in_units == pytest.approx((0.05 * wide,) * 16, rel=1e-4)
    others = [other for other in part.joints if other is not joint]
    assert all(other.in_units.mean < 1e-9 for other in others)
    assert part.draw_spread.mean == 0
    assert part.error.mean == pytest.approx(0.1 / small.config.action_dim, rel=1e-5)
    assert part.squared_error_in_units == pytest.approx(joint.in_units.mean**2 / 26, rel=1e-3)


def test_a_policy_near_the_truth_beats_every_rule_and_one_far_from_it_none(small: Small) -> None:
    noise = np.random.default_rng(0).normal(size=(DRAWS, *small.recorded.actions.shape))
    near = part_evaluation([small.measured(small.recorded.actions + 0.02 * noise)])
    far = part_evaluation([small.measured(small.recorded.actions + 2.0 * noise)])
    assert [rule.beaten for rule in near.baselines] == ["yes"] * 4
    assert [rule.beaten for rule in far.baselines] == ["no"] * 4
    for rule in near.baselines:
        assert rule.difference.mean == pytest.approx(near.error.mean - rule.error.mean, abs=1e-5)
    hold, mean, *_ = near.baselines
    assert (hold.name, mean.name) == ("hold", "mean action")
    assert hold.by_step[0] < hold.by_step[-1]
    mean = part_evaluation([small.measured(np.stack([mean_like(small)] * DRAWS))])
    assert mean.baselines[1].beaten == "cannot be told"


def mean_like(small: Small) -> np.ndarray:
    return np.broadcast_to(small.training.mean, small.recorded.actions.shape)


def test_a_number_that_never_changes_is_no_error(small: Small) -> None:
    key = small.groups[0].key
    least = key.statistics.min
    still = key.statistics.model_copy(update={"max": (least[0], *key.statistics.max[1:])})
    config = small.config.model_copy(
        update={"action": (key.model_copy(update={"statistics": still}), *small.config.action[1:])}
    )
    groups = action_groups(config)
    recorded = recorded_at(small.windows, small.dataset, groups, config)
    predicted = np.stack([recorded.actions] * DRAWS)
    predicted[..., 0] += 5.0
    predicted[..., 1] += 0.25
    planted = replace(small.measured(predicted), recorded=recorded, groups=groups)
    assert planted.moving.tolist() == [False] + [True] * 25
    assert part_evaluation([planted]).error.mean == pytest.approx(0.25 / 25)


def test_relative_groups_hold_no_motion_and_unmatched_ones_the_last_action(small: Small) -> None:
    first, second, *others = small.config.action
    config = small.config.model_copy(
        update={
            "action": (
                first.model_copy(update={"absolute": False}),
                second.model_copy(update={"key": "elsewhere"}),
                *others,
            )
        }
    )
    groups = action_groups(config)
    assert [group.held for group in groups] == ["no motion", "last action", "state", "state"]
    lengths = {episode.index: episode.length for episode in small.dataset.episodes}
    windows = choose_windows(lengths, config.action_indices, QUICK, first_row=1)
    held = recorded_at(windows, small.dataset, groups, config).held_in_units
    assert np.allclose(held["left_arm"], 0)
    column = small.dataset.vector(0, second.original_key)
    before = column[windows.rows[0] - 1, second.start : second.end]
    assert windows.rows[0] == 1 and np.allclose(held["elsewhere"][0, 0], before)


def test_the_spread_of_draws_is_over_their_pairs() -> None:
    assert draw_spread(np.array([0.0, 1.0, 3.0])) == pytest.approx((1 + 3 + 2) / 3)


class Reader(Predictor):
    """Predicts the truth with noise, and something else for another prompt."""

    def __init__(self, actions: np.ndarray, told: list[str], moves: float) -> None:
        self._actions, self._told, self._moves = actions, told, moves

    def predict(
        self, data: Demonstrations, windows: Windows, what: str, texts: Sequence[str] | None = None
    ) -> np.ndarray:
        noise = np.random.default_rng(0).normal(size=(DRAWS, *self._actions.shape))
        said = texts or self._told
        other = np.array([a != b for a, b in zip(said, self._told, strict=True)])
        return self._actions + 0.1 * noise + self._moves * other[:, None, None]


@pytest.mark.parametrize(("moves", "used"), [(0.0, "no"), (0.005, "no"), (0.5, "yes")])
def test_a_planted_use_of_the_prompt_is_found(small: Small, moves: float, used: str) -> None:
    told = small.data.texts(small.asked)
    reader = Reader(small.recorded.actions, told, moves)
    measured = small.measured(reader.predict(small.data, small.windows, "right"))
    tasks = sorted(small.data.instructions)

    swap = prompt_swap([(reader, small.data, measured)], tasks)

    assert swap.difference.mean == pytest.approx(moves, abs=1e-6)
    assert swap.ratio.mean == pytest.approx(moves / swap.draw_spread.mean, rel=1e-3, abs=1e-9)
    assert language_used(swap.tasks, swap.ratio, swap.difference) == used
    assert (swap.error_increase.mean > 0.01) == (moves > 0.01)


def test_neither_one_task_nor_a_wide_interval_tells_whether_language_is_used() -> None:
    def between(low: float, high: float) -> Estimate:
        return Estimate(mean=(low + high) / 2, standard_error=0.1, low=low, high=high)

    sure = between(0.5, 0.6)
    assert language_used(1, sure, sure) == "cannot be told: one task"
    assert language_used(2, sure, sure) == "yes"
    assert language_used(2, sure, between(0.001, 0.002)) == "no"
    assert language_used(2, between(0.05, 0.2), sure) == "cannot be told: too close"
    assert language_used(2, Estimate(mean=5), sure) == "cannot be told: too few episodes"


def test_a_trajectory_has_the_recorded_values_at_its_times(small: Small) -> None:
    predicted = np.stack([small.recorded.actions] * DRAWS)
    drawn = trajectory(small.measured(predicted), small.dataset)
    assert (drawn.episode, len(drawn.lines)) == (0, 6)
    for line in drawn.lines:
        for times, values in zip(drawn.chunk_seconds, line.predicted, strict=True):
            near = np.interp(times, drawn.seconds, line.recorded)
            assert np.allclose(near, values, atol=2e-3 * max(1.0, np.abs(line.recorded).max()))
