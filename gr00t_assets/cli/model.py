"""``gr00t-assets model``: what becomes of a model that is good enough."""

from typing import Annotated

import typer

from gr00t_assets.cli.output import echo
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.sweeps import find_experiment, load_sweeps
from gr00t_assets.reporting.promotion import hub
from gr00t_assets.reporting.promotion.promote import promote

model_app = typer.Typer(help="Models that are good enough to be used.", no_args_is_help=True)


@model_app.command("promote")
def model_promote(
    experiment: Annotated[str, typer.Argument(help="An experiment of any sweep")],
    push: Annotated[
        str | None, typer.Option(help="Also push it to this Hub repository: owner/name")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Nobody else is to see the repository")
    ] = False,
) -> None:
    """Give a finished, checked and evaluated model a card and a place; refuse any other."""
    store = Store.from_environment()
    record = promote(find_experiment(experiment, load_sweeps()), store)
    folder = store.promoted_model(record.experiment, record.config_hash)
    echo(f"promoted {record.promoted_at}: {folder}")
    if push is not None:
        pushed = hub.push(record, folder, push, private)
        echo(f"pushed: {pushed.url}, commit {pushed.commit}")
