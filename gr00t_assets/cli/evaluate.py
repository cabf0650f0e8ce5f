"""``gr00t-assets evaluate``: how far a trained policy's actions are from recorded ones."""

import sys
from typing import Annotated

import typer
from rich.table import Table

from gr00t_assets.cli.output import console, print_json
from gr00t_assets.core.checksums import read_sealed
from gr00t_assets.evaluation.open_loop import current_evaluation, find_run
from gr00t_assets.evaluation.result import (
    EVALUATION,
    Evaluation,
    EvaluationSettings,
    load_evaluation,
)
from gr00t_assets.evaluation.wording import (
    PART_HEAD,
    baseline_sentence,
    dataset_sentences,
    group_rows,
    language_sentence,
    part_sentence,
)
from gr00t_assets.evaluation.worker import ALREADY, evaluate_by_hand


def evaluate(
    target: Annotated[str, typer.Argument(help="An experiment's name, or a run directory")],
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
    again: Annotated[
        bool, typer.Option("--again", help="Also where the same was evaluated before")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print evaluation.json")] = False,
) -> None:
    """Compare predicted with recorded actions and write evaluation.json into the run directory."""
    settings = EvaluationSettings(
        draws=draws,
        denoising_steps=denoising_steps,
        stride=stride,
        max_episodes=max_episodes,
        seed=seed,
    )
    directory = find_run(target)
    if again or current_evaluation(directory, settings) is None:
        if code := evaluate_by_hand(directory, settings):
            raise typer.Exit(code)
    else:
        sys.stderr.write(ALREADY + "\n")
    if as_json:
        print_json(read_sealed(directory / EVALUATION))
        return
    evaluation = load_evaluation(directory)
    assert evaluation is not None
    print_evaluation(evaluation)


def print_evaluation(evaluation: Evaluation) -> None:
    """The outcome on a terminal."""
    out = console()
    for part in evaluation.parts:
        out.print(part_sentence(part), highlight=False)
        for sentence in dataset_sentences(part):
            out.print("  " + sentence, highlight=False)
        for baseline in part.baselines:
            out.print("  " + baseline_sentence(baseline), highlight=False)
    table = Table(*PART_HEAD, title=f"errors by action group, {evaluation.main.part}")
    for row in group_rows(evaluation.main):
        table.add_row(*row)
    out.print(table)
    out.print(f"language used: {language_sentence(evaluation)}", highlight=False)
    for line in evaluation.limits:
        out.print(f"note: {line}", highlight=False)
