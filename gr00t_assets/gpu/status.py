"""What this machine's devices are doing: slots, their holders, memory, foreign processes."""

import os

from pydantic import Field

from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.processes import host_name
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import CPU, GpuProcess, read_gpus, slots_by_device
from gr00t_assets.gpu.memory import read_headrooms
from gr00t_assets.gpu.slot_files import Holder, holders
from gr00t_assets.gpu.wait_queue import Waiter, waiting


class DeviceStatus(FrozenModel):
    """One device and who is on it."""

    name: str = Field(description="As CUDA_VISIBLE_DEVICES takes it, or cpu")
    model: str | None = Field(description="NVIDIA H200; None where the driver does not know it")
    uuid: str | None
    slots: int = Field(description="0 for a device that is held and no longer configured")
    holders: tuple[Holder, ...]
    total_bytes: int | None
    used_bytes: int | None
    foreign_bytes: int = Field(description="Held by processes that no slot belongs to")
    foreign_processes: tuple[GpuProcess, ...]
    utilisation_percent: int | None


class MachineStatus(FrozenModel):
    """Every device of this machine, and who waits for a slot."""

    host: str
    devices: tuple[DeviceStatus, ...]
    waiting: tuple[Waiter, ...]

    @property
    def slots(self) -> int:
        """Slots of all devices: the trainings that run at a time."""
        return sum(device.slots for device in self.devices)


def machine_status(store: Store | None = None) -> MachineStatus:
    """Look at the machine and a store's slots, the project's where it is left out; only reads.

    Raises:
        TrainingError: ``GR00T_ASSETS_GPUS`` or ``GR00T_ASSETS_CPU_SLOTS`` cannot be read.
    """
    configured, taken = slots_by_device(), holders(store)
    names = list(dict.fromkeys([*configured, *(holder.device for holder in taken)]))
    listed = read_gpus() if names != [CPU] else []
    gpus = {key: gpu for gpu in listed for key in (gpu.name, gpu.uuid)}
    headrooms = read_headrooms(names, taken, listed)
    devices = []
    for name in names:
        gpu, headroom = gpus.get(name), headrooms[name]
        model = f"{os.cpu_count()} cores" if name == CPU else gpu.model if gpu else None
        status = DeviceStatus(
            name=name,
            model=model,
            uuid=gpu.uuid if gpu else None,
            slots=configured.get(name, 0),
            holders=tuple(holder for holder in taken if holder.device == name),
            total_bytes=headroom.total,
            used_bytes=gpu.used_bytes if gpu else None,
            foreign_bytes=headroom.foreign,
            foreign_processes=headroom.processes,
            utilisation_percent=gpu.utilisation_percent if gpu else None,
        )
        devices.append(status)
    return MachineStatus(host=host_name(), devices=tuple(devices), waiting=tuple(waiting(store)))
