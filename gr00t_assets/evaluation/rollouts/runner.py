"""Episodes side by side: their environments in processes, one call of the policy for them all."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from gr00t_assets.core.errors import SimulationError
from gr00t_assets.environments.declared_env import Shown
from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.environments.episode_processes import (
    Answer,
    EnvironmentProcesses,
    Failure,
    Request,
    Reset,
    Step,
)
from gr00t_assets.evaluation.rollouts.agents import Agent, Episode
from gr00t_assets.evaluation.rollouts.result import Ending, EpisodeOutcome, PartSeconds
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.flat_vector import matching_names

PARALLEL = 16  # Episodes at a time, each with its environment's process and memory
_TRIES = 3  # Episodes of which one at least has to begin before any is counted


@dataclass
class Rolled:
    """Episodes that are over, by seed; actions are (steps, numbers), seconds those of them all."""

    outcomes: dict[int, EpisodeOutcome] = field(default_factory=dict)
    actions: dict[int, np.ndarray] = field(default_factory=dict)
    seconds: PartSeconds = field(default_factory=lambda: {"render": 0, "policy": 0, "physics": 0})

    def take(self, episode: Episode, shown: Shown) -> None:
        """Keep what an environment has shown."""
        episode.observation = shown.observation
        episode.seconds += shown.seconds
        self.seconds["render"] += shown.render_seconds
        self.seconds["physics"] += shown.seconds - shown.render_seconds
        if shown.score is not None:
            episode.score = max(episode.score or 0.0, shown.score)

    def finish(self, episode: Episode, end: Ending, note: str = "") -> None:
        """Count an episode that is over."""
        self.outcomes[episode.seed] = EpisodeOutcome(
            seed=episode.seed,
            success=end == "success",
            score=episode.score,
            steps=len(episode.actions),
            seconds=round(episode.seconds, 4),
            end=end,
            note=note,
        )
        self.actions[episode.seed] = np.array(episode.actions)


class Runner:
    """Rolls agents out in one environment, ``parallel`` episodes at a time in its processes."""

    def __init__(
        self, environment: Environment, processes: EnvironmentProcesses, parallel: int = PARALLEL
    ) -> None:
        self.environment, self._processes, self._parallel = environment, processes, parallel

    def roll_out(
        self, agent: Agent, seeds: Sequence[int], log: Callable[[str], object] = lambda line: None
    ) -> Rolled:
        """Let an agent act in the episodes of some seeds.

        An episode that fails, whatever the reason, counts and says why; the others go on.
        """
        waiting, running, rolled, step = deque(seeds), dict[int, Episode](), Rolled(), 0
        while waiting or running:
            step = step if running else 0
            if step % agent.every == 0:
                self._begin(agent, waiting, running, rolled)
            self._act(agent, running, rolled)
            step += 1
            if step % 50 == 0:
                log(f"{len(rolled.outcomes)} of {len(seeds)} episodes are over")
        rolled.outcomes = {seed: rolled.outcomes[seed] for seed in seeds}
        return rolled

    def _begin(
        self, agent: Agent, waiting: deque[int], running: dict[int, Episode], rolled: Rolled
    ) -> None:
        """Begin episodes in all places that are free."""
        free = [place for place in range(self._parallel) if place not in running]
        seeds = {place: waiting.popleft() for place in free if waiting}
        requests = {place: Reset(seed, images=agent.sees) for place, seed in seeds.items()}
        for place, answer in self._processes.ask(requests).items():
            episode = Episode(seeds[place], {})
            if isinstance(answer, Failure):
                rolled.finish(episode, answer.end, answer.text)
            else:
                rolled.take(episode, answer)
                running[place] = episode

    def _act(self, agent: Agent, running: dict[int, Episode], rolled: Rolled) -> None:
        began = time.perf_counter()
        decisions = agent.act(list(running.values()))
        rolled.seconds["policy"] += time.perf_counter() - began
        requests: dict[int, Step] = {}
        for (place, episode), decision in zip(list(running.items()), decisions, strict=True):
            if isinstance(decision, Failure):
                rolled.finish(running.pop(place), decision.end, decision.text)
            else:
                episode.actions.append(decision)
                requests[place] = Step(decision, images=agent.looks(episode))
        for place, answer in self._processes.ask(requests).items():
            episode, note = running[place], ""
            if isinstance(answer, Shown):
                rolled.take(episode, answer)
                end = self._ending(episode, answer)
            else:
                end, note = answer.end, answer.text
                if end == "time limit":
                    episode.seconds = self.environment.episode_seconds
            if end is not None:
                rolled.finish(running.pop(place), end, note)

    def _ending(self, episode: Episode, shown: Shown) -> Ending | None:
        if shown.success:
            return "success"
        if len(episode.actions) >= self.environment.max_steps:
            return "horizon"
        return "terminated" if shown.done else None

    def require_fit(self, config: ModalityConfig, seed: int) -> None:
        """Hold an environment to what a policy needs; ``SimulationError`` has all that differs."""
        answer: Answer = Failure("error", "nothing was tried")
        for tried in range(seed, seed + _TRIES):
            answer = self._processes.ask({0: Reset(tried)})[0]
            if isinstance(answer, Shown) or answer.explained is not None:
                break
        if isinstance(answer, Failure):
            raise answer.error(self.environment.name)
        problems = fit_problems(self.environment, answer, self._processes.names, config)
        if problems:
            offers = ["the environment offers:", *(f"  {line}" for line in answer.offers)]
            problem = f"it does not fit the data config {config.data_config} of {config.dataset}."
            raise SimulationError(self.environment.name, problem, [*problems, *offers])
        by_key = {key.key: key for key in config.action}
        means = [by_key[name].statistics.mean for name in self.environment.action_keys]
        stepped = self._processes.ask({0: Step(np.concatenate(means), images=False)})[0]
        if isinstance(stepped, Failure) and stepped.explained is not None:
            raise stepped.error(self.environment.name)

    def recorded(
        self, seed: int, actions: Sequence[np.ndarray]
    ) -> tuple[list[dict[str, np.ndarray]], bool]:
        """An episode once more: the images of each step by camera, and whether it succeeded.

        There are fewer images where the environment fails.
        """
        requests: list[Request] = [Reset(seed), *map(Step, actions)]
        images, success = [], False
        for request in requests:
            answer = self._processes.ask({0: request})[0]
            if isinstance(answer, Failure):
                break
            shown = answer.observation
            images.append({key: shown[key] for key in shown if key.startswith("video.")})
            success = answer.success
        return images, success


def fit_problems(
    environment: Environment, shown: Shown, names: Sequence[str], config: ModalityConfig
) -> list[str]:
    """In what an environment differs from what a policy was trained on, a sentence each.

    ``shown`` is of a reset; ``names`` are its own of its flat action, empty where it has none.
    """
    problems = [
        f"camera '{camera.key}' is not declared in its observation"
        for camera in config.video
        if camera.key not in environment.cameras
    ]
    for key in config.state:
        vector, size = shown.observation.get(f"state.{key.key}"), key.end - key.start
        if vector is None:
            problems.append(f"state key '{key.key}' is not declared in its observation")
        elif len(vector) != size:
            problems.append(f"state key '{key.key}' has {len(vector)} numbers, expected {size}")
    by_key = {key.key: key for key in config.action}
    if unknown := [key for key in environment.action_keys if key not in by_key]:
        has = ", ".join(by_key)
        problems += [f"action key '{key}' is none of the data config: {has}" for key in unknown]
    else:
        own = [name for key in environment.action_keys for name in by_key[key].number_names]
        matched = matching_names(names, own)
        if None not in matched and len(matched) == len(own) and matched != own:
            problems.append(f"its action is in the order {', '.join(names)}; the data have {own}")
    if (fps := config.video[0].fps) != environment.fps:
        problems.append(f"it is declared with {environment.fps:g} fps, the data have {fps:g}")
    return problems
