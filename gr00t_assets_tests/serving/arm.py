"""A drawn SO-101 with LeRobot's interface, a policy for it, and its modality config."""

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from gr00t_assets.modality.config import ModalityConfig, Statistics, VectorKey, VideoKey
from gr00t_assets.trainers.policy import Observations, Policy

JOINTS = (
    *("shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos"),
    *("wrist_flex.pos", "wrist_roll.pos", "gripper.pos"),
)
LOW = np.array([-40.0, -90.0, 20.0, 30.0, -60.0, 0.0])
HIGH = np.array([40.0, 10.0, 95.0, 100.0, 60.0, 100.0])
CENTRE = (LOW + HIGH) / 2
TASK = "annotation.human.task_description"


def _key(key: str, column: str, start: int, end: int, **fields: Any) -> VectorKey:
    low, high, centre = (tuple(part[start:end].tolist()) for part in (LOW, HIGH, CENTRE))
    spread = tuple(((HIGH - LOW)[start:end] / 6).tolist())
    statistics = Statistics(min=low, max=high, mean=centre, std=spread, q01=low, q99=high)
    names = fields.pop("names", JOINTS[start:end])
    return VectorKey(
        key=key, original_key=column, start=start, end=end, statistics=statistics, names=names,
        normalization="min_max", **fields,
    )  # fmt: skip


def arm_config(**fields: Any) -> ModalityConfig:
    """The modality config of a policy for the arm, of the data config so100_dualcam."""
    values = {
        "dataset": "arm",
        "dataset_version": "0",
        "data_config": "so100_dualcam",
        "embodiment_tag": "new_embodiment",
        "embodiment_id": 31,
        "video": tuple(
            VideoKey(key=name, original_key=name, height=48, width=64, fps=50)
            for name in ("front", "wrist")
        ),
        "state": (
            _key("single_arm", "observation.state", 0, 5),
            _key("gripper", "observation.state", 5, 6),
        ),
        "action": (_key("single_arm", "action", 0, 5), _key("gripper", "action", 5, 6)),
        "language": TASK,
        "observation_indices": (0,),
        "action_indices": tuple(range(16)),
        "state_dim": 6,
        "action_dim": 6,
        "max_state_dim": 64,
        "max_action_dim": 32,
    }
    return ModalityConfig(**{**values, **fields})


def normalised(position: np.ndarray) -> np.ndarray:
    """A position as the model is fed it."""
    return 2 * (position - LOW) / (HIGH - LOW) - 1


class ArmPolicy(Policy):
    """Goes to a position in equal steps, from where the arm is.

    Attributes:
        goal: Of the six joints.
        gate: An answer waits for it; open at first.
        asked: What it was told, one entry a call.
    """

    def __init__(self, goal: np.ndarray = CENTRE, config: ModalityConfig | None = None) -> None:
        super().__init__(config or arm_config(), "cpu")
        self.goal, self.gate = np.asarray(goal, float), threading.Event()
        self.gate.set()
        self.asked: list[Observations] = []

    def predict(
        self, observations: Observations, noise: np.ndarray, denoising_steps: int | None = None
    ) -> np.ndarray:
        self.asked.append(observations)
        assert self.gate.wait(60)
        actions = np.zeros(noise.shape, np.float32)
        share = np.arange(1, noise.shape[2] + 1)[:, None] / noise.shape[2]
        state = observations.states[:, :, :6]
        actions[..., :6] = state + share * (normalised(self.goal) - state)
        return actions


class SimulatedClock:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class SimulatedArm:
    """An arm that follows what it is told at once, seen by two noisy cameras.

    Attributes:
        position: Of the six joints.
        sent: Every command.
        stuck: Joints that do not move.
        frozen: Cameras whose image stays the same.
    """

    def __init__(self, position: np.ndarray = CENTRE) -> None:
        self.position = np.array(position, float)
        self.sent: list[np.ndarray] = []
        self.stuck: tuple[int, ...] = ()
        self.frozen: tuple[str, ...] = ()
        self._random = np.random.default_rng(0)
        self._images = {name: self._image() for name in ("front", "wrist")}

    def _image(self) -> np.ndarray:
        return self._random.integers(0, 256, (48, 64, 3), dtype=np.uint8)

    @property
    def action_features(self) -> dict[str, type]:
        return dict.fromkeys(JOINTS, float)

    def get_observation(self) -> dict[str, Any]:
        for name in self._images:
            if name not in self.frozen:
                self._images[name] = self._image()
        return {**dict(zip(JOINTS, self.position.tolist(), strict=True)), **self._images}

    def send_action(self, action: dict[str, float]) -> Mapping[str, float]:
        command = np.array([action[name] for name in JOINTS])
        self.sent.append(command)
        stays = list(self.stuck)
        self.position = np.where(np.isin(np.arange(6), stays), self.position, command)
        return action


def observation(**fields: Any) -> dict[str, Any]:
    """What the arm sees, with a task."""
    return {**SimulatedArm().get_observation(), "task": "pick up the can", **fields}


def isaac_observation(**fields: Any) -> dict[str, Any]:
    """The same as Isaac-GR00T's clients send it."""
    seen = SimulatedArm().get_observation()
    state = np.array([seen[name] for name in JOINTS])
    return {
        "video.front": seen["front"][None],
        "video.wrist": seen["wrist"][None],
        "state.single_arm": state[None, :5],
        "state.gripper": state[None, 5:],
        TASK: ["pick up the can"],
        **fields,
    }
