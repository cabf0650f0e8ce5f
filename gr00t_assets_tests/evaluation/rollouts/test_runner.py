"""Episodes side by side, and what ends them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr00t_assets.core.errors import ActionError, SimulationError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.environments.episode_processes import EnvironmentProcesses, Failure
from gr00t_assets.evaluation.rollouts.agents import (
    Agent,
    Episode,
    PolicyAgent,
    RuleAgent,
    baseline_agents,
)
from gr00t_assets.evaluation.rollouts.result import RolloutSettings
from gr00t_assets.evaluation.rollouts.runner import Rolled, Runner
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.policy import Policy, open_policy
from gr00t_assets_tests.evaluation.rollouts.conftest import fitting_point, point

SETTINGS = RolloutSettings(episodes=5, first_seed=100, replan_every=4)


def rolled(environment: Environment, agent: Agent, seeds: Sequence[int], parallel: int) -> Rolled:
    with EnvironmentProcesses(environment, parallel) as processes:
        return Runner(environment, processes, parallel).roll_out(agent, seeds)


def towards(goal: float) -> Agent:
    return RuleAgent(lambda seed, observation: lambda step: np.full(3, goal))


@pytest.fixture(scope="module")
def policy(trained: TrainingSpec) -> Policy:
    return open_policy(Path(trained.run_directory)).for_simulation()


def test_endings_scores_and_steps_are_counted() -> None:
    environment = point(
        kwargs={"trouble": {"101": "hang", "102": "crash", "103": "raise"}, "goal": 3.0},
        episode_seconds=1.5,
    )
    outcomes = rolled(environment, towards(3.0), range(100, 107), 3).outcomes
    assert list(outcomes) == list(range(100, 107))
    assert {seed: outcome.end for seed, outcome in outcomes.items()} == {
        100: "success",
        101: "time limit",
        102: "error",
        103: "error",
        104: "success",
        105: "success",
        106: "success",
    }
    assert outcomes[101].seconds == 1.5 and not outcomes[101].success
    assert "SIGSEGV" in outcomes[102].note and "on fire" in outcomes[103].note
    assert 4 <= outcomes[100].steps <= 8 and (outcomes[100].score or 0) > 0.9
    short = rolled(environment.model_copy(update={"max_steps": 2}), towards(3.0), [100], 1)
    assert (short.outcomes[100].end, short.outcomes[100].steps) == ("horizon", 2)


def test_an_episode_that_ends_without_success_is_terminated() -> None:
    environment = point(kwargs={"goal": 9.0}, success="info.progress > 2")
    limited = environment.model_copy(update={"kwargs": {"goal": 9.0, "max_episode_steps": 5}})
    outcome = rolled(limited, towards(3.0), [100], 1).outcomes[100]
    assert (outcome.end, outcome.steps) == ("terminated", 5)


def test_the_same_outcomes_whatever_number_of_them_is_played_at_a_time(
    policy: Policy, environment: Environment
) -> None:
    agent = PolicyAgent(policy, environment, SETTINGS)
    seeds = range(100, 105)
    together, alone = (rolled(environment, agent, seeds, parallel) for parallel in (5, 1))
    again = rolled(environment, agent, seeds, 5)
    for seed in seeds:
        np.testing.assert_array_equal(together.actions[seed], again.actions[seed])
        # Another size of the batch is another order of sums.
        np.testing.assert_allclose(together.actions[seed], alone.actions[seed], atol=1e-4)
    assert len({actions.tobytes() for actions in together.actions.values()}) == 5
    assert together.seconds["policy"] > 0 and together.seconds["physics"] > 0


class Counting:
    """A policy that counts what it is asked, and answers NaN to some seeds."""

    def __init__(self, policy: Policy, nan_above: float = np.inf) -> None:
        self.policy, self.calls, self.nan_above = policy, [], nan_above
        self.config, self.horizon = policy.config, policy.horizon

    def act_many(self, observations: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Any:
        self.calls.append(len(observations))
        first = f"state.{self.config.state[0].key}"
        if any(observation[first][0] > self.nan_above for observation in observations):
            raise ActionError("point", "the model answers with NaN or infinity: joint_0.")
        return self.policy.act_many(observations, seeds)


def test_one_call_answers_all_episodes_every_few_steps(
    policy: Policy, environment: Environment
) -> None:
    counting: Any = Counting(policy)
    slow = environment.model_copy(update={"success": "info.progress > 2", "max_steps": 10})
    rolled(slow, PolicyAgent(counting, slow, SETTINGS), range(100, 105), 5)
    assert counting.calls == [5, 5, 5]
    counting.calls.clear()
    rolled(slow, PolicyAgent(counting, slow, SETTINGS), range(100, 105), 4)
    # The fifth begins where a place is free and the others ask as well.
    assert counting.calls == [4, 4, 4, 1, 1, 1]


def test_a_policy_that_answers_nan_fails_that_episode_alone(
    policy: Policy, environment: Environment
) -> None:
    with EnvironmentProcesses(environment, 5) as processes:
        runner = Runner(environment, processes, 5)
        plain = runner.roll_out(PolicyAgent(policy, environment, SETTINGS), range(100, 105))
        counting: Any = Counting(policy, nan_above=0.5)
        outcomes = runner.roll_out(PolicyAgent(counting, environment, SETTINGS), range(100, 105))
    bad = [o for o in outcomes.outcomes.values() if o.end == "bad action"]
    assert 0 < len(bad) < 5
    for outcome in outcomes.outcomes.values():
        if outcome in bad:
            assert not outcome.success and "NaN or infinity: joint_0" in outcome.note
        else:
            assert outcome.end == plain.outcomes[outcome.seed].end


def test_the_rules_know_the_demonstrations(trained: TrainingSpec, environment: Environment) -> None:
    data = trained.datasets[0]
    files = LeRobotDataset.open(data.directory, data.name)
    agents = baseline_agents(data.config, environment, files)

    def actions(name: Any, seed: int = 7) -> np.ndarray:
        sizes = {f"state.{key.key}": np.full(key.end - key.start, 0.5) for key in data.config.state}
        episode = Episode(seed, sizes)
        for _ in range(60):
            (action,) = agents[name].act([episode])
            assert not isinstance(action, Failure)
            episode.actions.append(action)
        return np.array(episode.actions)

    assert (actions("hold") == 0.5).all()
    recorded = [files.vectors(item.index, ["action"])["action"] for item in files.episodes]
    keys = data.config.action
    assert all(key.original_key == "action" for key in keys)
    columns = np.concatenate([np.arange(key.start, key.end) for key in keys])
    training = [r[:, columns] for at, r in enumerate(recorded) if at not in (4, 5, 6, 7, 8)]
    every = np.concatenate([r[:, columns] for r in recorded])
    np.testing.assert_allclose(actions("mean action")[0], every.mean(axis=0), atol=0.05)
    replayed = actions("replay")
    (source,) = [r for r in training if np.allclose(replayed[: len(r)], r)]
    np.testing.assert_allclose(replayed[len(source) :], source[-1:].repeat(60 - len(source), 0))
    assert {actions("replay", seed).tobytes() for seed in range(20)} == {
        np.concatenate([r, r[-1:].repeat(60 - len(r), 0)]).astype(float).tobytes() for r in training
    }
    drawn = actions("random")
    assert (drawn >= every.min(axis=0) - 1e-6).all() and (drawn <= every.max(axis=0) + 1e-6).all()
    assert len(np.unique(drawn, axis=0)) == 60
    assert (drawn == actions("random")).all()


@pytest.fixture
def told(trained: TrainingSpec) -> Iterator[Any]:
    config = trained.datasets[0].config

    def refused(**fields: Any) -> str:
        environment = fitting_point(config, **fields)
        with (
            EnvironmentProcesses(environment, 1) as processes,
            pytest.raises(SimulationError) as failure,
        ):
            Runner(environment, processes, 1).require_fit(config, 100)
        return str(failure.value)

    yield refused


def test_all_that_differs_from_the_data_config_is_told_at_once(told: Any) -> None:
    text = told(
        observation={"video.side": "pixels", "state.left_arm": "state[0:3]"},
        action=["left_arm", "right_arm", "legs"],
        fps=7,
    )
    for part in (
        "it does not fit the data config fourier_gr1_arms_only of small",
        "camera 'ego_view' is not declared in its observation",
        "state key 'left_arm' has 3 numbers, expected 7",
        "state key 'right_arm' is not declared in its observation",
        "action key 'legs' is none of the data config: left_arm, right_arm",
        "it is declared with 7 fps, the data have",
        "the environment offers:",
        "pixels (16, 16, 3) uint8",
    ):
        assert part in text, text


def test_a_first_episode_that_fails_does_not_stop_the_others(trained: TrainingSpec) -> None:
    config = trained.datasets[0].config
    kwargs = {"trouble": {"100": "raise"}, "trouble_at": 1}
    environment = fitting_point(config, kwargs=kwargs)
    with EnvironmentProcesses(environment, 1) as processes:
        Runner(environment, processes, 1).require_fit(config, 100)


def test_an_action_of_another_length_is_told(told: Any) -> None:
    assert "it has 26 numbers, and 7 are given" in told(action=["left_arm"])


def test_an_action_in_another_order_is_told(told: Any, trained: TrainingSpec) -> None:
    config = trained.datasets[0].config
    names = [name for key in config.action for name in key.number_names]
    assert "its action is in the order" in told(names=names[::-1], kwargs={"own_names": False})
