"""``gr00t-assets evaluate``, ``rollout`` and ``environment``: how good a trained policy is."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gr00t_assets.cli.arguments import Json, argument, environments, experiments, option
from gr00t_assets.cli.output import console, echo, plain_table, print_json, tell_dagster
from gr00t_assets.core.checksums import read_sealed
from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.core.text import counted
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.environments import episode_processes
from gr00t_assets.environments.declared_env import Shown
from gr00t_assets.environments.environment_file import environments_file, load_environments
from gr00t_assets.evaluation import wording, worker
from gr00t_assets.evaluation.open_loop import current_evaluation, stored_spec
from gr00t_assets.evaluation.result import Evaluation, EvaluationSettings, load_evaluation
from gr00t_assets.evaluation.rollouts import result as rolled_out
from gr00t_assets.evaluation.rollouts.rollouts import current_rollouts
from gr00t_assets.runs import model_reference
from gr00t_assets.runs.checkpoint_choice import BestWeights, best_weights, evaluation_file

environment_app = typer.Typer(
    no_args_is_help=True, help="Environments that policies are rolled out in"
)


def evaluate(
    target: Annotated[
        str,
        argument("An experiment or a run directory; @STEP, @last, @best behind it", experiments),
    ],
    checkpoints: Annotated[
        str | None, option("Also of checkpoints: all, last, or 'every N' steps")
    ] = None,
    draws: Annotated[int, option("Denoising draws of each window", min=2)] = 4,
    denoising_steps: Annotated[
        int | None, option("Steps of a draw; the model's own if left out", min=1)
    ] = None,
    stride: Annotated[
        int | None, option("Rows between two windows; at most 64 an episode if left out", min=1)
    ] = None,
    max_episodes: Annotated[
        int, option("Episodes held out, and as many trained on, at most", min=1)
    ] = 16,
    seed: Annotated[int, option("Of the noise", min=0)] = 0,
    again: Annotated[bool, option("Also where the same was evaluated before", "--again")] = False,
    as_json: Annotated[bool, option("Print evaluation.json, of several a list", "--json")] = False,
) -> None:
    """Compare predicted with recorded actions and write evaluation.json into the run directory."""
    settings = EvaluationSettings(
        draws=draws,
        denoising_steps=denoising_steps,
        stride=stride,
        max_episodes=max_episodes,
        seed=seed,
    )
    directory, models = _asked_models(target, checkpoints)
    steps = [model.step for model in models]
    missing = [
        step for step in steps if again or current_evaluation(directory, settings, step) is None
    ]
    if missing:
        if code := worker.evaluate_by_hand(directory, settings, missing):
            raise typer.Exit(code)
        if None in missing:
            tell_dagster("open_loop_evaluation", directory.parent.name)
    else:
        sys.stderr.write(worker.EVALUATED_ALREADY + "\n")
    if as_json:
        contents = [read_sealed(evaluation_file(directory, step)) for step in steps]
        print_json(contents if checkpoints else contents[0])
        return
    evaluations = [evaluation for step in steps if (evaluation := load_evaluation(directory, step))]
    if checkpoints is None:
        _print_evaluation(evaluations[0])
    else:
        _print_checkpoints(evaluations, directory)


def _asked_models(
    target: str, checkpoints: str | None
) -> tuple[Path, list[model_reference.ModelReference]]:
    """The run that a person means, and its weights: those named, or those of some checkpoints."""
    if checkpoints is None:
        model = model_reference.find_model(target)
        if model.run_directory is None:
            problem = "a promoted model has no run directory to keep results in."
            raise EvaluationError(target, problem, ["give the experiment or its run directory"])
        if model.why is not None:
            sys.stderr.write(f"{model.why}\n")
        return model.run_directory, [model]
    name, selector = model_reference.split_reference(target)
    if selector is not None and not Path(target).is_dir():
        remedy = f"give {name} with --checkpoints, or {target} without"
        raise EvaluationError(target, "this names a checkpoint already.", [remedy])
    directory = model_reference.find_run(target)
    return directory, model_reference.asked_checkpoints(directory, checkpoints)


def _print_checkpoints(evaluations: Iterable[Evaluation], run_directory: Path) -> None:
    table = Table("weights", "part", "error", "beats holding still", "beats the mean action")
    for evaluation in evaluations:
        beaten = {rule.name: rule.beaten for rule in evaluation.main.baselines}
        table.add_row(
            "final" if evaluation.step is None else f"step {evaluation.step}",
            evaluation.main.part,
            wording.estimate_text(evaluation.main.error),
            beaten.get("hold", ""),
            beaten.get("mean action", ""),
        )
    best = best_weights(run_directory)
    text = best.why if isinstance(best, BestWeights) else f"cannot be told: {best}"
    console().print(table, f"best: {text}", sep="\n")


def _print_evaluation(evaluation: Evaluation) -> None:
    out = console()
    for part in evaluation.parts:
        details = wording.dataset_sentences(part)
        details += map(wording.baseline_sentence, part.baselines)
        out.print(wording.part_sentence(part), *(f"  {line}" for line in details), sep="\n")
    table = Table(*wording.PART_HEAD, title=f"errors by action group, {evaluation.main.part}")
    for row in wording.group_rows(evaluation.main):
        table.add_row(*row)
    language = f"language used: {wording.language_sentence(evaluation)}"
    out.print(table, language, *(f"note: {limit}" for limit in evaluation.limits), sep="\n")


def rollout(
    target: Annotated[
        str, argument("EXPERIMENT, EXPERIMENT@STEP, EXPERIMENT@best, a run directory", experiments)
    ],
    environment: Annotated[
        str | None, option("Else that of the dataset", autocompletion=environments)
    ] = None,
    episodes: Annotated[int | None, option("Else as many as declared", min=1)] = None,
    replan: Annotated[int | None, option("Actions done of each chunk", min=1)] = None,
    ensemble: Annotated[float | None, option("Average chunks as ACT: 0.01", min=0)] = None,
    checkpoints: Annotated[str | None, option("all, last, or 'every N' steps")] = None,
    again: Annotated[bool, option("Even if it was done before", "--again")] = False,
    as_json: Json = False,
) -> None:
    """Roll a policy out in simulation: success with intervals, beside rules without a model."""
    directory, models = _asked_models(target, checkpoints)
    spec = stored_spec(directory)
    declared = rolled_out.declared_environment(spec, environment)
    if declared is None:
        datasets = ", ".join(dataset.name for dataset in spec.datasets)
        problem = f"no environment is declared for dataset {datasets}."
        known = f"declared: {', '.join(load_environments()) or 'none'}"
        remedy = "name one: --environment NAME, or environment: NAME in data/datasets.yaml"
        raise EvaluationError(spec.experiment.name, problem, [known, remedy])
    settings = rolled_out.settings_for(declared, spec, episodes, replan, ensemble)
    contents = []
    for item in models:
        what = (directory, declared, settings, item.step)
        if again or current_rollouts(*what) is None:
            if code := worker.evaluate_by_hand(directory, settings, [item.step], declared.name):
                raise typer.Exit(code)
            if item.step is None:
                tell_dagster("rollouts", directory.parent.name)
        else:
            sys.stderr.write(worker.ROLLED_OUT_ALREADY + "\n")
        file = rolled_out.rollouts_file(directory, declared.name, item.step)
        rollouts = rolled_out.read_rollouts(file)
        contents.append(json.loads(rollouts.model_dump_json()))
        if not as_json:
            _print_rollouts(rollouts, item.name)
    if as_json:
        print_json(contents if checkpoints else contents[0])


def _print_rollouts(rollouts: rolled_out.Rollouts, name: str) -> None:
    out = console()
    out.print(f"{name}: {rolled_out.rollouts_sentence(rollouts)}")
    out.print(plain_table(*rolled_out.RATE_HEAD, rows=rolled_out.rate_rows(rollouts)))
    settings = rollouts.settings
    out.print(
        "intervals are of 95 percent; steps are the median of those to success",
        f"policy's episodes: {rolled_out.endings_sentence(rollouts)}",
        *rolled_out.failure_sentences(rollouts),
        f"seeds {settings.first_seed} to {settings.first_seed + settings.episodes - 1}, "
        f"replanned every {settings.replan_every} steps; {rolled_out.seconds_sentence(rollouts)}",
        *(f"video: {video}" for video in rollouts.videos),
        sep="\n",
        soft_wrap=True,
    )


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
    name: Annotated[str | None, argument("Else the file alone is read", environments)] = None,
    episodes: Annotated[int, option("Of its expert, or of random actions", min=1)] = 3,
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
    with episode_processes.EnvironmentProcesses(environment, 1) as processes:

        def ask(request: episode_processes.Request) -> Shown:
            answer = processes.ask({0: request})[0]
            if isinstance(answer, episode_processes.Failure):
                raise answer.error(environment.name)
            return answer

        first = ask(episode_processes.Reset(environment.seeds))
        echo(f"{environment.name}: {environment.id} opens")
        for line in (*first.offers, f"names: {', '.join(processes.names) or 'none'}"):
            echo(f"  {line}")
        for key, value in first.observation.items():
            text = value if isinstance(value, str) else f"{value.shape} {value.dtype}"
            echo(f"  {key}: {text}")
        seconds, drawn, steps, successes = 0.0, 0.0, 0, 0
        for seed in range(environment.seeds, environment.seeds + episodes):
            ask(episode_processes.Reset(seed))
            for _ in range(environment.max_steps):
                shown = ask(episode_processes.Step(None))
                seconds, drawn = seconds + shown.seconds, drawn + shown.render_seconds
                steps += 1
                if shown.success or shown.done:
                    successes += shown.success
                    break
        who = "its expert" if processes.has_expert else "whoever acts anyhow"
        of = f"{successes} of {counted(episodes, 'episode')}"
        echo(f"  {who} succeeds in {of}, {counted(steps, 'step')} in all")
        drawing = f", {steps / drawn:,.1f} with images alone" if drawn else ""
        echo(f"  {steps / seconds:,.1f} steps a second with images{drawing}")
