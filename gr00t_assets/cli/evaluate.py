"""``gr00t-assets evaluate``: how far a trained policy's actions are from recorded ones."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gr00t_assets.cli.arguments import experiment_argument, flag
from gr00t_assets.cli.output import console, print_json, tell_dagster
from gr00t_assets.core.checksums import read_sealed
from gr00t_assets.core.errors import EvaluationError
from gr00t_assets.evaluation import wording
from gr00t_assets.evaluation.open_loop import current_evaluation
from gr00t_assets.evaluation.result import Evaluation, EvaluationSettings, load_evaluation
from gr00t_assets.evaluation.worker import EVALUATED_ALREADY, evaluate_by_hand
from gr00t_assets.runs.checkpoint_choice import BestWeights, best_weights, evaluation_file
from gr00t_assets.runs.model_reference import (
    asked_checkpoints,
    find_model,
    find_run,
    split_reference,
)


def evaluate(
    target: Annotated[
        str, experiment_argument("An experiment or a run directory; @STEP, @last, @best behind it")
    ],
    checkpoints: Annotated[
        str | None, typer.Option(help="Also of checkpoints: all, last, or 'every N' steps")
    ] = None,
    draws: Annotated[int, typer.Option(min=2, help="Denoising draws of each window")] = 4,
    denoising_steps: Annotated[
        int | None, typer.Option(min=1, help="Steps of a draw; the model's own if left out")
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(min=1, help="Rows between two windows; at most 64 an episode if left out"),
    ] = None,
    max_episodes: Annotated[
        int, typer.Option(min=1, help="Episodes held out, and as many trained on, at most")
    ] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise")] = 0,
    again: Annotated[bool, flag("--again", "Also where the same was evaluated before")] = False,
    as_json: Annotated[bool, flag("--json", "Print evaluation.json, of several a list")] = False,
) -> None:
    """Compare predicted with recorded actions and write evaluation.json into the run directory."""
    settings = EvaluationSettings(
        draws=draws,
        denoising_steps=denoising_steps,
        stride=stride,
        max_episodes=max_episodes,
        seed=seed,
    )
    directory, steps = _asked_weights(target, checkpoints)
    missing = [
        step for step in steps if again or current_evaluation(directory, settings, step) is None
    ]
    if missing:
        if code := evaluate_by_hand(directory, settings, missing):
            raise typer.Exit(code)
        if None in missing:
            tell_dagster("open_loop_evaluation", directory.parent.name)
    else:
        sys.stderr.write(EVALUATED_ALREADY + "\n")
    if as_json:
        contents = [read_sealed(evaluation_file(directory, step)) for step in steps]
        print_json(contents if checkpoints else contents[0])
        return
    evaluations = [found for step in steps if (found := load_evaluation(directory, step))]
    if checkpoints is None:
        _print_evaluation(evaluations[0])
    else:
        _print_checkpoints(evaluations, directory)


def _asked_weights(target: str, checkpoints: str | None) -> tuple[Path, list[int | None]]:
    """The run that a person means, and steps of its checkpoints; None for its final weights."""
    name, selector = split_reference(target)
    if selector is None or Path(target).is_dir():
        directory = find_run(target)
        if checkpoints is None:
            return directory, [None]
        return directory, [model.step for model in asked_checkpoints(directory, checkpoints)]
    if checkpoints is not None:
        remedy = f"give {name} with --checkpoints, or {target} without"
        raise EvaluationError(target, "this names a checkpoint already.", [remedy])
    model = find_model(target)
    if model.why is not None:
        sys.stderr.write(f"{model.why}\n")
    assert model.run_directory is not None
    return model.run_directory, [model.step]


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
    _print_lines(table, f"best: {text}")


def _print_evaluation(evaluation: Evaluation) -> None:
    for part in evaluation.parts:
        details = wording.dataset_sentences(part)
        details += map(wording.baseline_sentence, part.baselines)
        _print_lines(wording.part_sentence(part), *(f"  {sentence}" for sentence in details))
    table = Table(*wording.PART_HEAD, title=f"errors by action group, {evaluation.main.part}")
    for row in wording.group_rows(evaluation.main):
        table.add_row(*row)
    language = f"language used: {wording.language_sentence(evaluation)}"
    _print_lines(table, language, *(f"note: {limit}" for limit in evaluation.limits))


def _print_lines(*lines: str | Table) -> None:
    out = console()
    for line in lines:
        out.print(line)
