"""What this machine's devices are doing: slots, who holds them since when, memory, strangers."""

import os
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import CPU, devices, host_name
from gr00t_assets.gpu.memory import Room, read_rooms
from gr00t_assets.gpu.nvidia_smi import (
    Listed,
    list_devices,
    read_memory,
    read_utilisation,
)
from gr00t_assets.gpu.records import Holder, Waiter
from gr00t_assets.gpu.slots import holders, waiting


class Stranger(BaseModel):
    """A process on a GPU that holds no slot of this store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int
    used_bytes: int | None = Field(description="None where the driver does not tell")


class DeviceStatus(BaseModel):
    """One device and who is on it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="As CUDA_VISIBLE_DEVICES takes it, or cpu")
    model: str | None = Field(description="NVIDIA H200; None where nvidia-smi does not know it")
    uuid: str | None
    slots: int = Field(description="0 for a device that is held and no longer configured")
    holders: tuple[Holder, ...]
    total_bytes: int | None
    used_bytes: int | None
    foreign_bytes: int = Field(description="Held by processes that no slot belongs to")
    strangers: tuple[Stranger, ...]
    utilisation_percent: int | None


class MachineStatus(BaseModel):
    """Every device of this machine, and who stands in line for a slot."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    devices: tuple[DeviceStatus, ...]
    waiting: tuple[Waiter, ...]

    @property
    def slots(self) -> int:
        """Slots of all devices: the trainings at a time that the machine has room for."""
        return sum(device.slots for device in self.devices)


def machine_status(store: Store | None = None) -> MachineStatus:
    """Look at the machine; nothing is waited for and nobody is hindered.

    Args:
        store: Store whose slots are looked at; the project's where left out.

    Raises:
        TrainingError: ``GR00T_ASSETS_GPUS`` or ``GR00T_ASSETS_CPU_SLOTS`` cannot be read.
    """
    configured = devices()
    held = holders(store)
    names = list(dict.fromkeys([*configured, *(holder.device for holder in held)]))
    gpus = [name for name in names if name != CPU]
    listed = {key: each for each in list_devices() for key in (each.name, each.uuid)}
    memory = read_memory() if gpus else {}
    busy = read_utilisation() if gpus else {}
    rooms = read_rooms(gpus, held) if gpus else {}
    found = []
    for name in names:
        gpu = listed.get(name)
        used = memory[gpu.gpu].used if gpu and gpu.gpu in memory else None
        own = [holder for holder in held if holder.device == name]
        room = rooms.get(name, Room())
        percent = busy.get(gpu.gpu) if gpu else None
        found.append(_device(name, gpu, configured.get(name, 0), own, room, used, percent))
    return MachineStatus(host=host_name(), devices=tuple(found), waiting=tuple(waiting(store)))


def _device(
    name: str,
    gpu: Listed | None,
    slots: int,
    held: Sequence[Holder],
    room: Room,
    used: int | None,
    percent: int | None,
) -> DeviceStatus:
    whole = gpu is not None and gpu.mig_bytes is None
    model = f"{os.cpu_count()} cores" if name == CPU else gpu.model if gpu else None
    return DeviceStatus(
        name=name,
        model=model,
        uuid=gpu.uuid if gpu else None,
        slots=slots,
        holders=tuple(held),
        total_bytes=room.total,
        used_bytes=used if whole else None,
        foreign_bytes=room.foreign,
        strangers=tuple(Stranger(pid=each.pid, used_bytes=each.used) for each in room.processes),
        utilisation_percent=percent if whole else None,
    )
