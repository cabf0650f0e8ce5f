"""``gr00t-assets check`` and ``reload``: the project's files, held to their rules and loaded."""

import threading
from typing import Annotated

import typer

from gr00t_assets.cli.output import echo, print_json
from gr00t_assets.core.errors import PageError
from gr00t_assets.core.text import counted
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.experiments.project_files import LOG, project_stamp, read_project


def check(
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON")] = False,
) -> None:
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
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on, and do it whenever a file has changed")
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
