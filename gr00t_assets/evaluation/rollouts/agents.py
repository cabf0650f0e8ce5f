"""Who acts in episodes: a policy, several episodes at a time, and the rules without a model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from gr00t_assets.core.errors import ActionError, ObservationError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.environments.episode_processes import Failure
from gr00t_assets.evaluation.rollouts.result import BaselineName, RolloutSettings
from gr00t_assets.modality.config import ModalityConfig, VectorKey
from gr00t_assets.serving.robot_loop import ChunkPlayer
from gr00t_assets.trainers.policy import Policy


@dataclass
class Episode:
    """An episode that is under way: what was seen last, done so far, and kept by the agent.

    Actions are flat, in the environment's order; the seconds are the environment's, the score is
    the highest so far.
    """

    seed: int
    observation: dict[str, Any]
    actions: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0
    score: float | None = None
    memory: Any = None


class PolicyAgent:
    """A policy, asked for a chunk of all episodes that need one by one call of the model.

    Episodes begin together, at steps that ``every`` divides, so that more is answered at once, and
    are shown images at their beginning where it ``sees``.
    """

    sees = True

    def __init__(self, policy: Policy, environment: Environment, settings: RolloutSettings) -> None:
        self.policy, self.settings, self.every = policy, settings, settings.replan_every
        self._keys, config = environment.action_keys, policy.config
        self._used = {f"video.{camera.key}" for camera in config.video}
        self._used |= {f"state.{key.key}" for key in config.state}
        self._used |= {"task"} if config.language else set()

    def act(self, episodes: Sequence[Episode]) -> list[np.ndarray | Failure]:
        """The next action of each of some episodes, with new chunks where they are due."""
        settings, refused = self.settings, dict[int, Failure]()
        chunks = self.policy.horizon, settings.replan_every, settings.ensemble
        for episode in episodes:
            episode.memory = episode.memory or ChunkPlayer(*chunks)
        asking = [episode for episode in episodes if episode.memory.needs_chunk()]
        for episode, chunk in zip(asking, self._chunks(asking) if asking else (), strict=True):
            if isinstance(chunk, Failure):
                refused[episode.seed] = chunk
            else:
                episode.memory.add(chunk)
        return [refused.get(episode.seed) or episode.memory.next() for episode in episodes]

    def looks(self, episode: Episode) -> bool:
        """Whether it will need images after the action that it has just answered."""
        return episode.memory.needs_chunk()

    def _chunks(self, episodes: Sequence[Episode]) -> list[np.ndarray | Failure]:
        """Chunks (horizon, numbers); one by one where the whole batch is refused for one of it."""
        parts = [(self.settings.policy_seed, item.seed, len(item.actions)) for item in episodes]
        seeds = [int(np.random.SeedSequence(part).generate_state(1)[0]) for part in parts]
        observations = [
            {key: value for key, value in episode.observation.items() if key in self._used}
            for episode in episodes
        ]
        try:
            chunks = self.policy.act_many(observations, seeds)
        except (ActionError, ObservationError) as error:
            if len(episodes) > 1:
                return [chunk for episode in episodes for chunk in self._chunks([episode])]
            end = "bad action" if isinstance(error, ActionError) else "error"
            return [Failure(end, str(error))]
        return [np.concatenate([c.by_key[key] for key in self._keys], axis=-1) for c in chunks]


class RuleAgent:
    """A rule without a model: an episode's action by its number, and by what was seen at first."""

    every, sees = 1, False

    def __init__(self, rule: Callable[[int, Mapping[str, Any]], Callable[[int], np.ndarray]]):
        self._rule = rule

    def act(self, episodes: Sequence[Episode]) -> list[np.ndarray | Failure]:
        """What the rule says."""
        for episode in episodes:
            episode.memory = episode.memory or self._rule(episode.seed, episode.observation)
        return [episode.memory(len(episode.actions)) for episode in episodes]

    def looks(self, episode: Episode) -> bool:
        """Never."""
        return False


Agent: TypeAlias = PolicyAgent | RuleAgent
"""Answers observations with flat actions, in the environment's order."""


def baseline_agents(
    config: ModalityConfig, environment: Environment, dataset: LeRobotDataset
) -> dict[BaselineName, Agent]:
    """The rules without a model, which know the demonstrations and no image."""
    by_key = {key.key: key for key in config.action}
    keys = [by_key[name] for name in environment.action_keys]
    mean, low, high = (
        np.concatenate([np.array(getattr(key.statistics, name), float) for key in keys])
        for name in ("mean", "min", "max")
    )
    held_out = set(config.held_out_episodes)
    training = [item.index for item in dataset.episodes if item.index not in held_out]

    def hold(seed: int, observation: Mapping[str, Any]) -> Callable[[int], np.ndarray]:
        still = np.concatenate([_held(key, observation) for key in keys])
        return lambda step: still

    def replay(seed: int, observation: Mapping[str, Any]) -> Callable[[int], np.ndarray]:
        episode = int(np.random.default_rng((seed, 1)).choice(training))
        columns = dataset.vectors(episode, [key.original_key for key in keys])
        rows = [columns[key.original_key][:, key.start : key.end] for key in keys]
        actions = np.concatenate(rows, axis=1).astype(float)
        return lambda step: actions[min(step, len(actions) - 1)]

    def uniform(seed: int, observation: Mapping[str, Any]) -> Callable[[int], np.ndarray]:
        generator = np.random.default_rng((seed, 2))
        return lambda step: generator.uniform(low, high)

    return {
        "hold": RuleAgent(hold),
        "mean action": RuleAgent(lambda seed, observation: lambda step: mean),
        "replay": RuleAgent(replay),
        "random": RuleAgent(uniform),
    }


def _held(key: VectorKey, observation: Mapping[str, Any]) -> np.ndarray:
    """What asks a key for no motion: its state, zero of differences, else the mean action."""
    if not key.absolute:
        return np.zeros(key.end - key.start)
    state = observation.get(f"state.{key.state_key or key.key}")
    fits = state is not None and len(state) == key.end - key.start
    return np.array(state if fits else key.statistics.mean, float)
