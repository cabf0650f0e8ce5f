"""``gr00t-assets status`` and ``gpu status``: what waits, trains and failed, and the devices."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gr00t_assets.cli.arguments import Json
from gr00t_assets.cli.output import console, plain_table, print_json
from gr00t_assets.core.errors import PageError
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted, duration, format_bytes
from gr00t_assets.gpu.slot_files import UNKNOWN
from gr00t_assets.gpu.slots import DeviceStatus, MachineStatus, machine_status
from gr00t_assets.runs.progress import Progress

if TYPE_CHECKING:
    from gr00t_assets.defs.queue import QueueStatus
    from gr00t_assets.defs.status import EndedRun, ProjectStatus
    from gr00t_assets.defs.sweep_runs import ExperimentState

gpu_app = typer.Typer(help="The devices of this machine and the queue for them.")

_LISTED, _LISTED_RUNS = 8, 20  # Rows of each part of the status, and runs in the queue


def status(as_json: Json = False) -> None:
    """Show the queue, the engines, what trains, what failed lately and why, and the disk."""
    from gr00t_assets.defs.queue import project_instance
    from gr00t_assets.defs.status import project_status

    store = Store.from_environment()
    with project_instance() as instance:
        report = project_status(instance, machine_status(store), store)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _print(report, console())


def _print(report: "ProjectStatus", out: Console) -> None:
    from gr00t_assets.defs.queue import NO_DAEMON
    from gr00t_assets.defs.status import LATELY_DAYS

    queue = report.queue
    if not queue.daemon_alive:
        out.print(Text(NO_DAEMON, style="bold red"))
    out.print(Text("engines", style="bold"))
    table = plain_table("engine", "kind", "training", "waiting", "")
    for engine in report.engines:
        slots = f" of {queue.trainings_at_once}" if engine.kind == "local" else ""
        counts = (f"{engine.training}{slots}", str(engine.waiting))
        table.add_row(engine.name, engine.kind, *counts, engine.problem or "ok")
    out.print(table)
    rows = []
    for item in report.training:
        *cells, _, node = progress_cells(item.progress)
        where = (item.engine, node if item.trains else "waits")
        rows.append((item.experiment, item.user or "", *cells, *where))
    _print_part(out, "training", progress_table("experiment", "user"), rows)
    rows = [(run.partition or run.run_id[:8], str(run.priority), run.why) for run in queue.waiting]
    table = plain_table("experiment", "priority", "why it waits")
    _print_part(out, "waiting in the queue", table, rows)
    for what, runs in (("failed", report.failed), ("finished", report.finished)):
        title = f"{what} in the last {counted(LATELY_DAYS, 'day')}"
        _print_part(out, title, plain_table("run", "when", ""), [_ended(run) for run in runs])
    free, total = format_bytes(report.free_bytes), format_bytes(report.total_bytes)
    out.print(f"\ndisk: {free} free of {total} ({report.store})", soft_wrap=True)


def _print_part(out: Console, title: str, table: Table, rows: Sequence[Sequence[str]]) -> None:
    """How many rows there are, and the first of them in a table."""
    out.print(Text(f"{title}: {len(rows)}", style="bold"))
    for row in rows[:_LISTED]:
        table.add_row(*row)
    if rows:
        out.print(table)
    if len(rows) > _LISTED:
        out.print(f"and {len(rows) - _LISTED} more: gr00t-assets status --json")


def _ended(run: "EndedRun") -> tuple[str, str, str]:
    name = run.name if run.made in ("checkpoint", run.name) else f"{run.name} ({run.made})"
    loss = run.progress.loss if run.progress else None
    text = run.reason or ("" if loss is None else f"final loss {loss:.4f}")
    return name, f"{run.ended_at[5:16].replace('T', ' ')} UTC", text


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


@gpu_app.command("status")
def gpu_status(as_json: Json = False) -> None:
    """Show devices, slots, who holds them since when, memory in use, and what is waiting."""
    from gr00t_assets.defs.queue import project_instance, queue_status

    machine = machine_status()
    queue, unknown = None, ""
    try:
        with project_instance() as instance:
            queue = queue_status(instance, machine)
    except PageError as error:
        unknown = str(error)
    if as_json:
        report = {"machine": machine, "queue": queue}
        print_json({name: item and item.model_dump(mode="json") for name, item in report.items()})
    else:
        _print_devices(machine, queue, unknown)


def _print_devices(machine: MachineStatus, queue: "QueueStatus | None", unknown: str) -> None:
    out = console()
    out.print(_slots_table(machine))
    for device in machine.devices:
        for process in device.foreign_processes:
            used = _gigabytes(process.used_bytes)
            out.print(f"device {device.name}: process {process.pid} of no slot holds {used}")
    in_queue = {run.run_id for run in queue.waiting} if queue else set()
    for waiter in machine.waiting:
        if waiter.run_id not in in_queue:
            since, slots = waiter.since or UNKNOWN, counted(waiter.wanted, "slot")
            out.print(f"{waiter.experiment} waits for {slots} since {since}")
    if queue is None:
        out.print(f"the queue is not known: {unknown}", soft_wrap=True)
        return
    if queue.waiting:
        table = Table("experiment", "priority", "queued", "why it waits", "run")
        for run in queue.waiting[:_LISTED_RUNS]:
            queued = datetime.fromtimestamp(run.queued_at, UTC).isoformat(timespec="seconds")
            name = run.partition or UNKNOWN
            table.add_row(name, str(run.priority), queued, run.why, run.run_id[:8])
        if (more := len(queue.waiting) - _LISTED_RUNS) > 0:
            table.add_row(f"and {more} more", "", "", "", "")
        out.print(table)
    out.print(
        f"{len(queue.waiting)} waiting in the queue; {queue.training} of "
        f"{counted(queue.trainings_at_once, 'training')} at once"
    )
    if queue.old_pool_limit is not None:
        out.print(
            f"dagster.yaml still has concurrency.pools.default_limit: {queue.old_pool_limit}. It "
            "holds back the queue alone; remove it, and say with GR00T_ASSETS_GPUS or "
            "GR00T_ASSETS_CPU_SLOTS how many train at once"
        )


def _slots_table(machine: MachineStatus) -> Table:
    table = Table("device", "memory used", "busy", "slot", "experiment", "since", "process")
    for device in machine.devices:
        percent = device.utilisation_percent
        name = "\n".join(filter(None, (device.name, device.model, device.uuid)))
        head = [name, _memory(device), "" if percent is None else f"{percent} %"]
        holders = {holder.slot: holder for holder in device.holders}
        for slot in sorted({*range(device.slots), *holders}):
            cells = ["free", "", ""]
            if holder := holders.get(slot):
                cells = [holder.experiment, holder.since or UNKNOWN, str(holder.pid or UNKNOWN)]
            table.add_row(*head, str(slot), *cells)
            head = ["", "", ""]
    return table


def _memory(device: DeviceStatus) -> str:
    if device.total_bytes is None:
        return UNKNOWN if device.uuid else ""
    return f"{_gigabytes(device.used_bytes)} of {_gigabytes(device.total_bytes)}"


def _gigabytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e9:.1f} GB"
