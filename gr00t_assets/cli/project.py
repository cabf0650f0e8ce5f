"""Commands of the whole project: its files are held to rules, channels tried, runs imported."""

import threading
from typing import Annotated

import typer

from gr00t_assets.cli.arguments import Json, flag
from gr00t_assets.cli.output import echo, print_json
from gr00t_assets.comparison.tables.wandb_import import import_wandb
from gr00t_assets.core.errors import NotificationError, PageError
from gr00t_assets.core.project import Store, load_notifications
from gr00t_assets.core.text import counted, did_you_mean
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.experiments.project_files import LOG, project_stamp, read_project
from gr00t_assets.reporting.notifier import send


def check(as_json: Json = False) -> None:
    """Hold every file of the project to its rules; exit 1 where one has a fault, for CI."""
    LOG.disabled = True  # What it would tell, one line a fault, is told in full here.
    project = read_project()
    counts = {
        "datasets": len(project.datasets),
        "sweeps": len(project.sweeps),
        "experiments": len(project.experiments),
    }
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
    url: Annotated[str, typer.Option(help="Of the page")] = "http://127.0.0.1:3000",
    watch: Annotated[bool, flag("--watch", "Go on, and do it whenever a file has changed")] = False,
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


notify_app = typer.Typer(help="Messages about trainings.", no_args_is_help=True)

FILE = "data/notifications.yaml"


@notify_app.callback()
def notify() -> None:
    """Messages about trainings, over the channels of data/notifications.yaml."""


@notify_app.command("test")
def send_test(
    channel: Annotated[str | None, typer.Argument(help="One of the file; all by default")] = None,
) -> None:
    """Send a test message and say what came of it; exit code 1 where one was not taken."""
    settings = load_notifications()
    if settings is None:
        remedy = "write it: channels: {lab: {url: {env: LAB_URL}}}, see docs/notifications.md"
        raise NotificationError(FILE, "this file is not there.", [remedy])
    if channel is not None and channel not in settings.channels:
        remedy = did_you_mean(channel, settings.channels)
        raise NotificationError(channel, f"{FILE} has no channel of this name.", [remedy])
    problems = settings.unknown_sweeps(read_project().sweeps)
    for name in [channel] if channel else settings.channels:
        body = f"Channel {name} works. It is told of: {', '.join(settings.channels[name].on)}."
        problem = send(settings.channels[name].url, "gr00t-assets: a test", body)
        if problem:
            problems.append(f"{name}: not taken: {problem}")
        else:
            echo(f"{name}: taken")
    for problem in problems:
        echo(problem, err=True)
    raise typer.Exit(bool(problems))


import_app = typer.Typer(help="Runs that were made elsewhere.", no_args_is_help=True)


@import_app.command("wandb")
def import_from_wandb(
    project: Annotated[str, typer.Argument(help="ENTITY/PROJECT", metavar="ENTITY/PROJECT")],
    tag: Annotated[str | None, typer.Option(help="Only runs with this tag: gr00t-overfit")] = None,
) -> None:
    """Read the runs of a W&B project into the store; a former import of it is replaced.

    The key is that of WANDB_API_KEY or of 'wandb login', the server that of WANDB_BASE_URL.
    """
    file, runs = import_wandb(project, Store.from_environment(), tag, echo)
    echo(f"imported: {counted(len(runs), 'run')}, {file}")
    echo("compare them: gr00t-assets compare --imported")
