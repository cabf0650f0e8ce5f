"""Relative actions in training and evaluation: normalised as fed, in units as they are sent."""

from collections.abc import Iterator

import numpy as np
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.evaluation.intervals import Windows
from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.evaluation.recorded_actions import action_groups, recorded_at
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.trainers.policy import Observations
from gr00t_assets_tests.evaluation.runs import a_store, make_data, make_run

CONFIG = """\
video: [ego_view]
state:
  left_arm: {normalization: min_max}
action:
  left_arm: {rep: relative, normalization: min_max}
  right_arm: {normalization: min_max}
language: annotation.human.action.task_description
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a dataset whose left arm moves relative to its state."""
    root = tmp_path_factory.mktemp("relative")
    (root / "data" / "data_configs").mkdir(parents=True)
    (root / "data" / "data_configs" / "mine.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR00T_ASSETS_ROOT", str(root))
        store = a_store(root)
        make_data(store, data_config="mine", held_out=[3])
        yield store


def demonstrations(store: Store) -> tuple[LeRobotDataset, Demonstrations]:
    config = load_modality_config("small", store)
    dataset = LeRobotDataset.open(store.dataset_directory("small", config.dataset_version))
    frames = FrameCache.open(store.frame_cache("small", config.dataset_version))
    return dataset, Demonstrations(dataset, frames, config)


def test_what_is_recorded_and_held_is_what_the_model_is_fed(store: Store) -> None:
    dataset, data = demonstrations(store)
    config = data.config
    rows = np.array([0, 5, 39])
    inside = np.ones((3, 16), dtype=bool)
    windows = Windows(np.zeros(3, int), rows, inside, np.zeros(3, int), 5)
    groups = action_groups(config)
    recorded = recorded_at(windows, dataset, groups, config)
    fed = data.actions(rows)
    np.testing.assert_allclose(recorded.actions, fed[..., : config.action_dim], atol=1e-5)

    units = StateActionTransform(config).invert_action(fed, data.anchors(rows))
    for group in groups:
        truth = recorded.actions_in_units[group.key.key]
        np.testing.assert_allclose(units[group.key.key], truth, atol=1e-4)
        anchor = recorded.anchors.get(group.key.key)
        again = group.inverse(recorded.actions[..., group.normalised], anchor)
        np.testing.assert_allclose(again, truth, atol=1e-8)
    # Holding the state is a relative action of nothing.
    arm, state = config.action[0], config.state_of(config.action[0])
    assert groups[0].held == "state"
    vectors = dataset.vectors(0, [state.original_key])[state.original_key]
    held = recorded.held_in_units[arm.key]
    assert held.shape[1] in (1, 16)
    np.testing.assert_allclose(held[:, 0], vectors[rows, state.start : state.end], atol=1e-8)
    assert recorded.held.shape == recorded.actions.shape


def test_a_run_of_an_own_data_config_is_trained_and_evaluated(store: Store) -> None:
    spec = make_run(store, max_steps=3, batch_size=4, logging_steps=1)
    losses = read_metrics(spec.run_directory).losses
    assert len(losses) == 3 and np.isfinite(losses).all()
    quick = EvaluationSettings(draws=2, max_windows=4, denoising_steps=2)
    evaluation = evaluate_run(spec.run_directory, quick)
    assert evaluation.held_out is not None and evaluation.held_out.episodes == (3,)
    arm, other = evaluation.held_out.groups
    assert (arm.group, arm.held, other.group, other.held) == (
        *("left_arm", "state"),
        *("right_arm", "last action"),
    )
    assert np.isfinite([arm.normalised.mean, arm.in_units.mean, *arm.by_step_in_units]).all()
    # What the policy sends is its prediction on top of the state that it is told.
    _, data = demonstrations(store)
    rows, policy = np.array([0, 7]), trainer_named("native").open_policy(spec.run_directory, "cpu")
    asked = Observations(data.frames(rows), data.states(rows), data.texts(rows), data.anchors(rows))
    moved = {"left_arm": data.anchors(rows)["left_arm"] + 1.0}
    further = Observations(asked.frames, asked.states, asked.instructions, moved)
    sent, shifted = policy.actions(asked), policy.actions(further)
    np.testing.assert_allclose(shifted["left_arm"], sent["left_arm"] + 1.0, atol=1e-6)
    np.testing.assert_array_equal(shifted["right_arm"], sent["right_arm"])
