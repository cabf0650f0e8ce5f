"""``gr00t-assets sweep``: the sweeps of a project, what their files ask for, and new ones."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column

from gr00t_assets.cli.arguments import Json, argument, datasets, option, sweeps
from gr00t_assets.cli.output import console, echo, plain_table, print_json
from gr00t_assets.cli.sweep_plan import sweep_plan
from gr00t_assets.cli.sweep_run import sweep_run
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.experiments.new_sweep import generations_sweep, new_sweep, write_sweep
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.sweeps import Sweep
from gr00t_assets.planning.proposed_sweep import check_sweep, propose
from gr00t_assets.planning.suggestions import Objective, suggest_sweep
from gr00t_assets.runs.stored_run import read_runs

sweep_app = typer.Typer(help="Sweep files and what they ask for.", no_args_is_help=True)
sweep_app.command("run")(sweep_run)


@sweep_app.command("list")
def sweep_list(as_json: Json = False) -> None:
    """Print the sweeps, how many of their experiments are finished, and when they are asked for."""
    store = Store.from_environment()
    rows = [_row(sweep, store) for sweep in read_project().sweeps.values()]
    if as_json:
        print_json(rows)
        return
    numbers = (Column("experiments", justify="right"), Column("finished", justify="right"))
    table = plain_table("sweep", *numbers, Column("schedule", no_wrap=True), "description")
    for row in rows:
        schedule = f"{row['schedule']} {row['time_zone']}" if row["schedule"] else ""
        counts = str(row["experiments"]), str(row["statuses"].get("finished", 0))
        table.add_row(row["sweep"], *counts, schedule, row["description"])
    console().print(table if rows else "there is no sweep yet: gr00t-assets sweep new NAME")


def _row(sweep: Sweep, store: Store) -> dict[str, Any]:
    """What is known of a sweep, as JSON has it; of each experiment the newest run counts."""
    newest = {run.name: run for run in reversed(read_runs(sweep.experiments, store, curves=False))}
    return {
        "sweep": sweep.name,
        "file": shown_path(sweep.file),
        "description": sweep.description,
        "experiments": len(sweep.experiments),
        "statuses": dict(Counter(run.status for run in newest.values())),
        "datasets": list(sweep.datasets),
        "schedule": sweep.schedule,
        "time_zone": sweep.time_zone,
    }


sweep_app.command("plan")(sweep_plan)


@sweep_app.command("new")
def sweep_new(
    name: Annotated[str, argument("The sweep's name, which its experiments begin with")],
    dataset: Annotated[
        str | None,
        option("A dataset of data/datasets.yaml; the first if left out", autocompletion=datasets),
    ] = None,
    trainer: Annotated[str | None, option("Name of a trainer; the default one if left out")] = None,
    source: Annotated[
        str | None,
        option("A sweep to copy, its experiments renamed", "--from", autocompletion=sweeps),
    ] = None,
    other: Annotated[
        str | None,
        option(
            "The same demonstrations with a data config of GR00T's other generation",
            "--compare-generations",
            autocompletion=datasets,
        ),
    ] = None,
) -> None:
    """Write a commented data/sweeps/NAME.yaml to start from; a file that is there stays."""
    if other is not None:
        if dataset is None or trainer or source:
            raise typer.BadParameter("--compare-generations goes with --dataset alone")
        sweep = generations_sweep(name, dataset, other)
    else:
        sweep = new_sweep(name, dataset, trainer, source)
    echo(f"written: {shown_path(sweep.file)}, {counted(len(sweep.experiments), 'experiment')}")
    echo(f"see what it would run: gr00t-assets sweep plan {name}")


@sweep_app.command("propose")
def sweep_propose(
    runs: Annotated[Path | None, option("A table of runs; the store's runs if left out")] = None,
    sweep: Annotated[
        str | None, option("Only the runs of this sweep", autocompletion=sweeps)
    ] = None,
    question: Annotated[
        str | None, option("Only this: learning_rate, batch_size, steps, best")
    ] = None,
    out: Annotated[str | None, option("Write data/sweeps/NAME.yaml; printed if left out")] = None,
    references: Annotated[
        bool, option("Also the runs that the new ones are held against", "--references")
    ] = False,
    check: Annotated[
        Path | None, option("Hold this sweep file against the runs; 1 if one is equal")
    ] = None,
) -> None:
    """Propose the next runs that settle what is confounded or noisy, as a sweep file."""
    if check is not None:
        lines = list(check_sweep(check, runs))
        echo("\n".join(line for line, _ in lines))
        raise typer.Exit(int(any(is_equal for _, is_equal in lines)))
    _print_new(propose(runs, sweep, question, out, references), out)


@sweep_app.command("suggest")
def sweep_suggest(
    sweep: Annotated[str, argument("A sweep whose file has a 'random' section", sweeps)],
    count: Annotated[int, option("Experiments wanted", min=1)] = 4,
    seed: Annotated[int, option("Another seed suggests others", min=0)] = 0,
    objective: Annotated[
        Objective, option("What is to be low: final loss, or open-loop error")
    ] = "loss",
    out: Annotated[str | None, option("Write data/sweeps/NAME.yaml; printed if left out")] = None,
) -> None:
    """Suggest the next experiments of a search by Optuna, from the finished runs of one class."""
    text, basis = suggest_sweep(sweep, count, seed, objective, out)
    _print_new(text, out, basis)


def _print_new(text: str, out: str | None, basis: Iterable[str] = ()) -> None:
    """Print a new sweep, what it rests on before it; it is written where ``out`` names one."""
    file = write_sweep(out, text) if out is not None else None
    for line in basis:
        echo(line, err=True)
    if file is not None:
        echo(f"written: {shown_path(file)}", err=True)
    echo(text, nl=False)
