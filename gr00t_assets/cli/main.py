"""The console script ``gr00t-assets``: what a person does without the Dagster page."""

import sys
from typing import Annotated

import typer

from gr00t_assets import __version__
from gr00t_assets.cli.arguments import experiments
from gr00t_assets.cli.compare import compare, journal
from gr00t_assets.cli.dataset import dataset_app
from gr00t_assets.cli.evaluate import evaluate
from gr00t_assets.cli.gpu import gpu_app
from gr00t_assets.cli.isaac import isaac_app
from gr00t_assets.cli.model import model_app, serve
from gr00t_assets.cli.project import check, import_app, notify_app, reload
from gr00t_assets.cli.rollout import environment_app, rollout
from gr00t_assets.cli.status import status
from gr00t_assets.cli.store import store_app
from gr00t_assets.cli.sweep import sweep_app
from gr00t_assets.cli.trials import trials_app
from gr00t_assets.core.errors import Gr00tAssetsError, system_errors_explained
from gr00t_assets.core.text import escape_output
from gr00t_assets.experiments.project_files import tell_on_stderr
from gr00t_assets.runs.model_reference import asked_spec
from gr00t_assets.trainers.process_launcher import train_by_hand

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
app.add_typer(sweep_app, name="sweep")
app.add_typer(dataset_app, name="dataset")
app.add_typer(isaac_app, name="isaac")
app.add_typer(gpu_app, name="gpu")
app.add_typer(store_app, name="store")
app.add_typer(model_app, name="model")
app.add_typer(environment_app, name="environment")
app.add_typer(trials_app, name="trials")
app.add_typer(import_app, name="import")
app.add_typer(notify_app, name="notify")
app.command()(check)
app.command()(compare)
app.command()(evaluate)
app.command()(journal)
app.command()(reload)
app.command()(rollout)
app.command()(serve)
app.command()(status)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"gr00t-assets {__version__}")
        raise typer.Exit


@app.callback()
def gr00t_assets(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit"
        ),
    ] = False,
) -> None:
    """Fine-tune GR00T on LeRobot demonstrations."""
    tell_on_stderr()


@app.command()
def train(
    target: Annotated[
        str,
        typer.Argument(
            help="An experiment, a run directory or a spec.json", autocompletion=experiments
        ),
    ],
) -> None:
    """Train by hand in slots of this machine; goes on where an earlier attempt stopped."""
    raise typer.Exit(train_by_hand(asked_spec(target)))


@app.command()
def dev(
    port: Annotated[
        int, typer.Option("--port", "-p", min=1, max=65535, help="Of 127.0.0.1")
    ] = 3000,
) -> None:
    """Serve the page on this machine alone, with the daemon that works off the queue."""
    from gr00t_assets.defs.page import serve as serve_page

    serve_page(port)


@app.command()
def page(
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535)] = 3000,
    workspace: Annotated[
        str, typer.Option("--workspace", "-w", help="Says where the code server listens")
    ] = "deploy/workspace.yaml",
) -> None:
    """Serve the page alone, where daemon and code server are services of their own."""
    from gr00t_assets.defs.page import serve

    serve(port, host, workspace)


def main() -> None:
    """Entry point: errors that a person can mend end with one message and exit code 1."""
    escape_output()
    try:
        with system_errors_explained():
            app()
    except Gr00tAssetsError as error:
        sys.stderr.write(error.explain() + "\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
