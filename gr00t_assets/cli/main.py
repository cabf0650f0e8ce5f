"""The console script ``gr00t-assets``, and its commands of the whole project."""

import sys
import threading
from typing import Annotated

import typer

from gr00t_assets import __version__
from gr00t_assets.cli.arguments import Json, argument, experiments, option
from gr00t_assets.cli.compare import compare, journal
from gr00t_assets.cli.dataset import dataset_app
from gr00t_assets.cli.evaluate import environment_app, evaluate, rollout
from gr00t_assets.cli.isaac import isaac_app
from gr00t_assets.cli.model import model_app, serve
from gr00t_assets.cli.output import echo, print_json
from gr00t_assets.cli.status import gpu_app, status
from gr00t_assets.cli.store import store_app
from gr00t_assets.cli.sweep import sweep_app
from gr00t_assets.cli.trials import trials_app
from gr00t_assets.comparison.tables.wandb_import import import_wandb
from gr00t_assets.core.errors import (
    Gr00tAssetsError,
    NotificationError,
    PageError,
    system_errors_explained,
)
from gr00t_assets.core.project import Store, load_notifications
from gr00t_assets.core.text import counted, did_you_mean, escape_output
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.experiments.project_files import LOG, project_stamp, read_project, tell_on_stderr
from gr00t_assets.reporting.notifier import send
from gr00t_assets.runs.model_reference import asked_spec
from gr00t_assets.trainers.process_launcher import train_by_hand

notify_app = typer.Typer(help="Messages about trainings.", no_args_is_help=True)
import_app = typer.Typer(help="Runs that were made elsewhere.", no_args_is_help=True)
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


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"gr00t-assets {__version__}")
        raise typer.Exit


@app.callback()
def gr00t_assets(
    version: Annotated[
        bool,
        option("Print the version and exit", "--version", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Fine-tune GR00T on LeRobot demonstrations."""
    tell_on_stderr()


def check(as_json: Json = False) -> None:
    """Hold every file of the project to its rules; exit 1 where one has a fault, for CI."""
    LOG.disabled = True  # What it would tell, one line a fault, is told in full here.
    project = read_project()
    counts = {name: len(getattr(project, name)) for name in ("datasets", "sweeps", "experiments")}
    if as_json:
        faults = [
            {
                "file": shown_path(fault.file),
                "kind": type(fault.error).__name__,
                "problems": [{"line": line, "text": text} for line, text in fault.error.problems],
            }
            for fault in project.faults
        ]
        print_json({"ok": not faults, **counts, "faults": faults})
    else:
        for fault in project.faults:
            echo(f"{fault.error.explain()}\n")
        usable = ", ".join(counted(count, name[:-1]) for name, count in counts.items())
        broken = counted(len(project.faults), "file") + " with a fault"
        echo(f"{broken if project.faults else 'no file has a fault'}; can be used: {usable}")
    if project.faults:
        raise typer.Exit(1)


def reload(
    url: Annotated[str, option("Of the page")] = "http://127.0.0.1:3000",
    watch: Annotated[
        bool, option("Go on, and do it whenever a file has changed", "--watch")
    ] = False,
) -> None:
    """Have a running page load datasets and sweeps again; `gr00t-assets dev` does it by itself."""
    from gr00t_assets.defs.reload import reload_by_page
    from gr00t_assets.defs.reload import watch as watch_files

    def once() -> None:
        echo(f"loaded again: {', '.join(reload_by_page(url))}")

    loaded = project_stamp()
    if not watch:
        return once()
    try:
        once()
    except PageError as error:
        # A service may be started before the page is.
        echo(error.explain(), err=True)
    watch_files(once, threading.Event(), loaded)


for command in (check, compare, evaluate, journal, reload, rollout, serve, status):
    app.command()(command)


@app.command()
def train(
    target: Annotated[str, argument("An experiment, a run directory or a spec.json", experiments)],
) -> None:
    """Train by hand in slots of this machine; goes on where an earlier attempt stopped."""
    raise typer.Exit(train_by_hand(asked_spec(target)))


@app.command()
def dev(
    port: Annotated[int, option("Of 127.0.0.1", "--port", "-p", min=1, max=65535)] = 3000,
) -> None:
    """Serve the page on this machine alone, with the daemon that works off the queue."""
    from gr00t_assets.defs.page import serve as serve_page

    serve_page(port)


@app.command()
def page(
    host: Annotated[str, option("Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", min=1, max=65535)] = 3000,
    workspace: Annotated[
        str, option("Says where the code server listens", "--workspace", "-w")
    ] = "deploy/workspace.yaml",
) -> None:
    """Serve the page alone, where daemon and code server are services of their own."""
    from gr00t_assets.defs.page import serve

    serve(port, host, workspace)


@notify_app.callback()
def notify() -> None:
    """Messages about trainings, over the channels of data/notifications.yaml."""


@notify_app.command("test")
def send_test(
    channel: Annotated[str | None, argument("One of the file; all by default")] = None,
) -> None:
    """Send a test message and say what came of it; exit code 1 where one was not taken."""
    settings = load_notifications()
    file = "data/notifications.yaml"
    if settings is None:
        remedy = "write it: channels: {lab: {url: {env: LAB_URL}}}, see docs/notifications.md"
        raise NotificationError(file, "this file is not there.", [remedy])
    if channel is not None and channel not in settings.channels:
        remedy = did_you_mean(channel, settings.channels)
        raise NotificationError(channel, f"{file} has no channel of this name.", [remedy])
    problems = settings.unknown_sweeps(read_project().sweeps)
    for name in [channel] if channel else settings.channels:
        body = f"Channel {name} works. It is told of: {', '.join(settings.channels[name].on)}."
        if problem := send(settings.channels[name].url, "gr00t-assets: a test", body):
            problems.append(f"{name}: not taken: {problem}")
        else:
            echo(f"{name}: taken")
    for problem in problems:
        echo(problem, err=True)
    raise typer.Exit(bool(problems))


@import_app.command("wandb")
def import_from_wandb(
    project: Annotated[str, typer.Argument(help="ENTITY/PROJECT", metavar="ENTITY/PROJECT")],
    tag: Annotated[str | None, option("Only runs with this tag: gr00t-overfit")] = None,
) -> None:
    """Read the runs of a W&B project into the store; a former import of it is replaced.

    The key is that of WANDB_API_KEY or of 'wandb login', the server that of WANDB_BASE_URL.
    """
    file, runs = import_wandb(project, Store.from_environment(), tag, echo)
    echo(f"imported: {counted(len(runs), 'run')}, {file}")
    echo("compare them: gr00t-assets compare --imported")


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
