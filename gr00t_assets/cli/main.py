"""The console script ``gr00t-assets``: what a person does without the Dagster page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gr00t_assets.cli.compare import compare
from gr00t_assets.cli.evaluate import evaluate
from gr00t_assets.cli.gpu import gpu_app
from gr00t_assets.cli.imports import import_app
from gr00t_assets.cli.isaac import isaac_app
from gr00t_assets.cli.model import model_app
from gr00t_assets.cli.store import store_app
from gr00t_assets.cli.sweep import sweep_app
from gr00t_assets.core.errors import Gr00tAssetsError

app = typer.Typer(
    help="Fine-tune GR00T N1.5 on LeRobot demonstrations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(sweep_app, name="sweep")
dataset_app = typer.Typer(help="Datasets, and whether they can be trusted.", no_args_is_help=True)
app.add_typer(dataset_app, name="dataset")
app.add_typer(isaac_app, name="isaac")
app.add_typer(gpu_app, name="gpu")
app.add_typer(store_app, name="store")
app.add_typer(model_app, name="model")
app.add_typer(import_app, name="import")
app.command()(evaluate)


@dataset_app.command("check")
def dataset_check(
    path: Annotated[str, typer.Argument(help="A dataset's folder, or its name in the store")],
    data_config: Annotated[
        str | None, typer.Option(help="A data config that it is to fit: so100_dualcam")
    ] = None,
    embodiment_tag: Annotated[
        str, typer.Option(help="One of N1.5's embodiment tags")
    ] = "new_embodiment",
    video_backend: Annotated[
        str, typer.Option(help="What will decode it: frame-cache, decord, torchcodec")
    ] = "frame-cache",
    as_json: Annotated[bool, typer.Option("--json", help="The findings as JSON")] = False,
) -> None:
    """Print everything that is wrong with a dataset; exit code 1 where it cannot be trained on."""
    from gr00t_assets.datasets.checks.report import run_check

    code = run_check(path, data_config, embodiment_tag, video_backend, as_json)
    raise typer.Exit(code)


@dataset_app.command("accept-modality")
def dataset_accept_modality(
    name: Annotated[str, typer.Argument(help="A dataset that brings no modality.json")],
) -> None:
    """Accept the drafted modality.json of a dataset, which then stands in for the missing one."""
    from gr00t_assets.core.project import Store
    from gr00t_assets.datasets.fit.draft import accept_draft

    typer.echo(f"accepted: {accept_draft(name, Store.from_environment())}")
    typer.echo(f"now materialise the dataset {name} again")


@dataset_app.command("frames")
def dataset_frames(
    path: Annotated[str, typer.Argument(help="A dataset's folder, or its name in the store")],
    video_backend: Annotated[
        str, typer.Option(help="frame_cache, decord, torchcodec or torchvision_av")
    ] = "torchvision_av",
    isaac_commit: Annotated[
        str | None, typer.Option(help="Commit of Isaac-GR00T that trains with it")
    ] = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="Every row, not a sample")] = False,
) -> None:
    """Compare the frames that a video backend gives with those decoded in order; 1 if wrong."""
    from gr00t_assets.datasets.frames.truth.command import run_frame_check

    raise typer.Exit(run_frame_check(path, video_backend, isaac_commit, all_rows))


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(help="A spec.json, such as a run directory holds")],
) -> None:
    """Train one spec by hand, without Dagster; goes on where an earlier attempt stopped."""
    from gr00t_assets.trainers.by_hand import train_by_hand

    raise typer.Exit(train_by_hand(spec))


app.command("compare")(compare)


@app.command()
def journal(
    print_it: Annotated[
        bool, typer.Option("--print", help="Print the journal, not where it is")
    ] = False,
) -> None:
    """Write the research journal from the runs, and from the notes in data/journal/notes."""
    from gr00t_assets.reporting.journal.command import run_journal

    raise typer.Exit(run_journal(print_it))


def main() -> None:
    """Entry point: errors that a person can mend end with one message and exit code 1."""
    try:
        app()
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
