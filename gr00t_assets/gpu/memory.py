"""Whether a device has the memory that a training needs, and who has it where not.

Free is what ``nvidia-smi`` says less what the trainings in the device's slots have declared and not
yet taken: a training takes its memory minutes after its slot. What no training of these slots holds
is a foreign process's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.gpu.nvidia_smi import (
    GpuProcess,
    Listed,
    Memory,
    list_devices,
    read_memory,
    read_processes,
)
from gr00t_assets.gpu.records import Holder


@dataclass(frozen=True)
class Room:
    """Memory of one device in bytes.

    Attributes:
        total: All of it; None where it is not known, and then nothing is checked.
        foreign: Held by processes that no slot of the device belongs to.
        own: Held or declared by those that one does.
        processes: The foreign processes that the driver names.
    """

    total: int | None = None
    foreign: int = 0
    own: int = 0
    processes: tuple[GpuProcess, ...] = ()

    def fits(self, needed: int | None) -> bool:
        """Whether so much is free."""
        return self.could_fit(needed, self.own)

    def could_fit(self, needed: int | None, own: int = 0) -> bool:
        """Whether so much would be free if the trainings of the slots held ``own`` bytes."""
        return self.total is None or (needed or 0) + self.foreign + own <= self.total

    def why_not(self, device: str, needed: int) -> str:
        """One line for a device that is passed over."""
        free = max(0, (self.total or 0) - self.foreign - self.own)
        line = (
            f"device {device} is passed over: {_gigabytes(free)} of {_gigabytes(self.total or 0)} "
            f"GB are free, {_gigabytes(needed)} are needed"
        )
        if self.foreign:
            line += f"; not of this queue: {self.strangers()}"
        return line

    def strangers(self) -> str:
        """The foreign processes with their memory."""
        named = [
            f"process {each.pid}{_program(each.pid)}, {_used(each)}" for each in self.processes
        ]
        if not named:
            named = [f"{_gigabytes(self.foreign)} GB that nvidia-smi names no process for"]
        return "; ".join(named)


def read_rooms(names: Collection[str], holders: Sequence[Holder]) -> dict[str, Room]:
    """The room on each device by its name, from one look at the machine.

    Args:
        names: Devices as ``CUDA_VISIBLE_DEVICES`` takes them.
        holders: Who holds slots of this machine now.
    """
    listed = {key: each for each in list_devices() for key in (each.name, each.uuid)}
    memory, processes = read_memory(), read_processes()
    return {
        name: _room(listed[name], [h for h in holders if h.device == name], memory, processes)
        if name in listed
        else Room()
        for name in names
    }


def _room(
    device: Listed,
    holders: Sequence[Holder],
    memory: Mapping[str, Memory],
    processes: Sequence[GpuProcess],
) -> Room:
    if device.mig_bytes is not None:
        # nvidia-smi tells of a whole GPU only; a MIG device's memory is shared with nobody.
        return Room(device.mig_bytes, own=sum(each.vram_bytes or 0 for each in holders))
    found = memory.get(device.gpu, Memory(None, None))
    if found.total is None or found.used is None:
        return Room()
    strangers: list[GpuProcess] = []
    taken = [0] * len(holders)
    for process in processes:
        if process.gpu == device.gpu:
            owner = _owner(process, holders)
            if owner is None:
                strangers.append(process)
            else:
                taken[owner] += process.used or 0
    foreign = sum(each.used or 0 for each in strangers)
    hidden = max(0, found.used - foreign - sum(taken))
    unseen = 0
    own = 0
    for holder, used in zip(holders, taken, strict=True):
        if used:
            own += max(holder.vram_bytes or 0, used)
        else:
            unseen += holder.vram_bytes or 0
    if all(taken):
        foreign += hidden
    else:
        # Seen from a container, or where the driver names no process, it is that of the trainings.
        own += max(unseen, hidden)
    return Room(found.total, foreign, own, tuple(strangers))


def _owner(process: GpuProcess, holders: Sequence[Holder]) -> int | None:
    """Which holder's guard a process runs under."""
    line = _ancestors(process.pid)
    owners = (n for n, each in enumerate(holders) if {each.pid, each.starter} & line)
    return next(owners, None)


def room_after(room: Room, vram_bytes: int | None) -> Room:
    """The room that is left once a training has its place there."""
    return Room(room.total, room.foreign, room.own + (vram_bytes or 0), room.processes)


def _ancestors(process: int) -> set[int]:
    """A process and those above it; the process alone where there is no /proc."""
    line = {process}
    while process > 1:
        try:
            stat = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            break
        process = int(stat.rsplit(")", 1)[1].split()[1])
        line.add(process)
    return line


def _program(process: int) -> str:
    try:
        return f" ({Path(f'/proc/{process}/comm').read_text().strip()})"
    except OSError:
        return ""


def _used(process: GpuProcess) -> str:
    return "memory unknown" if process.used is None else f"{_gigabytes(process.used)} GB"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f}"
