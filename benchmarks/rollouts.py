"""What a rollout costs: seconds an episode by rendering, policy and physics; batched or one by one.

``python -m benchmarks.rollouts [--environment NAME] [--episodes N] [--parallel N]`` records a few
demonstrations of an environment's expert, trains the tiny model for a step, so that its episodes
last as long as they may, and rolls it out: several episodes at a time with one call of the policy
for them all, and one episode at a time, in turns. Seconds of rendering and physics are those of the
environments' processes, which share the cores; the ratio is of wall time.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from gr00t_assets.environments.environment_file import Environment, load_environments
from gr00t_assets.environments.episode_processes import EnvironmentProcesses
from gr00t_assets.evaluation.rollouts.agents import PolicyAgent
from gr00t_assets.evaluation.rollouts.result import settings_for
from gr00t_assets.evaluation.rollouts.runner import PARALLEL, Runner
from gr00t_assets.trainers.policy import open_policy
from gr00t_assets_tests.evaluation.runs import UNTRAINED, a_store, make_data, make_run

ROUNDS = 3
PARTS = ("render", "policy", "physics")

Cost = dict[str, float]
"""Seconds an episode: those of each part, and wall time."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environment", default="so101-pick")
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--parallel", type=int, default=PARALLEL)
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment = load_environments().get(options.environment)
    with tempfile.TemporaryDirectory() as folder:
        store = a_store(Path(folder))
        source = {"kind": "environment", "environment": environment.name, "episodes": 3}
        make_data(store, robot="so101", source=source)
        spec = make_run(store, **UNTRAINED)
        settings = settings_for(environment, spec, episodes=options.episodes)
        policy = open_policy(spec.run_directory, "cpu").for_simulation()
        agent = PolicyAgent(policy, environment, settings)
        costs: dict[int, list[Cost]] = {options.parallel: [], 1: []}
        for _ in range(ROUNDS):
            for parallel, measured in costs.items():
                measured.append(_measure(environment, agent, parallel, options.episodes))
    print(
        f"{environment.name}: {options.episodes} episodes of {environment.max_steps} steps, "
        f"replanned every {settings.replan_every}; medians of {ROUNDS}, seconds an episode"
    )
    print(f"{'at a time':<10}" + "".join(f"{part:>9}" for part in (*PARTS, "wall")))
    for parallel, measured in costs.items():
        medians = (statistics.median(cost[part] for cost in measured) for part in (*PARTS, "wall"))
        print(f"{parallel:<10}" + "".join(f"{value:>9.3f}" for value in medians))
    many, one = (
        [[cost[part] for cost in measured] for part in ("wall", "policy")]
        for measured in costs.values()
    )
    for part, together, alone in zip(("wall time", "policy"), many, one, strict=True):
        ratios = [a / b for a, b in zip(alone, together, strict=True)]
        print(
            f"{part}: {statistics.median(ratios):.1f} times as fast "
            f"({min(ratios):.1f} to {max(ratios):.1f})"
        )


def _measure(environment: Environment, agent: PolicyAgent, parallel: int, episodes: int) -> Cost:
    """Seconds an episode, once the environments are open."""
    seeds = range(environment.seeds, environment.seeds + episodes)
    with EnvironmentProcesses(environment, parallel) as processes:
        runner = Runner(environment, processes, parallel)
        runner.roll_out(agent, seeds[:parallel])
        began = time.perf_counter()
        rolled = runner.roll_out(agent, seeds)
        wall = time.perf_counter() - began
    cost = {part: rolled.seconds[part] / episodes for part in PARTS}
    return {**cost, "wall": wall / episodes}


if __name__ == "__main__":
    main()
