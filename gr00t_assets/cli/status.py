"""``gr00t-assets status``: what waits, what trains, what failed and why, in one screen."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from click import ClickException
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gr00t_assets.cli.output import console, plain_table, print_json
from gr00t_assets.core.errors import PageError
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.core.text import counted, duration, format_bytes
from gr00t_assets.gpu.slots import machine_status
from gr00t_assets.runs.progress import Progress

if TYPE_CHECKING:
    from gr00t_assets.defs.status import EndedRun, ProjectStatus
    from gr00t_assets.defs.sweep_runs import ExperimentState

NO_DAEMON = "no daemon takes runs from the queue: start it with `make dev`"

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
        counts = (f"{engine.training}{slots}", str(engine.waiting))
        table.add_row(engine.name, engine.kind, *counts, engine.problem or "ok")
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
        rows = ((x.partition or x.run_id[:8], str(x.priority), x.why) for x in queue.waiting)
        out.print(plain_table("experiment", "priority", "why it waits", rows=islice(rows, _LISTED)))
        _more(out, queue.waiting)
    _ended(out, "failed", found.failed)
    _ended(out, "finished", found.finished)
    free, total = format_bytes(found.free_bytes), format_bytes(found.total_bytes)
    out.print(f"\ndisk: {free} free of {total} ({found.store})", soft_wrap=True)


def _ended(out: Console, what: str, runs: "Sequence[EndedRun]") -> None:
    """What failed or finished in the last days, the newest first."""
    from gr00t_assets.defs.status import LATELY_DAYS

    _heading(out, f"{what} in the last {counted(LATELY_DAYS, 'day')}: {len(runs)}")
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


PROGRESS_HEAD = ("step", "loss", "samples/s", "left", "engine", "node")
"""Columns of ``progress_cells``."""

_ORDER = ("training", "failed", "waiting", "starting", "queued", "pruned", "finished")


def progress_cells(progress: Progress | None) -> list[str]:
    """Step n of N, loss, samples/s, time left, engine and node; empty what is not known.

    Examples:
        >>> progress_cells(None)
        ['', '', '', '', '', '']
    """
    if progress is None:
        return [""] * len(PROGRESS_HEAD)
    loss, speed, left = progress.loss, progress.samples_per_second, progress.eta_seconds
    return [
        f"{progress.step:,} of {progress.steps:,}",
        "" if loss is None else f"{loss:.4f}",
        "" if speed is None else f"{speed:.3g}",
        duration(left) if left else "",
        progress.engine,
        progress.node or "",
    ]


def progress_line(progress: Progress | None) -> str:
    """The same in a line of a log.

    Examples:
        >>> progress_line(None)
        'nothing logged yet'
    """
    if progress is None or not progress.step:
        return "nothing logged yet"
    step, loss, speed, left, engine, node = progress_cells(progress)
    parts = [f"step {step} ({progress.percent:.0f} %)", loss and f"loss {loss}"]
    parts += [speed and f"{speed} samples/s", left and f"{left} left"]
    return ", ".join(filter(None, [*parts, f"{engine} on {node}" if node else engine]))


def progress_table(*before: str) -> Table:
    """A table for ``progress_cells`` with columns before them; a row is a line."""
    table = plain_table(*before, *PROGRESS_HEAD)
    for column in table.columns:
        column.no_wrap = True
        column.justify = "right" if column.header in PROGRESS_HEAD[:4] else "left"
    # Rich makes narrower what may wrap; names have no space to wrap at, so they lose their ends.
    table.columns[0].no_wrap = table.columns[-1].no_wrap = False
    table.columns[0].min_width = 12
    return table


def states_table(states: "Sequence[ExperimentState]", most: int) -> Table:
    """A row for each experiment; of more than ``most`` those that train come first."""
    shown = states
    if len(states) > most:
        shown = sorted(states, key=lambda item: _ORDER.index(item.state))[:most]
    table = progress_table("experiment", "state")
    for item in shown:
        table.add_row(item.experiment, item.state, *progress_cells(item.progress))
    if len(shown) < len(states):
        table.add_row(f"and {len(states) - len(shown)} more")
    return table
