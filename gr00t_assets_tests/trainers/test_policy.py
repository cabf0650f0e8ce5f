"""A policy of any trainer: from an observation to actions in the robot's units."""

import numpy as np
import pytest

from gr00t_assets.core.errors import ActionError, CheckpointError, ObservationError
from gr00t_assets.modality.config import ChunkStatistics
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.trainers.native.policy import NativePolicy
from gr00t_assets.trainers.policy import Observations, open_policy
from gr00t_assets_tests.serving.arm import (
    CENTRE,
    HIGH,
    JOINTS,
    LOW,
    ArmPolicy,
    arm_config,
    observation,
)
from gr00t_assets_tests.trainers.conftest import SpecMaker, train


def test_actions_are_in_units_by_key_and_flat_with_their_times() -> None:
    chunk = ArmPolicy(CENTRE + 5).act(observation())
    assert chunk.flat.shape == (16, 6) and chunk.names == JOINTS and chunk.warnings == ()
    np.testing.assert_allclose(chunk.flat[-1], CENTRE + 5, atol=1e-4)
    np.testing.assert_array_equal(chunk.by_key["single_arm"], chunk.flat[:, :5])
    np.testing.assert_array_equal(chunk.by_key["gripper"], chunk.flat[:, 5:])
    np.testing.assert_allclose(chunk.times, np.arange(16) / 50)


def test_flat_actions_are_in_the_datasets_order() -> None:
    config = arm_config()
    swapped = config.model_copy(update={"state": config.state[::-1], "action": config.action[::-1]})
    policy = ArmPolicy(config=swapped)
    order = [5, 0, 1, 2, 3, 4]
    policy.predict = (
        lambda told, noise, steps=None: np.pad(  # pyright: ignore
            np.broadcast_to(((CENTRE - LOW) / (HIGH - LOW) * 2 - 1)[order], (*noise.shape[:3], 6)),
            [(0, 0)] * 3 + [(0, 26)],
        )
    )
    chunk = policy.act(observation())
    assert chunk.names == JOINTS
    np.testing.assert_allclose(chunk.flat[0], CENTRE)


def test_many_observations_are_one_call_and_each_as_if_alone() -> None:
    policy = ArmPolicy()
    asked = [{**observation(), "shoulder_pan.pos": float(degrees)} for degrees in (-20, 0, 20)]
    chunks = policy.act_many(asked, [0, 1, 2])
    assert len(policy.asked) == 1
    for one, chunk in zip(asked, chunks, strict=True):
        np.testing.assert_allclose(policy.act(one).flat, chunk.flat, atol=1e-6)


def test_noise_is_of_the_seed_and_not_of_the_batch() -> None:
    policy, noises = ArmPolicy(), []

    def predict(observations: Observations, noise: np.ndarray, steps: int | None = None):
        noises.append(noise)
        return np.zeros(noise.shape, np.float32)

    policy.predict = predict  # pyright: ignore[reportAttributeAccessIssue]
    policy.act(observation(), seed=7)
    policy.act_many([observation()] * 2, [3, 7])
    np.testing.assert_array_equal(noises[0][0, 0], noises[1][0, 1])
    assert np.abs(noises[1][0, 0] - noises[1][0, 1]).max() > 0.1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_an_error(bad: float) -> None:
    goal = CENTRE.copy()
    goal[5] = bad
    with pytest.raises(ActionError, match=r"NaN or infinity: gripper\.pos"):
        ArmPolicy(goal).act(observation())


def test_relative_actions_are_added_to_the_state_that_was_observed() -> None:
    config = arm_config()
    steps = 16
    zero, one = ((0.0,) * 5,) * steps, ((1.0,) * 5,) * steps
    arm = config.action[0].model_copy(
        update={
            "rep": "relative",
            "normalization": "mean_std",
            "chunk_statistics": ChunkStatistics(
                min=zero, max=one, mean=zero, std=one, q01=zero, q99=one
            ),
        }
    )
    policy = ArmPolicy(config=arm_config(action=(arm, config.action[1])))
    policy.predict = lambda told, noise, steps=None: np.full(  # pyright: ignore
        noise.shape, 2.0, np.float32
    )
    pose = CENTRE + 3
    asked = {**observation(), **dict(zip(JOINTS, pose, strict=True))}
    chunk = policy.act(asked)
    np.testing.assert_allclose(chunk.by_key["single_arm"], np.tile(pose[:5] + 2, (16, 1)))


def test_the_description_is_of_the_data_and_the_example_is_taken() -> None:
    policy = ArmPolicy()
    described = policy.description
    assert described.state_names == policy.state_names == JOINTS
    np.testing.assert_allclose(described.action_low, LOW)
    assert policy.act(policy.example_observation()).warnings == ()
    with pytest.raises(ObservationError, match="wrist: is missing"):
        asked = observation()
        del asked["wrist"]
        policy.act(asked)


def test_a_trained_run_opens_and_acts(spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    policy = open_policy(spec.run_directory, "cpu")
    assert isinstance(policy, NativePolicy)
    asked = policy.example_observation()
    chunk = policy.act(asked, seed=1)
    assert chunk.flat.shape == (16, 26) and np.isfinite(chunk.flat).all()
    np.testing.assert_array_equal(policy.act(asked, seed=1).flat, chunk.flat)
    assert np.abs(policy.act(asked, seed=2).flat - chunk.flat).max() > 0
    assert policy.state_names[0].startswith("motor_")

    with pytest.raises(ObservationError, match="image-1"):
        policy.act({**asked, "task": "<image-1> pick"})
    monkeypatch.setattr(NativePolicy, "task_problem", lambda *_: "is too long")
    with pytest.raises(ObservationError, match="the task is too long"):
        policy.act(asked)
    monkeypatch.undo()
    monkeypatch.setattr(policy.base.tokenizer, "prompt_ids", lambda *_: (0,) * 10**6)
    with pytest.raises(ObservationError, match=r"a prompt of 1,000,000 tokens; the model takes"):
        policy.act(asked)
    monkeypatch.undo()

    assert open_policy(spec.run_directory / MODEL).act(asked).flat.shape == (16, 26)
    with pytest.raises(CheckpointError, match="holds no weights"):
        open_policy(spec.run_directory.parent.parent)
