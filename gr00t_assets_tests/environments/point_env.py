"""A small Gymnasium environment for tests: a point that goes where it is told, and may fail."""

import os
import signal
import time
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

ENV_ID = "gr00t_assets_tests/Point-v0"


class Point(gymnasium.Env[Any, Any]):
    """A point of some numbers; it succeeds where the first of them has come to the goal.

    Args:
        numbers: Of state and action.
        trouble: By seed what happens at the step ``trouble_at``: hang, crash, raise.
        nested: The action is a dictionary ``{"arm": {"joints": ...}, "grip": ...}``.
    """

    def __init__(
        self,
        numbers: int = 3,
        size: int = 16,
        trouble: dict[str, str] | None = None,
        nested: bool = False,
        goal: float | None = None,
        own_names: bool = True,
        trouble_at: int = 3,
    ) -> None:
        self.trouble, self.nested, self.size, self._goal = trouble or {}, nested, size, goal
        self.numbers, self.trouble_at = numbers, trouble_at
        if own_names:
            self.joint_names = tuple(f"joint_{at}" for at in range(numbers))
        self.skip_images, self.drawn, self.steps = False, 0, 0
        arm = spaces.Box(-10, 10, (numbers - 1,), np.float32)
        self.action_space = spaces.Box(-10, 10, (numbers,), np.float32)
        if nested:
            grip = spaces.Box(0, 1, (1,), np.float32)
            self.action_space = spaces.Dict(arm=spaces.Dict(joints=arm), grip=grip)
        self.observation_space = spaces.Dict(
            pixels=spaces.Box(0, 255, (size, size, 3), np.uint8),
            state=spaces.Box(-10, 10, (numbers,), np.float64),
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.seed, self.steps = seed, 0
        self.point = self.np_random.uniform(-1, 1, self.numbers)
        drawn = float(self.np_random.uniform(2, 4))
        self.goal = drawn if self._goal is None else self._goal
        self.start = self.point[0]
        return self._shown(), {"instruction": f"go to {self.goal:.1f}"}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self.steps += 1
        if self.steps == self.trouble_at:
            self._fail(self.trouble.get(str(self.seed), ""))
        if self.nested:
            action = np.concatenate([action["arm"]["joints"], action["grip"]])
        self.point = self.point + np.clip(action - self.point, -0.5, 0.5)
        left = abs(self.goal - self.point[0])
        progress = float(np.clip(1 - left / abs(self.goal - self.start), 0, 1))
        told = {"is_success": left < 0.1, "progress": progress}
        return self._shown(), -left, False, False, told

    def expert(self) -> Any:
        return lambda env: np.full(env.numbers, env.goal)

    def _fail(self, how: str) -> None:
        if how == "hang":
            time.sleep(600)
        elif how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif how == "raise":
            raise RuntimeError("the gripper is on fire")

    def _shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"state": self.point.copy()}
        if not self.skip_images:
            self.drawn += 1
            image = np.zeros((self.size, self.size, 3), np.uint8)
            place = int(np.clip((self.point[0] + 5) / 10, 0, 0.99) * self.size)
            image[:, place] = (200, 40, 40)
            shown["pixels"] = image
        return shown


gymnasium.register(ENV_ID, entry_point=f"{__name__}:Point", max_episode_steps=7)


class Rendered(Point):
    """The same with a vector alone as its observation, and images by ``render``."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.render_mode = render_mode
        self.observation_space = spaces.Box(-10, 10, (self.numbers,), np.float64)

    def render(self) -> Any:
        return super()._shown().get("pixels") if self.render_mode == "rgb_array" else None

    def _shown(self) -> Any:
        return super()._shown()["state"]


gymnasium.register("gr00t_assets_tests/Rendered-v0", entry_point=f"{__name__}:Rendered")

POINT = {
    "description": "A point goes to its goal",
    "id": f"{__name__}:{ENV_ID}",
    "package": "gr00t-assets-tests",
    "observation": {"video.front": "pixels", "state.arm": "state[0:2]", "state.grip": "state[2]"},
    "action": ["arm", "grip"],
    "instruction": "go to the goal",
    "success": "info.is_success",
    "score": "info.progress",
    "max_steps": 20,
    "fps": 10,
    "seeds": 100,
    "episodes": 6,
    "episode_seconds": 20,
}
"""Its declaration, without the name."""
