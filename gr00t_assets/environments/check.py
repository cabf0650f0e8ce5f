"""Whether an environment opens and runs here, what it offers, and how fast it is."""

from collections.abc import Iterator

from gr00t_assets.environments.environment_file import Environment
from gr00t_assets.environments.episode_processes import (
    EnvironmentProcesses,
    Failure,
    Reset,
    Shown,
    Step,
)


def check_environment(environment: Environment, episodes: int) -> Iterator[str]:
    """Let its expert act in it, or random actions where it has none; lines of what was found.

    Raises:
        SimulationError: It does not open, or fails; what it says and offers is in it.
    """
    with EnvironmentProcesses(environment, 1) as processes:

        def ask(request: Reset | Step) -> Shown:
            answer = processes.ask({0: request})[0]
            if isinstance(answer, Failure):
                raise answer.error(environment.name)
            return answer

        shown = ask(Reset(environment.seeds))
        yield f"{environment.name}: {environment.id} opens"
        yield from (f"  {line}" for line in shown.offers)
        yield f"  names: {', '.join(processes.names) or 'none'}"
        for key, value in shown.observed.observation.items():
            text = value if isinstance(value, str) else f"{value.shape} {value.dtype}"
            yield f"  {key}: {text}"
        seconds, drawn, steps, successes = 0.0, 0.0, 0, 0
        for seed in range(environment.seeds, environment.seeds + episodes):
            shown = ask(Reset(seed))
            for _ in range(environment.max_steps):
                shown = ask(Step(None))
                seconds, drawn = seconds + shown.seconds, drawn + shown.render_seconds
                steps += 1
                if shown.observed.success or shown.observed.done:
                    break
            successes += shown.observed.success
        who = "its expert" if processes.has_expert else "whoever acts anyhow"
        yield f"  {who} succeeds in {successes} of {episodes} episodes, {steps} steps in all"
        drawing = f", {steps / drawn:,.1f} with images alone" if drawn else ""
        yield f"  {steps / seconds:,.1f} steps a second with images{drawing}"
