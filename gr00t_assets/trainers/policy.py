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

    Attributes:
        frames: ``(samples, cameras, height, width, 3)`` uint8 RGB, in the size of the frame cache.
        states: As ``StateActionTransform`` makes them, ``(samples, 1, max_state_dim)`` float32.
        instructions: One text a sample.
        anchors: Of relative actions the states that they are against, ``(samples, numbers)`` in
            units, by action key; see ``Demonstrations.anchors``.
    """

    frames: np.ndarray
    states: np.ndarray
    instructions: Sequence[str]
    anchors: Mapping[str, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.states)


class ActionChunk(NamedTuple):
    """Actions that follow one observation, in the robot's units.

    Attributes:
        by_key: (horizon, numbers of the key) for each action key of the data config.
        flat: (horizon, numbers), in the dataset's order.
        names: The dataset's name of each of those numbers.
        times: Seconds after the observation at which each action is due, (horizon,).
        warnings: What was odd about the observation, a sentence each.
    """

    by_key: dict[str, np.ndarray]
    flat: np.ndarray
    names: tuple[str, ...]
    times: np.ndarray
    warnings: tuple[str, ...]


class PolicyDescription(NamedTuple):
    """What a robot that a policy drives has to be.

    Attributes:
        dataset: That it was trained on.
        cameras: Their names.
        state_names: Of the flat state's numbers.
        action_names: Of the flat actions' numbers.
        action_low: Lowest of each action number in the data, (numbers,).
        action_high: Highest of each, (numbers,).
        fps: Actions in a second.
        horizon: Actions of a chunk.
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

    Args:
        config: The modality config that it was trained with; of a mixture that of its first
            dataset, see ``for_config``.
        device: ``cpu``, or the GPU's name.
        denoising_steps: Steps of its sampler where nobody asks for another number; 1 for a model
            that does not denoise.
    """

    def __init__(self, config: ModalityConfig, device: str, denoising_steps: int = 1) -> None:
        self.device = device
        self.denoising_steps = denoising_steps
        self._use(config)

    def _use(self, config: ModalityConfig) -> None:
        self.config = config
        self._transform = StateActionTransform(config)
        self._reader = ObservationReader(config)
        self._action = FlatVector(config.action)

    def for_config(self, config: ModalityConfig) -> Self:
        """The same weights for the robot and cameras of another dataset that they learned from."""
        policy = copy(self)
        policy._use(config)
        return policy

    def for_simulation(self) -> Self:
        """The same policy, which acts on states far outside the trained range and warns of them."""
        policy = copy(self)
        policy._reader = copy(self._reader)
        policy._reader.refuses_far_states = False
        return policy

    @property
    def state_names(self) -> tuple[str, ...]:
        """The dataset's names of the flat state's numbers."""
        return self._reader.state.names

    @property
    def action_names(self) -> tuple[str, ...]:
        """The dataset's names of the flat actions' numbers."""
        return self._action.names

    @property
    def fps(self) -> float:
        """Actions in a second, as they were recorded."""
        return self.config.video[0].fps

    @property
    def horizon(self) -> int:
        """Actions of a chunk."""
        return len(self.config.action_indices)

    @property
    def description(self) -> PolicyDescription:
        """What a robot that it drives has to be."""
        return PolicyDescription(
            dataset=self.config.dataset,
            cameras=tuple(camera.key for camera in self.config.video),
            state_names=self.state_names,
            action_names=self.action_names,
            action_low=self._action.statistic("min"),
            action_high=self._action.statistic("max"),
            fps=self.fps,
            horizon=self.horizon,
        )

    def example_observation(self, seed: int = 0) -> dict[str, Any]:
        """An observation that ``act`` takes: images of noise, and the mean state of the data."""
        return self._reader.example(seed)

    def act(self, observation: Observation, seed: int = 0) -> ActionChunk:
        """Answer one observation.

        Args:
            observation: See ``gr00t_assets.modality.observation.Observation``.
            seed: Of the noise that denoising starts from; the same gives the same actions.

        Raises:
            ObservationError: With every problem of it, each with the camera or joint.
            ActionError: The model answers NaN or infinity.
        """
        return self.act_many([observation], [seed])[0]

    def act_many(
        self, observations: Sequence[Observation], seeds: Sequence[int]
    ) -> list[ActionChunk]:
        """Answer several observations by one call of the model; a seed each.

        Raises:
            ObservationError: One of them cannot be acted on.
            ActionError: The model answers NaN or infinity to one of them.
        """
        inputs = [self._reader.read(observation) for observation in observations]
        for item in inputs:
            if problem := self.task_problem(item.task):
                raise ObservationError(self.config.dataset, f"the task {problem}.")
        shape = (len(self.config.action_indices), self.config.max_action_dim)
        noise = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in seeds]
        anchors = {
            key: np.stack([item.anchors[key] for item in inputs]) for key in inputs[0].anchors
        }
        told = Observations(
            np.stack([item.frames for item in inputs]),
            np.stack([item.states for item in inputs]),
            [item.task for item in inputs],
            anchors or None,
        )
        by_key = self.in_units(self.predict(told, np.stack(noise)[None])[0], anchors or None)
        flat = self._action.flat(by_key)
        for place, chunk in enumerate(flat):
            self._require_finite(chunk, place if len(flat) > 1 else None)
        times = np.array(self.config.action_indices) / self.fps
        return [
            ActionChunk(
                {key: values[place] for key, values in by_key.items()},
                flat[place],
                self.action_names,
                times,
                item.warnings,
            )
            for place, item in enumerate(inputs)
        ]

    def task_problem(self, task: str) -> str | None:
        """What keeps an instruction from being put into the model's prompt."""
        return None

    def _require_finite(self, chunk: np.ndarray, place: int | None) -> None:
        wrong = ~np.isfinite(chunk)
        if wrong.any():
            names = ", ".join(self.action_names[at] for at in np.flatnonzero(wrong.any(axis=0)))
            which = "" if place is None else f" to observation {place} of the batch"
            problem = f"the model answers{which} with NaN or infinity: {names}."
            details = [f"{int(wrong.any(axis=1).sum())} of {len(chunk)} steps; nothing is sent"]
            raise ActionError(self.config.dataset, problem, details)

    @abstractmethod
    def predict(
        self, observations: Observations, noise: np.ndarray, denoising_steps: int | None = None
    ) -> np.ndarray:
        """Normalised actions; 1 and -1 are the data's extremes.

        Args:
            observations: Of n samples.
            noise: Standard normal numbers that each draw starts from, of the shape of what is
                returned. A policy without noise gives every draw the same.
            denoising_steps: Steps of the sampler; the policy's own where left out.

        Returns:
            ``(draws, n, horizon, max_action_dim)`` float32.
        """

    def actions(self, observations: Observations, seed: int = 0) -> dict[str, np.ndarray]:
        """One chunk of actions a sample, by key in the robot's units.

        Returns:
            ``(n, horizon, numbers)`` for each key of the data config's actions.
        """
        shape = (1, len(observations), len(self.config.action_indices), self.config.max_action_dim)
        noise = np.random.default_rng(seed).standard_normal(shape, np.float32)
        return self.in_units(self.predict(observations, noise)[0], observations.anchors)

    def in_units(
        self, actions: np.ndarray, anchors: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, np.ndarray]:
        """Normalised actions by key in the robot's units, ``(samples, horizon, numbers)`` each.

        ``anchors`` are those of the observations. Relative actions are added to them.
        """
        return self._transform.invert_action(actions, anchors)


def open_policy(
    target: Path | str, device: str | None = None, dataset: str | None = None
) -> Policy:
    """Open a trained model of any trainer.

    Args:
        target: A run directory; the folder of a promoted model, or what was downloaded of it; or a
            reference: ``EXPERIMENT``, ``EXPERIMENT@STEP``, ``EXPERIMENT@best``.
        device: ``cpu`` or ``cuda``; a GPU where there is one, where left out.
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
