"""Whether a device has the memory that a training needs, and who has it where not.

Free is what the driver says less what the trainings in the device's slots have declared and not yet
taken: a training takes its memory minutes after its slot. Memory that no training of these slots
holds belongs to a foreign process.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import psutil

from gr00t_assets.gpu.devices import Gpu, GpuProcess
from gr00t_assets.gpu.slot_files import Holder


@dataclass(frozen=True)
class MemoryHeadroom:
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

    def after(self, vram_bytes: int | None) -> "MemoryHeadroom":
        """The headroom that is left once another training has declared its memory."""
        return replace(self, own=self.own + (vram_bytes or 0))

    def shortage(self, device: str, needed: int) -> str:
        """One line for a device that is passed over."""
        free = max(0, (self.total or 0) - self.foreign - self.own)
        line = (
            f"device {device} is passed over: {_gigabytes(free)} of {_gigabytes(self.total or 0)} "
            f"GB are free, {_gigabytes(needed)} are needed"
        )
        if not self.foreign:
            return line
        unnamed = f"{_gigabytes(self.foreign)} GB that the driver names no process for"
        return f"{line}; not of this queue: {'; '.join(map(str, self.processes)) or unnamed}"


def read_headrooms(
    names: Collection[str], holders: Sequence[Holder], gpus: Sequence[Gpu]
) -> dict[str, MemoryHeadroom]:
    """The headroom of each device by its name, as ``CUDA_VISIBLE_DEVICES`` takes it."""
    by_name = {key: gpu for gpu in gpus for key in (gpu.name, gpu.uuid)}
    return {
        name: _headroom(by_name.get(name), [item for item in holders if item.device == name])
        for name in names
    }


def _headroom(gpu: Gpu | None, holders: Sequence[Holder]) -> MemoryHeadroom:
    if gpu is None:
        return MemoryHeadroom()
    declared = [holder.vram_bytes or 0 for holder in holders]
    if gpu.is_mig:
        return MemoryHeadroom(gpu.total_bytes, own=sum(declared))
    if gpu.total_bytes is None or gpu.used_bytes is None:
        return MemoryHeadroom()
    foreign_processes: list[GpuProcess] = []
    taken = [0] * len(holders)
    for process in gpu.processes:
        owner = _owner(process, holders)
        if owner is None:
            foreign_processes.append(process)
        else:
            taken[owner] += process.used_bytes or 0
    foreign = sum(process.used_bytes or 0 for process in foreign_processes)
    unnamed = max(0, gpu.used_bytes - foreign - sum(taken))
    own = sum(max(bytes_, used) for bytes_, used in zip(declared, taken, strict=True) if used)
    if all(taken):
        foreign += unnamed
    else:
        # A training that the driver names no process for, as from inside a container, has taken
        # the memory that nobody else is named for.
        not_taken = sum(bytes_ for bytes_, used in zip(declared, taken, strict=True) if not used)
        own += max(not_taken, unnamed)
    return MemoryHeadroom(gpu.total_bytes, foreign, own, tuple(foreign_processes))


def _owner(process: GpuProcess, holders: Sequence[Holder]) -> int | None:
    """Which holder's guard a process runs under."""
    try:
        parents = psutil.Process(process.pid).parents()
    except psutil.Error:
        parents = []
    ancestry = {process.pid, *(parent.pid for parent in parents)}
    owners = (n for n, holder in enumerate(holders) if {holder.pid, holder.starter} & ancestry)
    return next(owners, None)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f}"
