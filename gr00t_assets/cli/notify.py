"""``gr00t-assets notify``: whether the channels of ``data/notifications.yaml`` take a message."""

from typing import Annotated

import typer

from gr00t_assets.cli.output import echo
from gr00t_assets.core.errors import NotificationError
from gr00t_assets.core.project import load_notifications
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.reporting.notifier import send

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
