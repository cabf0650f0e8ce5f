from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from gr00t_assets.environments.synthetic.pick import (
    CLOSED,
    ENV_ID,
    KNOB_TOP,
    LIFTED,
    OPEN,
    So101Pick,
    expert_action,
)
from gr00t_assets.environments.synthetic.robots import So101


def played(env: So101Pick, seed: int, steps: int = 60, noise: float = 0.0) -> tuple[int, bool]:
    """Steps of the expert in an episode, and whether it ended with success."""
    random = np.random.default_rng(seed)
    env.reset(seed=seed)
    for step in range(steps):
        action = expert_action(env) + random.normal(0.0, noise, 6)
        _, _, terminated, _, info = env.step(action)
        if terminated:
            return step + 1, info["is_success"]
    return steps, False


@pytest.fixture
def env() -> So101Pick:
    made = So101Pick(size=32)
    made.reset(seed=0)
    made.skip_images = True
    return made


@pytest.mark.filterwarnings("ignore:.*we recommend using a symmetric.*")
def test_gymnasium_finds_nothing_wrong_with_it() -> None:
    made = gymnasium.make(ENV_ID, render_mode="rgb_array")
    check_env(made.unwrapped)
    made.reset(seed=1)
    for _ in range(60):
        *_, truncated, _ = made.step(made.action_space.sample())
    assert truncated


def test_the_same_seed_gives_the_same_episode_and_another_one_another() -> None:
    def episode(seed: int) -> list[Any]:
        env = So101Pick(size=32)
        shown = [env.reset(seed=seed)[0]]
        shown += [env.step(expert_action(env))[0] for _ in range(8)]
        return [(*item["state"], *item["pixels"]["wrist"].ravel()) for item in shown]

    assert episode(3) == episode(3)
    assert episode(3) != episode(4)


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_the_expert_lifts_the_lid_wherever_it_stands(env: So101Pick, noise: float) -> None:
    ends = [played(env, seed, noise=noise) for seed in range(100)]
    assert all(success for _, success in ends)
    assert min(steps for steps, _ in ends) > 8


def test_it_is_not_solved_by_chance_or_by_doing_nothing(env: So101Pick) -> None:
    random = np.random.default_rng(0)
    low, high = env._low, env._high
    for seed in range(20):
        start = env.reset(seed=seed)[0]["state"]
        for action in [start] * 30 + list(random.uniform(low, high, (30, 6))):
            assert not env.step(action)[1]


def brought(env: So101Pick, offset: tuple[float, float, float]) -> None:
    """The open hand at an offset from the knob's middle, at rest."""
    arm = np.rad2deg(env._robot.reach(env._knob() + np.array(offset)))
    for _ in range(30):
        env.step(np.append(arm, OPEN))


@pytest.mark.parametrize(
    "offset, holds",
    [
        ((0.0, 0.0, 0.0), True),
        ((0.0, 0.012, 0.0), True),
        ((0.0, 0.025, 0.0), False),
        ((0.02, 0.0, 0.0), False),
        ((0.0, 0.0, KNOB_TOP), False),
    ],
    ids=["around", "a little aside", "a jaw on the knob", "behind it", "above it"],
)
def test_only_jaws_around_the_knob_hold_it(
    env: So101Pick, offset: tuple[float, float, float], holds: bool
) -> None:
    env._lid = np.array([0.22, 0.0, 0.0])
    brought(env, offset)
    arm = env._state[:5].copy()
    for _ in range(10):
        env.step(np.append(arm, CLOSED))
    up = np.rad2deg(env._robot.reach(np.array([0.22, 0.0, 0.12])))
    successes = [env.step(np.append(up, CLOSED))[2] for _ in range(15)]
    assert any(successes) == holds
    assert (env._lid[2] > LIFTED) == holds
    assert (env._state[5] > CLOSED + 5) == holds, "a knob keeps the jaws apart"
    for _ in range(20):
        env.step(np.append(up, OPEN))
    assert env._lid[2] == 0.0


def test_progress_grows_from_reaching_to_the_lift(env: So101Pick) -> None:
    env.reset(seed=5)
    progress = []
    for _ in range(60):
        *_, terminated, _, info = env.step(expert_action(env))
        progress.append(info["progress"])
        if terminated:
            break
    assert progress[-1] == 1.0
    assert 0 < progress[0] < 0.5 < max(progress[:-1])


def test_both_cameras_show_the_lid_and_the_wrist_brings_it_nearer() -> None:
    env = So101Pick(size=64)
    shown = env.reset(seed=2)[0]["pixels"]
    first = {name: image.copy() for name, image in shown.items()}
    env._lid = np.array([0.1, 0.3, 0.0])
    away = {name: env._draw(name) for name in first}
    changed = {name: int((first[name] != away[name]).any(-1).sum()) for name in first}
    assert changed["wrist"] > changed["front"] > 20


def test_steps_that_nobody_looks_at_are_not_drawn(env: So101Pick) -> None:
    spent = env.render_seconds
    env.step(expert_action(env))
    assert env.render_seconds == spent
    env.skip_images = False
    env.step(expert_action(env))
    assert env.render_seconds > spent


def test_the_hand_reaches_every_point_over_the_table_in_front() -> None:
    robot, random = So101(), np.random.default_rng(0)
    for point in random.uniform((0.16, -0.1, 0.0), (0.26, 0.1, 0.06), (200, 3)):
        pose = robot.chain.forward(robot.reach(point))
        assert np.allclose(pose.points[-1], point, atol=1e-9)
        assert pose.rotation[2, 0] < -0.9, "the hand points down"
