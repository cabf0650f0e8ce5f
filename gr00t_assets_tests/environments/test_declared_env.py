"""A declared environment, opened: observations and actions in the data config's keys."""

import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from gr00t_assets.core.errors import SimulationError
from gr00t_assets.environments.declared_env import DeclaredEnv, open_environment
from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.environments.places import parse_place, parse_reading
from gr00t_assets_tests.environments.point_env import POINT

MODULE = "gr00t_assets_tests.environments.point_env"
VECTOR = {
    "id": f"{MODULE}:gr00t_assets_tests/Rendered-v0",
    "observation": {"video.view": "render()", "state.arm": "observation"},
}


def opened(**fields: Any) -> DeclaredEnv:
    return open_environment(Environment.model_validate({"name": "point", **POINT, **fields}))


def test_observations_have_the_keys_of_the_data_config() -> None:
    env = opened()
    observed = env.reset(3)
    assert observed.observation["video.front"].shape == (16, 16, 3)
    assert observed.observation["state.arm"].shape == (2,)
    state = env.env.unwrapped.point
    np.testing.assert_array_equal(observed.observation["state.grip"], state[2:3])
    assert observed.observation["task"] == "go to the goal"
    assert (observed.success, observed.score, observed.done) == (False, None, False)
    assert env.names == ("joint_0", "joint_1", "joint_2")
    again = opened().reset(3).observation
    np.testing.assert_array_equal(again["video.front"], observed.observation["video.front"])


def test_the_expert_succeeds_and_the_score_rises() -> None:
    env = opened()
    env.reset(5)
    expert = env.expert()
    assert expert is not None
    observed = [env.step(expert()) for _ in range(10)]
    assert observed[-1].success and not observed[0].success
    scores = [item.score or 0.0 for item in observed]
    assert scores == sorted(scores) and scores[-1] > 0.9


def test_an_episode_is_as_long_as_declared_whatever_its_package_registered() -> None:
    env = opened(kwargs={"goal": 9.0})
    env.reset(0)
    assert not any(env.step(np.zeros(3)).done for _ in range(15))  # registered with 7 steps


def test_images_that_nobody_looks_at_are_not_drawn() -> None:
    env = opened()
    env.reset(0, images=False)
    assert "video.front" not in env.step(np.zeros(3), images=False).observation
    assert env.env.unwrapped.drawn == 0
    assert "video.front" in env.step(np.zeros(3)).observation


def test_an_action_of_dictionaries_is_put_together_within_its_limits() -> None:
    places = {"grip": "grip", "arm": "arm.joints[0:2]"}
    env = opened(action=places, kwargs={"nested": True})
    env.reset(0)
    before = env.env.unwrapped.point.copy()
    env.step(np.array([5.0, 0.1, -0.1]))  # the gripper takes 0 to 1
    moved = np.clip(np.array([0.1, -0.1, 1.0]) - before, -0.5, 0.5)
    np.testing.assert_allclose(env.env.unwrapped.point - before, moved, atol=1e-6)
    with pytest.raises(SimulationError, match="do not fit the declared places"):
        env.step(np.zeros(4))


def test_an_environment_that_observes_a_vector_is_drawn_by_render() -> None:
    env = opened(**VECTOR)
    observed = env.reset(1)
    assert observed.observation["video.view"].shape == (16, 16, 3)
    assert observed.observation["state.arm"].shape == (3,)
    assert env.render_seconds > 0


def test_success_is_read_from_info_reward_or_the_end() -> None:
    for success, expected in (
        ("info.is_success", True),
        ("reward > -0.1", True),
        ("info.progress >= 2", False),
        ("terminated", False),
    ):
        env = opened(success=success)
        env.reset(5)
        expert = env.expert()
        assert expert is not None
        assert [env.step(expert()) for _ in range(10)][-1].success is expected, success


def test_the_task_may_be_the_environments_own() -> None:
    env = opened(instruction={"from": "info.instruction"})
    assert env.reset(0).observation["task"].startswith("go to ")


def test_everything_that_is_not_there_is_told_at_once_with_what_is() -> None:
    observation = {"video.front": "camera", "state.arm": "state[2:5]", "state.grip": "pixels"}
    env = opened(observation=observation)
    with pytest.raises(SimulationError) as failure:
        env.reset(0)
    for text in (
        "video.front, declared as camera: there is no camera",
        "state.arm, declared as state[2:5]: state is (3,) float64",
        "state.grip, declared as pixels: pixels is (16, 16, 3) uint8",
        "pixels (16, 16, 3) uint8",
        "its info has: instruction",
    ):
        assert text in str(failure.value)
    env = opened(success="info.succes")
    env.reset(0)
    with pytest.raises(SimulationError, match=r"there is no info\.succes"):
        env.step(np.zeros(3))
    with pytest.raises(SimulationError, match="it has 3 numbers, and 2 are given"):
        env.step(np.zeros(2))


class Parts(gymnasium.Env[Any, Any]):
    """It shows, tells and takes dictionaries."""

    _arm = spaces.Dict(left=spaces.Box(-1, 1, (2,)), right=spaces.Box(-1, 1, (2,)))
    action_space = spaces.Dict(arm=_arm, grip=spaces.Discrete(2))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        return {"arm": {"left": np.zeros(2), "right": np.zeros(2)}, "list": [{}]}, {"is": {"x": 1}}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.reset()[0], 0.0, False, False, {"is": {"x": 1}}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"observation": {"state.arm": "arm"}}, "state.arm, declared as arm: arm is no value; in"),
        ({"observation": {"state.arm": "list"}}, "state.arm, declared as list: "),
        ({"action": {"arm": "arm"}}, "arm is no value; in it are left, right"),
        ({"action": {"arm": "grip"}}, "grip is no vector of numbers: Discrete(2)"),
        ({"success": "info.is"}, "success, declared as info.is: info.is is no value; in it are x"),
        ({"instruction": {"from": "info.is"}}, "instruction: info.is is no value; in it are x"),
    ],
)
def test_what_has_parts_is_no_value(fields: dict[str, Any], told: str) -> None:
    usual = {"observation": {"state.arm": "arm.left"}, "action": {"arm": "arm.left"}}
    usual |= {"name": "parts", "success": "terminated", "score": None}
    env = DeclaredEnv(Environment.model_validate({**POINT, **usual, **fields}), Parts())
    with pytest.raises(SimulationError) as failure:
        env.reset(0)
        env.step(np.zeros(2 - ("grip" in str(fields))))
    assert told in str(failure.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"id": "no_such_module:x/Y-v0"}, "module no_such_module does not import"),
        ({"id": "no_such_plugin/Y-v0"}, "module no_such_plugin does not import"),
        ({"id": f"{MODULE}:gr00t_assets_tests/Pint-v0"}, "did you mean 'gr00t_assets_tests/Point"),
    ],
)
def test_what_is_not_installed_says_what_pip_installs(fields: dict[str, str], told: str) -> None:
    with pytest.raises(SimulationError) as failure:
        opened(**fields)
    assert told in str(failure.value)
    assert "install it: pip install 'gr00t-assets-tests'" in str(failure.value)


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(SimulationError, match="it cannot be opened") as failure:
        opened(kwargs={"sise": 3})
    assert "sise" in str(failure.value)


def test_what_cannot_draw_says_which_variables_and_packages() -> None:
    """MuJoCo's own message where there is no OpenGL, as of 3.17."""
    code = (
        "import gymnasium\n"
        "from gr00t_assets.environments.declared_env import open_environment\n"
        "from gr00t_assets.environments.environment_file import Environment\n"
        f"from {MODULE} import POINT, Point\n"
        "class Blind(Point):\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        raise RuntimeError('an OpenGL platform library has not been loaded')\n"
        "gymnasium.register('blind/Blind-v0', entry_point=lambda **k: Blind(**k))\n"
        "fields = {**POINT, 'name': 'blind', 'id': 'blind/Blind-v0'}\n"
        "open_environment(Environment.model_validate(fields)).reset(0)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert "it cannot draw here" in told and "libegl1" in told
    assert "MUJOCO_GL=egl EGL_PLATFORM=surfaceless LIBGL_ALWAYS_SOFTWARE=1" in told


@pytest.mark.parametrize("text", ["a[", "a[1:2:3]", "", "a..b", "a[-1]"])
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a path"):
        parse_place(text)


@pytest.mark.parametrize("text", ["success", "info", "reward => 1", "observation.x"])
def test_a_reading_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected info\.NAME"):
        parse_reading(text)
