"""``gr00t-assets rollout`` and ``environment``: a policy in closed loop, and what it acts in."""

import json
import sys
from typing import Annotated

import typer

from gr00t_assets.cli.arguments import Json, environments, experiment_argument, flag
from gr00t_assets.cli.output import console, echo, plain_table, print_json, tell_dagster
from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.text import counted
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.environments.environment_file import environments_file, load_environments
from gr00t_assets.environments.episode_processes import (
    EnvironmentProcesses,
    Failure,
    Reset,
    Shown,
    Step,
)
from gr00t_assets.evaluation.open_loop import stored_spec
from gr00t_assets.evaluation.rollouts import result as rolled_out
from gr00t_assets.evaluation.rollouts.rollouts import current_rollouts
from gr00t_assets.evaluation.worker import ROLLED_OUT_ALREADY, evaluate_by_hand
from gr00t_assets.runs.model_reference import asked_checkpoints, find_model

environment_app = typer.Typer(
    no_args_is_help=True, help="Environments that policies are rolled out in"
)


def rollout(
    target: Annotated[
        str, experiment_argument("EXPERIMENT, EXPERIMENT@STEP, EXPERIMENT@best, a run directory")
    ],
    environment: Annotated[
        str | None, typer.Option(help="Else that of the dataset", autocompletion=environments)
    ] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Else as many as declared")] = None,
    replan: Annotated[int | None, typer.Option(min=1, help="Actions done of each chunk")] = None,
    ensemble: Annotated[
        float | None, typer.Option(min=0, help="Average chunks as ACT: 0.01")
    ] = None,
    checkpoints: Annotated[str | None, typer.Option(help="all, last, or 'every N' steps")] = None,
    again: Annotated[bool, flag("--again", "Even if it was done before")] = False,
    as_json: Json = False,
) -> None:
    """Roll a policy out in simulation: success with intervals, beside rules without a model."""
    model = find_model(target)
    if model.run_directory is None:
        problem = "a promoted model has no run directory to keep rollouts in."
        raise EvaluationError(target, problem, ["give the experiment or its run directory"])
    directory = model.run_directory
    models = [model] if checkpoints is None else asked_checkpoints(directory, checkpoints)
    spec = stored_spec(directory)
    declared = rolled_out.declared_environment(spec, environment)
    if declared is None:
        datasets = ", ".join(dataset.name for dataset in spec.datasets)
        problem = f"no environment is declared for dataset {datasets}."
        known = f"declared: {', '.join(load_environments()) or 'none'}"
        remedy = "name one: --environment NAME, or environment: NAME in data/datasets.yaml"
        raise EvaluationError(spec.experiment.name, problem, [known, remedy])
    settings = rolled_out.settings_for(
        declared, spec, episodes=episodes, replan_every=replan, ensemble=ensemble
    )
    for item in models:
        what = (directory, declared, settings, item.step)
        if again or current_rollouts(*what) is None:
            if code := evaluate_by_hand(directory, settings, [item.step], declared.name):
                raise typer.Exit(code)
            if item.step is None:
                tell_dagster("rollouts", directory.parent.name)
        else:
            sys.stderr.write(ROLLED_OUT_ALREADY + "\n")
        file = rolled_out.rollouts_file(directory, declared.name, item.step)
        rollouts = rolled_out.read_rollouts(file)
        if as_json:
            print_json(json.loads(rollouts.model_dump_json()))
        else:
            _print_rollouts(rollouts, item.name)


def _print_rollouts(rollouts: rolled_out.Rollouts, name: str) -> None:
    out = console()
    out.print(f"{name}: {rolled_out.rollouts_sentence(rollouts)}")
    out.print(plain_table(*rolled_out.RATE_HEAD, rows=rolled_out.rate_rows(rollouts)))
    settings = rollouts.settings
    for line in (
        "intervals are of 95 percent; steps are the median of those to success",
        f"policy's episodes: {rolled_out.endings_sentence(rollouts)}",
        *rolled_out.failure_sentences(rollouts),
        f"seeds {settings.first_seed} to {settings.first_seed + settings.episodes - 1}, "
        f"replanned every {settings.replan_every} steps; {rolled_out.seconds_sentence(rollouts)}",
        *(f"video: {video}" for video in rollouts.videos),
    ):
        out.print(line, soft_wrap=True)


@environment_app.command("list")
def environment_list(as_json: Json = False) -> None:
    """What is declared, built in and in data/environments.yaml; code 1 where that has a fault."""
    declared = load_environments()
    if as_json:
        print_json([item.model_dump(mode="json") for item in declared.values()])
    else:
        rows = (
            (item.name, item.id, str(item.episodes), str(item.max_steps), item.description)
            for item in declared.values()
        )
        headings = ("environment", "id", "episodes", "steps", "what is done")
        console().print(plain_table(*headings, rows=rows))
    if declared.problem is not None:
        raise declared.problem


@environment_app.command("check")
def environment_check(
    name: Annotated[
        str | None, typer.Argument(help="Else the file alone is read", autocompletion=environments)
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Of its expert, or of random actions")] = 3,
) -> None:
    """Read data/environments.yaml strictly; open an environment, and let it run for a while."""
    declared = load_environments()
    if name is None:
        if declared.problem is not None:
            raise declared.problem
        count = counted(len(declared), "environment")
        echo(f"{shown_path(environments_file())}: {count}, no fault")
        return
    environment = declared.get(name)
    with EnvironmentProcesses(environment, 1) as processes:

        def ask(request: Reset | Step) -> Shown:
            answer = processes.ask({0: request})[0]
            if isinstance(answer, Failure):
                raise answer.error(environment.name)
            return answer

        first = ask(Reset(environment.seeds))
        echo(f"{environment.name}: {environment.id} opens")
        for line in (*first.offers, f"names: {', '.join(processes.names) or 'none'}"):
            echo(f"  {line}")
        for key, value in first.observed.observation.items():
            text = value if isinstance(value, str) else f"{value.shape} {value.dtype}"
            echo(f"  {key}: {text}")
        seconds, drawn, steps, successes = 0.0, 0.0, 0, 0
        for seed in range(environment.seeds, environment.seeds + episodes):
            ask(Reset(seed))
            for _ in range(environment.max_steps):
                shown = ask(Step(None))
                seconds, drawn = seconds + shown.seconds, drawn + shown.render_seconds
                steps += 1
                if shown.observed.success or shown.observed.done:
                    successes += shown.observed.success
                    break
        who = "its expert" if processes.has_expert else "whoever acts anyhow"
        of = f"{successes} of {counted(episodes, 'episode')}"
        echo(f"  {who} succeeds in {of}, {counted(steps, 'step')} in all")
        drawing = f", {steps / drawn:,.1f} with images alone" if drawn else ""
        echo(f"  {steps / seconds:,.1f} steps a second with images{drawing}")
