"""What a policy is: a trained model that answers observations with chunks of actions.

``open_policy`` opens one, of any trainer. ``act`` takes what a robot sees and gives actions in the
robot's units; ``predict`` is what a trainer's own class has to have.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from gr00t_assets.core.errors import ActionError, ObservationError
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.flat_vector import FlatVector
from gr00t_assets.modality.observation import Observation, ObservationReader
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets.runs.model_reference import find_model


@dataclass(frozen=True)
class Observations:
    """What a policy is told at some moments.

    Frames are ``(samples, cameras, height, width, 3)`` uint8 RGB in the size of the frame cache,
    states ``(samples, 1, max_state_dim)`` float32 as ``StateActionTransform`` makes them; anchors
    are by action key the states that relative actions are against, ``(samples, numbers)``.
    """

    frames: np.ndarray
    states: np.ndarray
    instructions: Sequence[str]
    anchors: Mapping[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.states)


class ActionChunk(NamedTuple):
    """Actions that follow one observation, (horizon, numbers) in the robot's units.

    They are by action key of the data config, and flat in the dataset's order, with its names;
    times are seconds after the observation, NaN where ``Policy.fps`` is not known, warnings what
    was odd about it.
    """

    by_key: dict[str, np.ndarray]
    flat: np.ndarray
    names: tuple[str, ...]
    times: np.ndarray
    warnings: tuple[str, ...]


class PolicyDescription(NamedTuple):
    """What a robot that a policy drives has to be.

    The dataset it was trained on, its cameras, names of the flat state's and actions' numbers, the
    lowest and highest of each action number in the data, actions in a second and of a chunk.
    """

    dataset: str
    cameras: tuple[str, ...]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    action_low: np.ndarray
    action_high: np.ndarray
    fps: float
    horizon: int


class Policy(ABC):
    """A trained model that answers observations with chunks of actions.

    Of a mixture it has the modality config of the first dataset, see ``for_config``. Its device is
    ``cpu`` or the GPU's name; ``denoising_steps`` are those of its sampler where nobody asks for
    another number, 1 for a model that does not denoise.
    """

    def __init__(self, config: ModalityConfig, device: str, denoising_steps: int = 1) -> None:
        self.device, self.denoising_steps = device, denoising_steps
        self._use(config)

    def _use(self, config: ModalityConfig) -> Self:
        self.config, self.horizon = config, len(config.action_indices)
        self._transform = StateActionTransform(config)
        self._reader = ObservationReader(config)
        self._action = FlatVector(config.action)
        self.state_names, self.action_names = self._reader.state.names, self._action.names
        return self

    def for_config(self, config: ModalityConfig) -> Self:
        """The same weights for the robot and cameras of another dataset that they learned from."""
        return copy(self)._use(config)

    def for_simulation(self) -> Self:
        """The same policy, which acts on states far outside the trained range and warns of them."""
        policy = copy(self)
        policy._reader = copy(self._reader)
        policy._reader.refuses_far_states = False
        return policy

    @property
    def fps(self) -> float:
        """Actions in a second, as they were recorded; 0 where a model's files do not say."""
        return self.config.video[0].fps

    @property
    def description(self) -> PolicyDescription:
        """What a robot that it drives has to be."""
        cameras = tuple(camera.key for camera in self.config.video)
        low, high = self._action.statistic("min"), self._action.statistic("max")
        names = self.state_names, self.action_names
        dataset = self.config.dataset
        return PolicyDescription(dataset, cameras, *names, low, high, self.fps, self.horizon)

    def example_observation(self, seed: int = 0) -> dict[str, Any]:
        """An observation that ``act`` takes: images of noise, and the mean state of the data."""
        return self._reader.example(seed)

    def act(self, observation: Observation, seed: int = 0) -> ActionChunk:
        """Answer one ``gr00t_assets.modality.observation.Observation``; a seed gives one answer.

        Raises:
            ObservationError: With every problem of it, each with the camera or joint.
            ActionError: The model answers NaN or infinity.
        """
        return self.act_many([observation], [seed])[0]

    def act_many(
        self, observations: Sequence[Observation], seeds: Sequence[int]
    ) -> list[ActionChunk]:
        """Answer several observations by one call of the model, a seed each; raises as ``act``."""
        inputs = [self._reader.read(observation) for observation in observations]
        for item in inputs:
            if problem := self.task_problem(item.task):
                raise ObservationError(self.config.dataset, f"the task {problem}.")
        shape = self.horizon, self.config.max_action_dim
        noise = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds]
        listed = [item.anchors for item in inputs]
        anchors = {key: np.stack([item[key] for item in listed]) for key in listed[0]} or None
        frames, states = (
            np.stack([getattr(item, part) for item in inputs]) for part in ("frames", "states")
        )
        told = Observations(frames, states, [item.task for item in inputs], anchors)
        by_key = self.in_units(self.predict(told, np.stack(noise)[None])[0], anchors)
        flat = self._action.flat(by_key)
        for place, wrong in enumerate(~np.isfinite(flat)):
            if wrong.any():
                names = ", ".join(self.action_names[at] for at in np.flatnonzero(wrong.any(axis=0)))
                which = f" to observation {place} of the batch" if len(flat) > 1 else ""
                problem = f"the model answers{which} with NaN or infinity: {names}."
                steps = f"{int(wrong.any(axis=1).sum())} of {len(wrong)} steps; nothing is sent"
                raise ActionError(self.config.dataset, problem, [steps])
        times = np.array(self.config.action_indices) / (self.fps or np.nan)
        chunks = []
        for place, item in enumerate(inputs):
            robot = {key: values[place] for key, values in by_key.items()}
            chunks.append(ActionChunk(robot, flat[place], self.action_names, times, item.warnings))
        return chunks

    def task_problem(self, task: str) -> str | None:
        """What keeps an instruction from being put into the model's prompt."""
        return None

    @abstractmethod
    def predict(
        self, observations: Observations, noise: np.ndarray, denoising_steps: int | None = None
    ) -> np.ndarray:
        """Normalised actions, ``(draws, n, horizon, max_action_dim)`` float32, of n samples.

        1 and -1 are the data's extremes. Each draw starts from standard normal ``noise`` of that
        shape; a policy without noise gives every draw the same.
        """

    def actions(self, observations: Observations, seed: int = 0) -> dict[str, np.ndarray]:
        """One chunk of actions a sample, by key in the robot's units, (n, horizon, numbers)."""
        shape = (1, len(observations), len(self.config.action_indices), self.config.max_action_dim)
        noise = np.random.default_rng(seed).standard_normal(shape, np.float32)
        return self.in_units(self.predict(observations, noise)[0], observations.anchors)

    def in_units(
        self, actions: np.ndarray, anchors: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Normalised actions as ``actions`` gives them; relative ones are added to ``anchors``."""
        return self._transform.invert_action(actions, anchors)


def open_policy(
    target: Path | str, device: str | None = None, dataset: str | None = None
) -> Policy:
    """Open a trained model of any trainer on ``cpu`` or ``cuda``, a GPU where there is one.

    Args:
        target: A run directory; the folder of a promoted model, or what was downloaded of it; one
            of an N1.7 with NVIDIA's processor files; or a reference: ``EXPERIMENT``,
            ``EXPERIMENT@STEP``, ``EXPERIMENT@best``.
        device: Where left out, a GPU if there is one.
        dataset: Of a mixture the dataset whose robot and cameras it is to act for.

    Raises:
        Gr00tAssetsError: There is no such model, or its files are damaged.

    Examples:
        >>> def first_action(folder):
        ...     policy = open_policy(folder)
        ...     return policy.act(policy.example_observation()).flat[0]
    """
    model = find_model(str(target))
    return trainer_named(model.trainer).open_policy(model.directory, device, dataset)
