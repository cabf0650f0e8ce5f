"""From a policy to an arm with LeRobot's robot interface, at the pace that it was recorded at.

A robot has ``get_observation()``, a dictionary of joints (``shoulder_pan.pos``) and images by
camera, ``send_action()``, which takes the joints, and ``action_features``: as LeRobot 0.4's.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from gr00t_assets.core.errors import ServingError
from gr00t_assets.modality.flat_vector import matching_names
from gr00t_assets.serving.safety import FreshImages, JointLimits
from gr00t_assets.trainers.policy import ActionChunk, PolicyDescription

_LONGEST_GAP = 3.0  # Steps that late ticks count for at most, so that no pause allows a jump


class ChunkPlayer:
    """Plays chunks of ``horizon`` actions; the newest is replaced after ``replan_every`` of them.

    With ``ensemble``, 0 or more, every action is the weighted mean of what all chunks say of its
    time, the oldest with weight 1 and each later one with exp(-ensemble) of the one before: the
    temporal ensembling of ACT (Zhao et al. 2023, arXiv 2304.13705), whose ``m`` is 0.01.
    ``ValueError`` where ``replan_every`` is not from 1 to ``horizon``, or ``ensemble`` is below 0.

    Examples:
        >>> player = ChunkPlayer(horizon=4, replan_every=2)
        >>> player.add(np.arange(4.0)[:, None])
        >>> player.next(), player.next(), player.needs_chunk()
        (array([0.]), array([1.]), True)
    """

    def __init__(self, horizon: int, replan_every: int, ensemble: float | None = None) -> None:
        if not 1 <= replan_every <= horizon:
            raise ValueError(f"replan_every is from 1 to the horizon {horizon}, not {replan_every}")
        if ensemble is not None and not 0 <= ensemble < np.inf:
            raise ValueError(f"ensemble is 0 or more, not {ensemble}")
        self.horizon, self.replan_every, self.ensemble = horizon, replan_every, ensemble
        self.clear()

    def clear(self) -> None:
        """Forget every chunk, as when the robot was moved by another hand."""
        self._chunks: list[tuple[int, np.ndarray]] = []
        self._step = 0

    def needs_chunk(self) -> bool:
        """Whether a chunk of the present observation is to be added before ``next``."""
        return not self._chunks or self._step - self._chunks[-1][0] >= self.replan_every

    def add(self, chunk: np.ndarray) -> None:
        """Take a chunk, (horizon, numbers), whose first action is due now."""
        if len(chunk) != self.horizon:
            raise ValueError(f"a chunk has {self.horizon} steps, not {len(chunk)}")
        self._chunks = [*([] if self.ensemble is None else self._chunks), (self._step, chunk)]

    def next(self) -> np.ndarray:
        """The action that is due, (numbers,); the one after it is due next."""
        reaching = [item for item in self._chunks if self._step - item[0] < self.horizon]
        if not reaching:
            raise ValueError("no chunk reaches this step: add one where needs_chunk says so")
        due = [chunk[self._step - first] for first, chunk in reaching]
        self._chunks, self._step = reaching, self._step + 1
        weights = np.exp(-(self.ensemble or 0.0) * np.arange(len(due)))
        return np.average(due, axis=0, weights=weights)


@dataclass
class Drive:
    """What a loop did.

    Actions sent, chunks asked for, seconds in which the dead-man was not held, actions that the
    limits changed, and answers that came too late and were not used.
    """

    steps: int = 0
    chunks: int = 0
    held_seconds: float = 0.0
    limited_steps: int = 0
    late_chunks: int = 0


def joints_of(robot: Any, policy: PolicyDescription) -> list[str]:
    """The robot's name of each number of the policy's actions; ``ServingError`` if one has more."""
    features = list(robot.action_features)
    joints = [name or "" for name in matching_names(policy.action_names, features)]
    pairs = zip(policy.action_names, joints, strict=True)
    problems = [f"the robot has no {name}" for name, joint in pairs if not joint]
    problems += [f"the policy does not move {name}" for name in features if name not in joints]
    if not policy.fps:
        problems.append("the files beside the model do not say how many actions it gives a second")
    if problems:
        raise ServingError(policy.dataset, "the policy is for another robot.", problems)
    return joints


@dataclass
class RobotLoop:
    """Drives a connected robot by a policy."""

    robot: Any
    policy: PolicyDescription  # ``PolicyClient.describe()``, or ``Policy.description``
    act: Callable[[Mapping[str, Any]], ActionChunk]  # ``PolicyClient.act``, or ``Policy.act``
    limits: JointLimits  # In the order of the policy's actions
    dead_man: Callable[[], bool]  # Whether somebody holds it; else the arm holds its position
    _: KW_ONLY
    replan_every: int = 8  # As ``ensemble`` of ``ChunkPlayer``
    ensemble: float | None = None
    oldest: float = 0.5  # Seconds; actions of an observation that was made earlier are not played
    frozen: float = 1.0  # Seconds after which a camera whose image stays the same is stale
    log: Callable[[str], object] = lambda line: None
    clock: Any = time  # Or what has ``monotonic`` and ``sleep`` of a simulation

    def __post_init__(self) -> None:
        self._joints = joints_of(self.robot, self.policy)
        self._player = ChunkPlayer(self.policy.horizon, self.replan_every, self.ensemble)
        self._images, self._period = FreshImages(self.frozen), 1 / self.policy.fps
        self._done = Drive()

    def run(self, task: str, seconds: float) -> Drive:
        """Drive for so many seconds; at the end, and on any error, the arm is told to stay."""
        began = due = last = self.clock.monotonic()
        moving = False
        try:
            while (now := self.clock.monotonic()) - began < seconds:
                observation = self.robot.get_observation()
                measured = self._measured(observation)
                if not self.dead_man():
                    if moving or self._done.steps == 0:
                        self.log("holding: the dead-man is not held")
                    moving = False
                    self._player.clear()
                    self._send(self.limits.hold(measured))
                    self._done.held_seconds += self._period
                else:
                    if not moving:
                        self.log("moving")
                        self.limits.hold(measured)
                    moving = True
                    self._images.check(observation, now)
                    if self._fetch(observation, task, now):
                        gap = min(self.clock.monotonic() - last, _LONGEST_GAP * self._period)
                        wanted = self._player.next()
                        command = self.limits.limited(wanted, measured, gap)
                        self._done.limited_steps += not np.allclose(command, wanted)
                        self._send(command)
                        self._done.steps += 1
                last = self.clock.monotonic()
                due = max(due + self._period, last)
                self.clock.sleep(due - last)
        finally:
            self._stay()
        return self._done

    def _fetch(self, observation: Mapping[str, Any], task: str, now: float) -> bool:
        """Ask for a chunk where one is due; whether there is one to play."""
        if not self._player.needs_chunk():
            return True
        chunk = self.act({**observation, "task": task})
        self._done.chunks += 1
        for warning in chunk.warnings:
            self.log(warning)
        if (age := self.clock.monotonic() - now) > self.oldest:
            self._done.late_chunks += 1
            self.log(f"an answer came {age:.2f} s after its observation; not played")
            self._player.clear()
            return False
        self._player.add(chunk.flat)
        return True

    def _stay(self) -> None:
        """Hold the position; what ended the loop counts, and not that a robot is gone too."""
        try:
            self._send(self.limits.hold(self._measured(self.robot.get_observation())))
        except Exception as error:
            self.log(f"the arm could not be told to stay: {type(error).__name__}: {error}")

    def _measured(self, observation: Mapping[str, Any]) -> np.ndarray:
        return np.array([float(observation[name]) for name in self._joints])

    def _send(self, command: np.ndarray) -> None:
        self.robot.send_action(dict(zip(self._joints, command.tolist(), strict=True)))
