"""``gr00t-assets evaluate``: how far a trained policy's actions are from recorded ones."""

from typing import Annotated

import typer


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
    seed: Annotated[int, typer.Option(min=0, help="Of the noise and the intervals")] = 0,
    again: Annotated[
        bool, typer.Option("--again", help="Also where the same was evaluated before")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print evaluation.json")] = False,
) -> None:
    """Compare predicted with recorded actions and write evaluation.json into the run directory."""
    from gr00t_assets.evaluation.command import run_evaluate
    from gr00t_assets.evaluation.result import EvaluationSettings

    settings = EvaluationSettings(
        draws=draws,
        denoising_steps=denoising_steps,
        stride=stride,
        max_episodes=max_episodes,
        seed=seed,
    )
    raise typer.Exit(run_evaluate(target, settings, as_json, again))
