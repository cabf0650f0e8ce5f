"""Lifting a lid by its knob with a drawn SO-101, as a Gymnasium environment without OpenGL.

A round lid stands somewhere on a table. The arm begins above the middle with an open gripper, takes
the knob and lifts the lid. The physics are those of positions: joints follow their commands with a
lag, the lid stands still until the jaws close around its knob, then it moves with the hand, and
falls when they open. Nothing is known of forces, and what touches the lid otherwise goes through.

Importing this module registers ``gr00t_assets/So101Pick-v0``.
"""

import time
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium  # noqa: TID253
import numpy as np
from gymnasium import spaces  # noqa: TID253

from gr00t_assets.environments.synthetic import scene
from gr00t_assets.environments.synthetic.robots import So101

ENV_ID = "gr00t_assets/So101Pick-v0"

AREA = (0.17, 0.27), (-0.08, 0.08)  # x and y between which the lid stands, metres
LID, KNOB, KNOB_TOP = 0.045, 0.008, 0.036
"""Radius of the lid, radius and height of its knob, metres."""

AROUND = np.array([0.014, 0.017, 0.013])
"""Metres that the middle of the knob may be off the tool when the jaws reach it: along the hand, so
that they are below the knob's top and above the table; across the jaws, so that none stands on the
knob before (they are 33 mm from the middle and 7.5 mm thick); and aside, so that they meet it."""

OPEN, ON_KNOB, CLOSED = 62.0, 16.0, 2.0
"""Gripper in percent: as it begins, with the knob between the jaws, and empty."""

LIFTED, HELD_STEPS = 0.05, 3
"""Metres that the lid must have risen, and steps in a row that it must be there in the hand."""

FOLLOWS = 0.45
"""Share of the way to its command that a joint goes in one step of a tenth of a second."""

MAX_STEPS = 60

_START = np.array([0.215, 0.0, 0.12])
_START_SPREAD = 0.02
_STEP, _GRIP_STEP = 10.7, 38.0
"""What the expert's command is ahead at most: degrees of the joint with the longest way, percent of
the gripper."""
_GREY, _RED, _MAT = (127, 127, 127), (200, 40, 40), (238, 234, 226)


class So101Pick(gymnasium.Env[dict[str, Any], np.ndarray]):
    """An SO-101 that is to lift a lid.

    Observations are ``pixels``, an image ``(size, size, 3)`` uint8 of each camera, and ``state``,
    five joints in degrees and the gripper from 0 (closed) to 100. Actions are the targets of the
    same six. ``info`` has ``is_success`` and ``progress``, 0 to 1. An episode ends with success.

    The camera ``front`` stands still, ``wrist`` rides on the hand; ``render`` gives the view of the
    first of those that are asked for. Where ``skip_images`` is set, steps show the images of
    before, which saves drawing.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}
    joint_names = So101.names
    robot_type = So101.robot_type

    def __init__(
        self,
        size: int = 112,
        cameras: tuple[str, ...] = ("front", "wrist"),
        render_mode: str | None = None,
    ) -> None:
        self.render_mode = render_mode
        self.skip_images, self.render_seconds = False, 0.0
        self._size, self._cameras = size, tuple(cameras)
        self._robot = So101()
        limits = np.rad2deg([(joint.low, joint.high) for joint in self._robot.chain.joints])
        self._low, self._high = np.append(limits[:, 0], 0.0), np.append(limits[:, 1], 100.0)
        low, high = self._low.astype(np.float32), self._high.astype(np.float32)
        image = spaces.Box(0, 255, (size, size, 3), np.uint8)
        pixels = spaces.Dict(dict.fromkeys(self._cameras, image))
        self.action_space = spaces.Box(low, high)
        self.observation_space = spaces.Dict(pixels=pixels, state=spaces.Box(low, high))
        self._images: dict[str, np.ndarray] = {}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put the lid and the hand somewhere; the same seed gives the same place."""
        super().reset(seed=seed, options=options)
        random = self.np_random
        self._lid = np.array([*(random.uniform(*side) for side in AREA), 0.0])
        start = _START + random.uniform(-_START_SPREAD, _START_SPREAD, 3)
        self._state = self._within(np.append(np.rad2deg(self._robot.reach(start)), OPEN))
        self._tint = float(random.uniform(0.94, 1.04))
        self._in_hand: np.ndarray | None = None
        self._falling, self._lifted_steps = 0.0, 0
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Command six joint targets for a tenth of a second; the reward is 1 with success."""
        command = self._within(np.asarray(action, float))
        before = self._state[5]
        self._state = self._state + FOLLOWS * (command - self._state)
        self._move_lid(closing=before > ON_KNOB >= self._state[5])
        lifted = self._in_hand is not None and self._lid[2] > LIFTED
        self._lifted_steps = self._lifted_steps + 1 if lifted else 0
        info = self._info()
        success = info["is_success"]
        return self._observation(), float(success), success, False, info

    def render(self) -> np.ndarray | None:
        """What the first camera sees, in the mode ``rgb_array``."""
        return None if self.render_mode is None else self._draw(self._cameras[0])

    def expert(self) -> Callable[["So101Pick"], np.ndarray]:
        """An expert that sees where the lid is and remembers nothing, so that it recovers."""
        return expert_action

    def _within(self, vector: np.ndarray) -> np.ndarray:
        return np.clip(vector, self._low, self._high)

    def _move_lid(self, closing: bool) -> None:
        pose = self._robot.pose(self._state)
        tool = pose.points[-1]
        if self._in_hand is None and closing:
            aside = pose.rotation.T @ (self._knob() - tool)
            if (np.abs(aside) <= AROUND).all():
                self._in_hand = pose.rotation.T @ (self._lid - tool) * np.array([1.0, 0.0, 1.0])
        elif self._in_hand is not None and self._state[5] > ON_KNOB + 8:
            self._in_hand = None
        if self._in_hand is not None:
            self._state[5] = max(self._state[5], ON_KNOB)
            self._lid, self._falling = tool + pose.rotation @ self._in_hand, 0.0
        elif self._lid[2] > 0:
            self._falling += 0.01
            self._lid = self._lid - np.array([0.0, 0.0, min(self._falling, self._lid[2])])

    def _knob(self) -> np.ndarray:
        return self._lid + np.array([0.0, 0.0, KNOB_TOP / 2])

    def _info(self) -> dict[str, Any]:
        """Half of the progress is the way to the knob, half is the lift."""
        aside = float(np.linalg.norm(self._robot.pose(self._state).points[-1] - self._knob()))
        progress = 0.5 * max(0.0, 1.0 - aside / 0.2)
        if self._in_hand is not None:
            progress = 0.5 + 0.5 * float(np.clip(self._lid[2] / LIFTED, 0.0, 1.0))
        return {"is_success": self._lifted_steps >= HELD_STEPS, "progress": progress}

    def _observation(self) -> dict[str, Any]:
        if not (self.skip_images and self._images):
            self._images = {name: self._draw(name) for name in self._cameras}
        return {"pixels": dict(self._images), "state": self._state.astype(np.float32)}

    def _draw(self, name: str) -> np.ndarray:
        began = time.perf_counter()
        mat = scene.tinted(_MAT, self._tint)
        (x, y, z), table = self._lid, self._robot.table
        flats = [
            scene.rectangle(*table[0], *table[1], mat),
            scene.disc(np.array([x + 0.004, y - 0.004, 0.0]), LID * 1.05, scene.tinted(mat, 0.75)),
            scene.disc(np.array([x, y, z + 0.006]), LID, _GREY),
        ]
        knob = scene.Capsule((x, y, z + KNOB), (x, y, z + KNOB_TOP - KNOB), KNOB, _RED)
        solids = [*self._robot.solids(self._state), knob]
        image = scene.render(self._camera(name), flats, solids)
        self.render_seconds += time.perf_counter() - began
        return image

    def _camera(self, name: str) -> scene.PinholeCamera:
        size = self._size, self._size
        if name == "front":
            return self._robot.camera(name, self._state, size)
        pose = self._robot.pose(self._state)
        ahead, above = pose.rotation[:, 0], pose.rotation[:, 2]
        where = pose.at(-0.035, 0.0, 0.065)
        return scene.PinholeCamera.looking(where, ahead - 0.4 * above, above, 1.0, size)


def expert_action(env: So101Pick) -> np.ndarray:
    """The expert's next command for the state that an environment is in, shape ``(6,)``.

    The hand comes down as it gets nearer to the knob, closes around it and lifts. Where it has
    closed beside the knob it opens and rises. It goes at a limited speed.
    """
    state, knob = env._state, env._knob()
    tool = env._robot.pose(state).points[-1]
    aside, above = float(np.hypot(*(tool - knob)[:2])), abs(tool[2] - knob[2])
    if env._in_hand is not None:
        target, grip = np.array([*tool[:2], 0.13]), CLOSED
    elif state[5] < ON_KNOB:
        target, grip = np.array([*tool[:2], 0.11]), OPEN
    else:
        target = np.array([*knob[:2], knob[2] + np.clip(2 * (aside - 0.008), 0.0, 0.07)])
        near = 0.018 if state[5] < OPEN - 6 else 0.01
        grip = CLOSED if aside < near and above < near else OPEN
    way = np.rad2deg(env._robot.reach(target)) - state[:5]
    ahead = way / FOLLOWS * 0.8
    arm = state[:5] + ahead * min(1.0, _STEP / np.abs(ahead).max())
    grip = np.clip(grip, state[5] - _GRIP_STEP, state[5] + _GRIP_STEP)
    return env._within(np.append(arm, grip))


gymnasium.register(ENV_ID, f"{__name__}:So101Pick", max_episode_steps=MAX_STEPS)
