"""``gr00t-assets gpu``: the devices of this machine, who trains on them, and what waits."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from click import ClickException
from rich.table import Table

from gr00t_assets.cli.output import console, print_json
from gr00t_assets.core.text import counted
from gr00t_assets.gpu.slot_files import UNKNOWN
from gr00t_assets.gpu.slots import DeviceStatus, MachineStatus, machine_status

if TYPE_CHECKING:
    from gr00t_assets.defs.queue import QueueStatus

gpu_app = typer.Typer(help="The devices of this machine and the queue for them.")

_LISTED_RUNS = 20


@gpu_app.command("status")
def gpu_status(
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON")] = False,
) -> None:
    """Show devices, slots, who holds them since when, memory in use, and what is waiting."""
    from gr00t_assets.defs.queue import project_instance, queue_status

    machine = machine_status()
    queue, unknown = None, "no dagster.yaml in the project's folder"
    try:
        with project_instance() as instance:
            queue = queue_status(instance, machine) if instance is not None else None
    except ClickException as error:
        unknown = error.message
    if as_json:
        found = {"machine": machine, "queue": queue}
        print_json({name: item and item.model_dump(mode="json") for name, item in found.items()})
    else:
        _print_status(machine, queue, unknown)


def _print_status(machine: MachineStatus, queue: "QueueStatus | None", unknown: str) -> None:
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
        out.print(_queue_table(queue))
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


def _queue_table(queue: "QueueStatus") -> Table:
    table = Table("experiment", "priority", "queued", "why it waits", "run")
    for run in queue.waiting[:_LISTED_RUNS]:
        queued = datetime.fromtimestamp(run.queued_at, UTC).isoformat(timespec="seconds")
        cells = (run.partition or UNKNOWN, str(run.priority), queued, run.why, run.run_id[:8])
        table.add_row(*cells)
    if len(queue.waiting) > _LISTED_RUNS:
        table.add_row(f"and {len(queue.waiting) - _LISTED_RUNS} more", "", "", "", "")
    return table


def _memory(device: DeviceStatus) -> str:
    if device.total_bytes is None:
        return UNKNOWN if device.uuid else ""
    return f"{_gigabytes(device.used_bytes)} of {_gigabytes(device.total_bytes)}"


def _gigabytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e9:.1f} GB"
