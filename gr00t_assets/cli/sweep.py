"""``gr00t-assets sweep``: what a sweep file asks for, and a file to start from."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from gr00t_assets.experiments.sweeps import Sweep


sweep_app = typer.Typer(help="Sweep files and what they ask for.", no_args_is_help=True)


class Listing(StrEnum):
    """What ``sweep plan --list`` prints, one name a line."""

    DATASETS = "datasets"
    EXPERIMENTS = "experiments"
    TRAINERS = "trainers"


@sweep_app.command("plan")
def sweep_plan(
    sweep: Annotated[str, typer.Argument(help="A sweep's name or file: demo, data/sweeps/x.yaml")],
    names: Annotated[
        Listing | None, typer.Option("--list", help="Only these names, one a line, for scripts")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The plan as JSON")] = False,
) -> None:
    """Print what a sweep would run: partitions, what differs, which are done, and what it costs."""
    from gr00t_assets.comparison.sweep_plan import named_sweep

    chosen = named_sweep(sweep)
    if names is None:
        _show(chosen, as_json)
        return
    listed = {
        Listing.DATASETS: chosen.datasets,
        Listing.EXPERIMENTS: tuple(experiment.name for experiment in chosen.experiments),
        Listing.TRAINERS: chosen.trainers,
    }
    typer.echo("\n".join(listed[names]))


def _show(sweep: "Sweep", as_json: bool) -> None:
    from gr00t_assets.cli.sweep_plan import plan_json, print_plan
    from gr00t_assets.comparison.sweep_plan import make_plan
    from gr00t_assets.core.project import Store

    plan = make_plan(sweep, Store.from_environment())
    if as_json:
        typer.echo(plan_json(plan))
    else:
        print_plan(plan)


@sweep_app.command("new")
def sweep_new(
    name: Annotated[str, typer.Argument(help="The sweep's name, which its experiments begin with")],
    dataset: Annotated[
        str | None, typer.Option(help="A dataset of data/datasets.yaml; the first if left out")
    ] = None,
    trainer: Annotated[
        str | None, typer.Option(help="Name of a trainer; the default one if left out")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="A sweep to copy, its experiments renamed")
    ] = None,
) -> None:
    """Write a commented data/sweeps/NAME.yaml to start from; a file that is there stays."""
    from gr00t_assets.core.yaml_files import shown_path
    from gr00t_assets.experiments.new_sweep import new_sweep

    sweep = new_sweep(name, dataset, trainer, source)
    typer.echo(f"written: {shown_path(sweep.file)}, {len(sweep.experiments)} experiments")
    typer.echo(f"see what it would run: gr00t-assets sweep plan {name}")


@sweep_app.command("propose")
def sweep_propose(
    runs: Annotated[
        Path | None, typer.Option(help="A table of runs; the store's runs if left out")
    ] = None,
    sweep: Annotated[str | None, typer.Option(help="Only the runs of this sweep")] = None,
    question: Annotated[
        str | None, typer.Option(help="Only this factor: learning_rate, batch_size, steps")
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Write data/sweeps/NAME.yaml; printed if left out")
    ] = None,
    references: Annotated[
        bool, typer.Option("--references", help="Also the runs that the new ones are held against")
    ] = False,
    check: Annotated[
        Path | None, typer.Option(help="Hold this sweep file against the runs; 1 if one is equal")
    ] = None,
) -> None:
    """Propose the fewest experiments that settle what is confounded or noisy, as a sweep file."""
    from gr00t_assets.comparison.proposals import proposed_sweep
    from gr00t_assets.core.yaml_files import shown_path

    if check is not None:
        equal = False
        for line, is_equal in proposed_sweep.check(check, runs):
            typer.echo(line)
            equal = equal or is_equal
        raise typer.Exit(int(equal))
    text, file = proposed_sweep.propose(runs, sweep, question, out, references)
    if file is not None:
        typer.echo(f"written: {shown_path(file)}", err=True)
    typer.echo(text, nl=False)


class Objective(StrEnum):
    """What ``sweep suggest`` looks for."""

    LOSS = "loss"
    OPEN_LOOP = "open-loop"


@sweep_app.command("suggest")
def sweep_suggest(
    sweep: Annotated[str, typer.Argument(help="A sweep whose file has a 'random' section")],
    count: Annotated[int, typer.Option(min=1, help="Experiments wanted")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Another seed suggests others")] = 0,
    objective: Annotated[
        Objective, typer.Option(help="What is to be low: final loss, or open-loop error")
    ] = Objective.LOSS,
    out: Annotated[
        str | None, typer.Option(help="Write data/sweeps/NAME.yaml; printed if left out")
    ] = None,
) -> None:
    """Suggest the next experiments of a search by Optuna, from the finished runs of one class."""
    from gr00t_assets.comparison.suggested_sweep import suggest_sweep
    from gr00t_assets.core.yaml_files import shown_path

    suggested = suggest_sweep(sweep, count, seed, objective.value, out)
    for line in suggested.basis:
        typer.echo(line, err=True)
    if suggested.file is not None:
        typer.echo(f"written: {shown_path(suggested.file)}", err=True)
    typer.echo(suggested.text, nl=False)
