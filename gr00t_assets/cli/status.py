"""``gr00t-assets status``: what waits, what trains, what failed and why, in one screen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from click import ClickException
from rich.console import Console
from rich.text import Text

from gr00t_assets.cli.output import console, plain_table, print_json
from gr00t_assets.cli.progress_table import progress_cells, progress_table
from gr00t_assets.cli.sweep_run import NO_DAEMON
from gr00t_assets.core.errors import PageError
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.text import counted, format_bytes
from gr00t_assets.gpu.slots import machine_status

if TYPE_CHECKING:
    from gr00t_assets.defs.status import EndedRun, ProjectStatus

_LISTED = 8
"""Rows of each part."""


def status(
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON")] = False,
) -> None:
    """Show the queue, the engines, what trains, what failed lately and why, and the disk."""
    from gr00t_assets.defs.queue import project_instance
    from gr00t_assets.defs.status import project_status

    store = Store.from_environment()
    try:
        with project_instance() as instance:
            if instance is None:
                remedy = "start in a clone of gr00t-assets, or set GR00T_ASSETS_ROOT to one"
                raise PageError("dagster.yaml", f"is not in {project_root()}.", [remedy])
            found = project_status(instance, machine_status(store), store)
    except ClickException as error:
        raise PageError(
            "dagster.yaml", "Dagster's database cannot be opened.", [error.message]
        ) from error
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found, console())


def _print(found: "ProjectStatus", out: Console) -> None:
    queue = found.queue
    if not queue.daemon_alive:
        out.print(Text(NO_DAEMON, style="bold red"))
    _heading(out, "engines")
    table = plain_table("engine", "kind", "training", "waiting", "")
    for engine in found.engines:
        slots = f" of {queue.trainings_at_once}" if engine.kind == "local" else ""
        problem = engine.problem or "ok"
        table.add_row(
            engine.name, engine.kind, f"{engine.training}{slots}", str(engine.waiting), problem
        )
    out.print(table)
    _heading(out, f"training: {len(found.training)}")
    if found.training:
        table = progress_table("experiment", "user")
        for item in found.training[:_LISTED]:
            cells = progress_cells(item.progress)
            cells[4:] = [item.engine, cells[5] if item.trains else "waits"]
            table.add_row(item.experiment, item.user or "", *cells)
        out.print(table)
        _more(out, found.training)
    _heading(out, f"waiting in the queue: {len(queue.waiting)}")
    if queue.waiting:
        table = plain_table("experiment", "priority", "why it waits")
        for run in queue.waiting[:_LISTED]:
            table.add_row(run.partition or run.run_id[:8], str(run.priority), run.why)
        out.print(table)
        _more(out, queue.waiting)
    _ended(out, "failed", found.failed)
    _ended(out, "finished", found.finished)
    free, total = format_bytes(found.free_bytes), format_bytes(found.total_bytes)
    out.print(f"\ndisk: {free} free of {total} ({found.store})", soft_wrap=True)


def _ended(out: Console, what: str, runs: "Sequence[EndedRun]") -> None:
    """What failed or finished in the last days, the newest first."""
    _heading(out, f"{what} in the last {counted(_days(), 'day')}: {len(runs)}")
    table = plain_table("run", "when", "")
    for item in runs[:_LISTED]:
        name = item.name if item.made in ("checkpoint", item.name) else f"{item.name} ({item.made})"
        loss = item.progress.loss if item.progress else None
        text = item.reason or ("" if loss is None else f"final loss {loss:.4f}")
        table.add_row(name, f"{item.ended_at[5:16].replace('T', ' ')} UTC", text)
    if runs:
        out.print(table)
        _more(out, runs)


def _heading(out: Console, text: str) -> None:
    out.print(Text(text, style="bold"))


def _more(out: Console, rows: Sequence[object]) -> None:
    if len(rows) > _LISTED:
        out.print(f"and {len(rows) - _LISTED} more: gr00t-assets status --json")


def _days() -> int:
    from gr00t_assets.defs.status import LATELY_DAYS

    return LATELY_DAYS
