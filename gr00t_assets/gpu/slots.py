"""GPU slots: the right to train on one device, held by the kernel for as long as somebody trains.

A slot is an exclusive ``flock`` on ``<store>/slots/<host>/<device>-<number>.lock``. The guard and
the training process inherit the open file, so the slot is free at the moment when the last of them
is dead, whatever killed the others, and not before. See flock(2). What stands in the file says who
holds it; each machine has a folder of its own, so machines that share a store do not wait for each
other.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.file_locks import is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.gpu.devices import CPU, GPUS, devices, host_name
from gr00t_assets.gpu.line import Slot, Ticket, choose, line_locked, waiters
from gr00t_assets.gpu.marks import new_mark
from gr00t_assets.gpu.memory import Room, read_rooms
from gr00t_assets.gpu.nvidia_smi import list_devices
from gr00t_assets.gpu.orphans import end_orphans
from gr00t_assets.gpu.records import Holder, Waiter, now, write_record
from gr00t_assets.gpu.slot_files import (
    holders,
    holders_in,
    lock_slot,
    slot_file,
    slots_folder,
    waiting,
)

__all__ = ["Lease", "acquire", "holders", "needed_memory", "slots_folder", "waiting"]

_POLL = 0.5
_REMIND = 60.0
_LOOK = 5.0

Log = Callable[[str], object]


@dataclass(frozen=True)
class Lease:
    """One slot on each of one or more devices, held by open files.

    Attributes:
        devices: Index or UUID of each GPU, or ``cpu``.
        descriptors: The open lock files; hand them to ``Popen(pass_fds=...)``.
        holders: What the files say, in the same order.
        mark: What the guard is to mark the training's processes with.
    """

    devices: tuple[str, ...]
    descriptors: tuple[int, ...]
    holders: tuple[Holder, ...]
    mark: str

    def environment(self) -> dict[str, str]:
        """Variables that show a process these devices and no other; no GPU to a CPU's lease."""
        if self.devices == (CPU,):
            return {"CUDA_VISIBLE_DEVICES": ""}
        order = os.environ.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.devices), "CUDA_DEVICE_ORDER": order}

    def record(self, process: int) -> None:
        """Write that the training runs under ``process``, for those who wait and look."""
        for descriptor, holder in zip(self.descriptors, self.holders, strict=True):
            write_record(descriptor, holder.model_copy(update={"pid": process}))


@contextmanager
def acquire(
    wanted: int = 1,
    store: Store | None = None,
    what: str = "",
    log: Log = lambda line: None,
    *,
    vram_bytes: int | None = None,
    run_id: str | None = None,
    check: Callable[[], object] = lambda: None,
) -> Iterator[Lease]:
    """Wait for slots on ``wanted`` devices and hold them for the block.

    All are taken or none, so that two who want several cannot wait for each other. Who came first
    is served first, so that one who wants several is not passed by for ever.

    Args:
        wanted: Number of different devices.
        store: Store that the machine's trainings share; the project's where left out.
        what: Who asks, for the log lines of others: an experiment's name.
        log: Where a line goes when it waits, and once a minute after that.
        vram_bytes: Memory needed on each device; a device with less free is passed over. Not
            checked where left out, on a CPU, and where ``nvidia-smi`` does not answer.
        run_id: Dagster's run, for the record.
        check: Called while it waits; what it raises ends the waiting.

    Raises:
        TrainingError: This machine has fewer devices, or smaller ones, than are wanted.
    """
    waiter = Waiter(
        host=host_name(),
        pid=os.getpid(),
        experiment=what or "training",
        run_id=run_id,
        wanted=wanted,
        vram_bytes=vram_bytes,
        devices=devices(),
        since=now(),
    )
    _refuse_too_many(waiter)
    folder = slots_folder(store)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        yield _Waiting(folder, waiter, log, check).lease(held)


def needed_memory(experiment: Experiment) -> int | None:
    """GPU memory that an experiment needs on each device, in bytes; None where it does not say."""
    return None if experiment.vram_gb is None else round(experiment.vram_gb * 1e9)


class _Waiting:
    """One who wants slots, until it has them."""

    def __init__(self, folder: Path, waiter: Waiter, log: Log, check: Callable[[], object]) -> None:
        self._folder = folder
        self._waiter = waiter
        self._log = log
        self._check = check
        self._reminded: float | None = None
        self._looked = float("-inf")
        self._rooms: dict[str, Room] = {}

    def lease(self, held: ExitStack) -> Lease:
        """Wait; the slots are given back when ``held`` ends."""
        with ExitStack() as turn:
            with line_locked(self._folder):
                ticket = Ticket(self._folder, self._waiter)
                turn.callback(ticket.close)
            while True:
                self._look()
                with line_locked(self._folder):
                    lease = self._try(ticket, held)
                if lease is not None:
                    return lease
                self._check()
                self._remind()
                end_orphans(holders_in(self._folder), self._log)
                time.sleep(_POLL)

    def _look(self) -> None:
        """Read the devices' memory now and then; not with the line locked, since it takes long."""
        if CPU in self._waiter.devices or time.monotonic() - self._looked < _LOOK:
            return
        self._looked = time.monotonic()
        self._rooms = read_rooms(list(self._waiter.devices), holders_in(self._folder))
        _refuse_too_big(self._waiter, self._rooms)

    def _try(self, ticket: Ticket, held: ExitStack) -> Lease | None:
        before = ticket.before()
        slots = {
            (device, number)
            for waiter in [*before, ticket.waiter]
            for device, count in waiter.devices.items()
            for number in range(count)
        }
        free = {slot for slot in slots if not is_locked(slot_file(self._folder, slot))}
        chosen = choose(ticket.waiter, before, free, self._rooms)
        if chosen is None:
            return None
        with ExitStack() as taken:
            descriptors = [lock_slot(slot_file(self._folder, slot), taken) for slot in chosen]
            locked = [descriptor for descriptor in descriptors if descriptor is not None]
            if len(locked) < len(chosen):
                return None
            lease = self._leased(chosen, locked)
            held.push(taken.pop_all())
        return lease

    def _leased(self, slots: list[Slot], descriptors: list[int]) -> Lease:
        mark, waiter = new_mark(), self._waiter
        uuids = {} if (CPU, 0) in slots else {each.name: each.uuid for each in list_devices()}
        held = tuple(
            Holder(
                device=device,
                slot=number,
                uuid=uuids.get(device),
                host=waiter.host,
                pid=waiter.pid,
                starter=waiter.pid,
                experiment=waiter.experiment,
                run_id=waiter.run_id,
                mark=mark,
                vram_bytes=waiter.vram_bytes,
                since=now(),
            )
            for device, number in slots
        )
        for descriptor, holder in zip(descriptors, held, strict=True):
            write_record(descriptor, holder)
        return Lease(tuple(device for device, _ in slots), tuple(descriptors), held, mark)

    def _remind(self) -> None:
        moment = time.monotonic()
        if self._reminded is not None and moment - self._reminded < _REMIND:
            return
        self._reminded = moment
        waiter, taken = self._waiter, holders_in(self._folder)
        line = f"waiting for {waiter.wanted} of {sum(waiter.devices.values())} slots"
        if taken:
            line += "; held by " + "; ".join(f"{each.name}: {each.sentence()}" for each in taken)
        ahead = [each for each in waiters(self._folder) if each.pid != waiter.pid]
        if ahead:
            line += "; also waiting: " + ", ".join(each.experiment for each in ahead)
        self._log(line)
        for device, room in self._rooms.items():
            if waiter.vram_bytes and not room.fits(waiter.vram_bytes):
                self._log(room.why_not(device, waiter.vram_bytes))


def _refuse_too_many(waiter: Waiter) -> None:
    gpus = len(waiter.devices) if CPU not in waiter.devices else 0
    if waiter.wanted > max(gpus, 1):
        raise TrainingError(
            waiter.experiment,
            f"{waiter.wanted} GPUs are wanted and {gpus} are there.",
            [f"lower num_gpus in the sweep file, or name the GPUs in {GPUS}"],
        )


def _refuse_too_big(waiter: Waiter, rooms: dict[str, Room]) -> None:
    needed = waiter.vram_bytes or 0
    sizes = [rooms.get(device, Room()).total for device in waiter.devices]
    if sum(size is None or size >= needed for size in sizes) >= waiter.wanted:
        return
    there = ", ".join(f"{(size or 0) / 1e9:.1f}" for size in sizes)
    raise TrainingError(
        waiter.experiment,
        f"{needed / 1e9:.1f} GB of GPU memory are needed on each of {waiter.wanted} devices.",
        [
            f"this machine's devices have, in GB: {there}",
            "lower vram_gb in the sweep file, with a smaller batch_size where it is true",
        ],
    )
