"""GPU slots: the right to train on one device, held by the kernel for as long as somebody trains.

A slot is an exclusive ``flock`` on its file. The guard and the training process inherit the open
file, so the slot is free at the moment when the last of them is dead, whatever killed the others,
and not before. See flock(2).
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from pydantic import Field

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.locks import REMIND_EVERY, Every, Log, free_lock
from gr00t_assets.core.processes import host_name, is_locked, lock_file, start_time
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import CPU, GPUS, Gpu, GpuProcess, gpus_by_name, slots_by_device
from gr00t_assets.gpu.guard import new_process_tag
from gr00t_assets.gpu.slot_files import (
    Holder,
    end_orphans,
    holders,
    require_openable,
    slot_file,
    slots_folder,
)
from gr00t_assets.gpu.wait_queue import (
    MemoryHeadroom,
    Ticket,
    Waiter,
    allot_slots,
    queue_locked,
    read_headroom,
    waiting,
)

_POLL = 0.5
_FREE_EVERY = 2.0
_READ_MEMORY_EVERY = 5.0


@dataclass(frozen=True)
class Lease:
    """One slot on each of one or more devices, held by open files."""

    devices: tuple[str, ...]  # Index or UUID of each GPU, or ``cpu``
    descriptors: tuple[int, ...]  # The open lock files, for ``Popen(pass_fds=...)``
    holders: tuple[Holder, ...]  # What the files say, in the same order
    process_tag: str

    def environment(self) -> dict[str, str]:
        """Variables that show a process these devices and no other; no GPU to a CPU's lease."""
        if self.devices == (CPU,):
            return {"CUDA_VISIBLE_DEVICES": ""}
        order = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.devices), "CUDA_DEVICE_ORDER": order}

    def record(self, process: int) -> None:
        """Write that the training runs under ``process``, for those who wait."""
        changes = {"pid": process, "pid_started": start_time(process)}
        for descriptor, holder in zip(self.descriptors, self.holders, strict=True):
            holder.model_copy(update=changes).write(descriptor)


@contextmanager
def acquire(
    wanted: int = 1,
    store: Store | None = None,
    what: str = "",
    log: Log = lambda line: None,
    *,
    vram_bytes: int | None = None,
    run_id: str | None = None,
    priority: int = 0,
    check: Callable[[], object] = lambda: None,
) -> Iterator[Lease]:
    """Wait for slots on ``wanted`` different devices and hold them for the block.

    All are taken or none, so that two who want several cannot wait for each other. Of one priority
    who came first is served first, so that one who wants several is not passed by for ever.
    ``what`` is who asks: an experiment's name. While it waits ``log`` gets a line every ten
    seconds, and what ``check`` raises ends the waiting. A device with less than ``vram_bytes`` of
    free memory is passed over; not on a CPU, and where the driver does not answer.

    Raises:
        TrainingError: This machine has fewer devices, or smaller ones, than are wanted.
    """
    waiter = Waiter.of_this_process(
        priority=priority,
        experiment=what or "training",
        run_id=run_id,
        wanted=wanted,
        vram_bytes=vram_bytes,
        devices=slots_by_device(),
    )
    gpus = len(waiter.devices) if CPU not in waiter.devices else 0
    if wanted > max(gpus, 1):
        problem = f"{wanted} GPUs are wanted and {gpus} are there."
        remedy = f"lower num_gpus in the sweep file, or name the GPUs in {GPUS}"
        raise TrainingError(waiter.experiment, problem, [remedy])
    with ExitStack() as locks:
        yield _Acquisition(store, waiter, log).lease(locks, check)


class _Acquisition:
    """The wait of one process for its slots."""

    def __init__(self, store: Store | None, waiter: Waiter, log: Log) -> None:
        self._store, self._waiter, self._log = store, waiter, log
        self._folder = slots_folder(store)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._memory_due = Every(_READ_MEMORY_EVERY)
        self._remind_due, self._free_due = Every(REMIND_EVERY), Every(_FREE_EVERY)
        self._headrooms: dict[str, MemoryHeadroom] = {}
        self._gpus: dict[str, Gpu] = {}

    def lease(self, locks: ExitStack, check: Callable[[], object]) -> Lease:
        """Wait; the slots are given back when ``locks`` ends."""
        with queue_locked(self._folder):
            ticket = Ticket(self._folder, self._waiter)
        with closing(ticket):
            while True:
                self._read_memory()
                with queue_locked(self._folder):
                    lease = self._try(ticket, locks)
                if lease is not None:
                    return lease
                check()
                taken = holders(self._store)
                self._remind(taken)
                if self._free_due():
                    end_orphans(taken, self._log)
                    for holder in taken:
                        free_lock(slot_file(self._folder, (holder.device, holder.slot)), self._log)
                time.sleep(_POLL)

    def _read_memory(self) -> None:
        """Read the devices' memory now and then; with the queue unlocked, since it takes long."""
        if CPU in self._waiter.devices or not self._memory_due():
            return
        self._gpus, taken = gpus_by_name(), holders(self._store)
        for name in self._waiter.devices:
            self._headrooms[name] = read_headroom(self._gpus.get(name), name, taken)
        _refuse_too_big(self._waiter, self._headrooms)

    def _try(self, ticket: Ticket, locks: ExitStack) -> Lease | None:
        ahead = ticket.ahead()
        slots = {
            (device, number)
            for waiter in [*ahead, ticket.waiter]
            for device, count in waiter.devices.items()
            for number in range(count)
        }
        free = {slot for slot in slots if not is_locked(slot_file(self._folder, slot))}
        chosen = allot_slots(ticket.waiter, ahead, free, self._headrooms)
        if chosen is None:
            return None
        with ExitStack() as taken:
            descriptors = [lock_file(slot_file(self._folder, slot), taken) for slot in chosen]
            locked = tuple(descriptor for descriptor in descriptors if descriptor is not None)
            if len(locked) < len(chosen):
                return None
            locks.push(taken.pop_all())
        tag, waiter = new_process_tag(), self._waiter
        shared = waiter.model_dump(include={"experiment", "run_id", "vram_bytes"})
        shared |= {"starter": waiter.pid, "starter_started": waiter.pid_started}
        records = []
        for descriptor, (device, number) in zip(locked, chosen, strict=True):
            uuid = self._gpus[device].uuid if device in self._gpus else None
            record = Holder.of_this_process(
                device=device, slot=number, uuid=uuid, process_tag=tag, **shared
            )
            record.write(descriptor)
            records.append(record)
        return Lease(tuple(device for device, _ in chosen), locked, tuple(records), tag)

    def _remind(self, taken: Sequence[Holder]) -> None:
        if not self._remind_due():
            return
        require_openable(self._folder)
        waiter = self._waiter
        line = f"{waiter.experiment}: waiting for {waiter.wanted} of {sum(waiter.devices.values())}"
        line += f" slots since {waiter.since}"
        if taken:
            files = [slot_file(self._folder, (holder.device, holder.slot)) for holder in taken]
            line += f"; held by {'; '.join(map(Holder.with_remedy, taken, files))}"
        others = [other for other in waiting(self._store) if other.pid != waiter.pid]
        if others:
            line += f"; also waiting: {', '.join(other.experiment for other in others)}"
        self._log(line)
        for device, headroom in self._headrooms.items():
            if waiter.vram_bytes and not headroom.fits(waiter.vram_bytes):
                self._log(headroom.shortage(device, waiter.vram_bytes))


def _refuse_too_big(waiter: Waiter, headrooms: Mapping[str, MemoryHeadroom]) -> None:
    needed = waiter.vram_bytes or 0
    sizes = [headrooms.get(device, MemoryHeadroom()).total for device in waiter.devices]
    if sum(size is None or size >= needed for size in sizes) >= waiter.wanted:
        return
    listed = ", ".join(f"{(size or 0) / 1e9:.1f}" for size in sizes)
    problem = f"{needed / 1e9:.1f} GB of GPU memory are needed on each of {waiter.wanted} devices."
    remedy = "lower vram_gb in the sweep file, with a smaller batch_size where it is true"
    details = [f"this machine's devices have, in GB: {listed}", remedy]
    raise TrainingError(waiter.experiment, problem, details)


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
    gpus = gpus_by_name() if names != [CPU] else {}
    devices = []
    for name in names:
        gpu = gpus.get(name)
        headroom = read_headroom(gpu, name, taken)
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
