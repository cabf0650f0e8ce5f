"""Demonstrations of an environment's own expert, recorded as a LeRobot dataset."""

from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from gr00t_assets.core.errors import SimulationError
from gr00t_assets.core.files import json_hash
from gr00t_assets.core.locks import Log
from gr00t_assets.core.text import counted
from gr00t_assets.datasets.lerobot.writer import DatasetWriter, EpisodeRows
from gr00t_assets.datasets.source_kinds import EnvironmentSource
from gr00t_assets.environments.declared_env import DeclaredEnv, open_environment
from gr00t_assets.environments.environment_file import Environment, load_environments

RECORDING_VERSION = 1  # raised when the same parameters begin to give other demonstrations
_PERSISTENCE = 0.7  # share of a disturbance that is left in the next step
_MOST_FAILURES = 20  # episodes more than were solved that may fail before recording gives up


def recording_digest(source: EnvironmentSource) -> str:
    """16 hex digits over all that decides what is recorded; the environment has to be declared."""
    environment = load_environments().get(source.environment)
    parameters = source.model_dump(mode="json", include={"episodes", "seed", "noise"})
    evaluated = [environment.seeds, environment.episodes]
    content = [RECORDING_VERSION, environment.content_hash(), evaluated, parameters]
    return json_hash(content, 16)


def record_expert(source: EnvironmentSource, directory: Path, version: str, log: Log) -> None:
    """Record episodes in which the expert succeeds, each to its success.

    With noise, what is executed is the expert's command and a disturbance, and what is recorded is
    the command: so that there are demonstrations of how to get back (Laskey et al., "DART: Noise
    Injection for Robust Imitation Learning", 2017).

    Seeds follow that of the first episode but for those of evaluation. The noise is the standard
    deviation of what is added to the disturbance of each number in a step; 0.7 of it are left in
    the next. ``version`` is v2.1 or v3.0.

    Raises:
        SimulationError: No environment of this name is declared, it cannot be opened, or it has no
            expert, or one that mostly fails.
    """
    environment = load_environments().get(source.environment)
    with closing(open_environment(environment)) as env:
        if (expert := env.expert()) is None:
            remedy = "it is offered as a function of the environment by env.unwrapped.expert()"
            raise SimulationError(environment.name, "it has no expert to record.", [remedy])
        first = env.reset(source.seed)
        numbers = len(expert())
        if isinstance(source.noise, tuple) and len(source.noise) != numbers:
            found = f"{len(source.noise)} numbers; its action has {numbers}"
            raise SimulationError(environment.name, "noise is of another action.", [found])
        names, modality = _layout(env, first.observation, numbers)
        robot = str(getattr(env.env.unwrapped, "robot_type", environment.name))
        failed, recorded = 0, 0
        with DatasetWriter(directory, version, environment.fps, robot, names, modality) as writer:
            evaluated = range(environment.seeds, environment.seeds + environment.episodes)
            seeds = (seed for seed in count(source.seed) if seed not in evaluated)
            while recorded < source.episodes:
                if rows := _episode(env, expert, next(seeds), source.noise):
                    writer.add(rows)
                    recorded += 1
                    continue
                failed += 1
                if failed > recorded + _MOST_FAILURES:
                    found = f"{failed} of {failed + recorded} episodes end without success"
                    problem = "its expert fails too often to be recorded."
                    details = [found, "lower the noise, or mend the expert"]
                    raise SimulationError(environment.name, problem, details)
    left_out = f"; {failed} in which the expert failed are left out" if failed else ""
    rows = counted(writer.rows, "row")
    log(f"{environment.name}: {counted(recorded, 'episode')}, {rows}{left_out}")


def _episode(
    env: DeclaredEnv, expert: Callable[[], np.ndarray], seed: int, noise: float | tuple[float, ...]
) -> EpisodeRows | None:
    """One episode to its success; None where there is none."""
    environment, random = env.declared, np.random.default_rng(seed)
    observed, disturbance = env.reset(seed), np.zeros(1)
    task = observed.observation["task"]
    keys, states, actions = _state_keys(environment), [], []
    images: dict[str, list[np.ndarray]] = {camera: [] for camera in environment.cameras}
    for _ in range(environment.max_steps):
        shown, action = observed.observation, expert()
        states.append(np.concatenate([shown[f"state.{key}"] for key in keys]))
        actions.append(action)
        for camera, taken in images.items():
            taken.append(shown[f"video.{camera}"])
        disturbance = _PERSISTENCE * disturbance + random.normal(0.0, noise, len(action))
        observed = env.step(action + disturbance)
        if observed.success:
            numbers = {"observation.state": np.array(states), "action": np.array(actions)}
            return EpisodeRows(numbers, images, task)
        if observed.done:
            break
    return None


def _state_keys(environment: Environment) -> list[str]:
    """State keys: those that are acted on in the order of the action, then the others."""
    acted = [key for key in environment.action_keys if key in environment.state_keys]
    return list(dict.fromkeys([*acted, *environment.state_keys]))


def _layout(
    env: DeclaredEnv, shown: dict[str, Any], numbers: int
) -> tuple[dict[str, tuple[str, ...]], dict[str, Any]]:
    """Names of the numbers by column, and ``modality.json``.

    An action key has as many numbers as the state key of its name, and a single one all of them.
    """
    environment, keys = env.declared, env.declared.action_keys
    sizes = {key: len(shown[f"state.{key}"]) for key in _state_keys(environment)}
    actions = {keys[0]: numbers} if len(keys) == 1 else {key: sizes.get(key, 0) for key in keys}
    if sum(actions.values()) != numbers or not all(actions.values()):
        found = f"its action has {numbers} numbers, its keys {actions}"
        expected = "each action key has the numbers of the state key of the same name"
        problem = "what its action keys stand for cannot be told."
        raise SimulationError(environment.name, problem, [found, expected])
    columns = {"observation.state": sizes, "action": actions}
    names = {
        column: env.names
        if of_keys == actions and len(env.names) == numbers
        else tuple(f"{key}_{number}" for key, size in of_keys.items() for number in range(size))
        for column, of_keys in columns.items()
    }
    cameras = {name: {"original_key": f"observation.images.{name}"} for name in environment.cameras}
    modality = {
        "state": _slices(sizes),
        "action": _slices(actions),
        "video": cameras,
        "annotation": {"human.task_description": {"original_key": "task_index"}},
    }
    return names, modality


def _slices(sizes: dict[str, int]) -> dict[str, dict[str, int]]:
    ends = np.cumsum(list(sizes.values())).tolist()
    return {
        key: {"start": end - size, "end": end}
        for (key, size), end in zip(sizes.items(), ends, strict=True)
    }
