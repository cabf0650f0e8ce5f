"""``gr00t-assets gpu``: the devices of this machine, who trains on them, and what waits."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from gr00t_assets.defs.queue_status import QueueStatus
    from gr00t_assets.gpu.status import DeviceStatus, MachineStatus


gpu_app = typer.Typer(help="The devices of this machine and the queue for them.")

_SHOWN = 20
_UNKNOWN = "unknown"


@gpu_app.callback()
def _gpu() -> None:
    """Without a callback typer takes the one command for the whole app."""


@gpu_app.command("status")
def gpu_status(
    as_json: Annotated[bool, typer.Option("--json", help="All of it as JSON")] = False,
) -> None:
    """Show devices, slots, who holds them since when, memory in use, and what is waiting."""
    from gr00t_assets.defs.queue_status import project_instance, queue_status
    from gr00t_assets.gpu.status import machine_status

    machine = machine_status()
    with project_instance() as instance:
        queue = queue_status(instance) if instance is not None else None
    if as_json:
        shown = {
            "machine": machine.model_dump(mode="json"),
            "queue": queue.model_dump(mode="json") if queue else None,
        }
        typer.echo(json.dumps(shown, indent=2))
        return
    _print(machine, queue)


def _print(machine: "MachineStatus", queue: "QueueStatus | None") -> None:
    from gr00t_assets.comparison.console import console

    out = console()
    out.print(_slots_table(machine))
    for device in machine.devices:
        for each in device.strangers:
            used = _gigabytes(each.used_bytes)
            out.print(f"device {device.name}: process {each.pid} of no slot holds {used}")
    for waiter in machine.waiting:
        out.print(
            f"{waiter.experiment} waits for {waiter.wanted} slots since {waiter.since or _UNKNOWN}"
        )
    if queue is None:
        out.print("no dagster.yaml in the project's folder: the queue is not known")
        return
    if queue.waiting:
        out.print(_queue_table(queue))
    out.print(
        f"{len(queue.waiting)} waiting in the queue; {queue.training} of "
        f"{queue.trainings_at_once} trainings at once, {machine.slots} slots"
    )
    if queue.trainings_at_once != machine.slots:
        out.print(
            f"the machine has {machine.slots} slots: to use each, set default_limit in dagster.yaml"
            f" to {machine.slots}; it is {queue.trainings_at_once}"
        )


def _slots_table(machine: "MachineStatus") -> "Table":
    from rich.table import Table

    table = Table("device", "memory used", "busy", "slot", "experiment", "since", "process")
    for device in machine.devices:
        head = [_named(device), _memory(device), _percent(device)]
        held = {holder.slot: holder for holder in device.holders}
        for slot in sorted({*range(device.slots), *held}):
            holder = held.get(slot)
            cells = ["free", "", ""]
            if holder is not None:
                cells = [holder.experiment, holder.since or _UNKNOWN, str(holder.pid or _UNKNOWN)]
            table.add_row(*head, str(slot), *cells)
            head = ["", "", ""]
    return table


def _queue_table(queue: "QueueStatus") -> "Table":
    from datetime import UTC, datetime

    from rich.table import Table

    table = Table("experiment", "priority", "queued", "why it waits", "run")
    for run in queue.waiting[:_SHOWN]:
        queued = datetime.fromtimestamp(run.queued_at, UTC).isoformat(timespec="seconds")
        cells = (run.partition or _UNKNOWN, str(run.priority), queued, run.why, run.run_id[:8])
        table.add_row(*cells)
    if len(queue.waiting) > _SHOWN:
        table.add_row(f"and {len(queue.waiting) - _SHOWN} more", "", "", "", "")
    return table


def _named(device: "DeviceStatus") -> str:
    lines = (device.name, device.model, device.uuid)
    return "\n".join(line for line in lines if line)


def _memory(device: "DeviceStatus") -> str:
    if device.total_bytes is None:
        return _UNKNOWN if device.uuid else ""
    return f"{_gigabytes(device.used_bytes)} of {_gigabytes(device.total_bytes)}"


def _percent(device: "DeviceStatus") -> str:
    percent = device.utilisation_percent
    return "" if percent is None else f"{percent} %"


def _gigabytes(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e9:.1f} GB"
