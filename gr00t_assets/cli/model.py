"""``gr00t-assets model``: what becomes of a model that is good enough."""

from typing import Annotated

import typer
from rich.table import Table

from gr00t_assets.cli.completion import experiments
from gr00t_assets.cli.output import console, echo, print_json
from gr00t_assets.cli.reported import tell_dagster
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import find_experiment
from gr00t_assets.reporting.promotion.promote import promote
from gr00t_assets.reporting.promotion.record import promoted_folder, promoted_models
from gr00t_assets.reporting.promotion.record import push as push_to_hub
from gr00t_assets.runs.model_reference import split_reference

model_app = typer.Typer(help="Models that are good enough to be used.", no_args_is_help=True)


@model_app.command("promote")
def model_promote(
    experiment: Annotated[
        str,
        typer.Argument(
            help="An experiment of any sweep; @STEP, @last or @best behind it",
            autocompletion=experiments,
        ),
    ],
    because: Annotated[
        str | None,
        typer.Option(help="Why it is promoted although nothing shows that it beats doing nothing"),
    ] = None,
    push: Annotated[
        str | None, typer.Option(help="Also push it to this Hub repository: owner/name")
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Nobody else is to see the repository")
    ] = False,
) -> None:
    """Give a model that beats the baselines a card and a place; refuse any other, with reasons."""
    store = Store.from_environment()
    name, selector = split_reference(experiment)
    record = promote(find_experiment(name, read_project().sweeps), store, selector, because)
    folder = promoted_folder(store, record.experiment, record.config_hash, record.step)
    echo(f"promoted {record.promoted_at}: {folder}")
    echo(record.verdict)
    tell_dagster("promoted_model", record.experiment, store)
    if record.chosen:
        echo(f"chosen: {record.chosen}")
    if because and not record.because:
        echo("nothing is against it: --because is not on its card")
    if push is not None:
        pushed = push_to_hub(record, folder, push, private)
        echo(f"pushed: {pushed.url}, commit {pushed.commit}")


@model_app.command("list")
def model_list(as_json: Annotated[bool, typer.Option("--json", help="As JSON")] = False) -> None:
    """Promoted models of the store, the newest first."""
    models = promoted_models(Store.from_environment())
    if as_json:
        print_json(
            [
                {"folder": str(model.folder), "problem": model.problem}
                | (model.record.model_dump(mode="json") if model.record else {})
                for model in models
            ]
        )
        return
    table = Table("model", "promoted", "gate", "success", "held-out error", "training loss")
    for model in models:
        if (record := model.record) is None:
            table.add_row(f"{model.folder.parent.name}/{model.folder.name}", "", "cannot be read")
            continue
        table.add_row(
            record.name,
            record.promoted_at[:16],
            "against it" if record.reasons else "passed" if record.judged else "not asked",
            record.success_text or "not rolled out",
            "none" if record.held_out_error is None else f"{record.held_out_error:.3g}",
            f"{record.loss:.3g}",
        )
    out = console()
    out.print(table if models else "no model has been promoted", highlight=False)
    for model in models:
        if model.problem:
            out.print(model.problem, highlight=False)
        elif model.record and model.record.because:
            out.print(f"{model.record.name}: because {model.record.because}", highlight=False)
