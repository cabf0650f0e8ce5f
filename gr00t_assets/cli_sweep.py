"""``gr00t-assets sweep``: what a sweep file asks for, and a file to start from."""

from enum import StrEnum
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
    from gr00t_assets.comparison.plan import named_sweep

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
    from gr00t_assets.comparison.plan import make_plan
    from gr00t_assets.comparison.plan_output import plan_json, print_plan
    from gr00t_assets.project import Store

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
        str | None, typer.Option(help="native or isaac-gr00t; native if left out")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", help="A sweep to copy, its experiments renamed")
    ] = None,
) -> None:
    """Write a commented data/sweeps/NAME.yaml to start from; a file that is there stays."""
    from gr00t_assets.experiments.starter import new_sweep
    from gr00t_assets.yaml_files import shown_path

    sweep = new_sweep(name, dataset, trainer, source)
    typer.echo(f"written: {shown_path(sweep.file)}, {len(sweep.experiments)} experiments")
    typer.echo(f"see what it would run: gr00t-assets sweep plan {name}")
