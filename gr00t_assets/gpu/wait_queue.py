"""Who may take which slots: a higher priority first, then in the order of arrival, where it fits.

A ticket is a file that its owner holds locked for as long as it waits. The ticket of a killed
waiter counts no longer, and the next waiter removes it. Whoever changes the queue or takes a slot
holds the queue's own lock, for milliseconds.

Free memory is what the driver says less what the trainings in the device's slots have declared and
not yet taken: a training takes its memory minutes after its slot. Memory that no training of these
slots holds belongs to a foreign process.
"""

import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from pydantic import Field

from gr00t_assets.core.locks import LockRecord
from gr00t_assets.core.processes import is_locked, open_lock, try_lock
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import Gpu, GpuProcess
from gr00t_assets.gpu.slot_files import Holder, Slot, slots_folder

SKIP_AFTER = 60.0
"""Waiters that have not polled for so many seconds, as when suspended, are skipped."""

LOCK_TIMEOUT = 5.0
"""Seconds after which a suspended process that holds the queue's lock is waited for no longer."""

_POLL = 0.01
_LOCK = "line.lock"
_TICKETS = "waiting"


class Waiter(LockRecord):
    """Who waits for slots, as its ticket says."""

    vram_bytes: int | None = Field(default=None, description="Needed on each device, in bytes")
    number: int = Field(default=0, description="Order of arrival")
    priority: int = Field(default=0, description="A higher one is served first")
    wanted: int = Field(default=1, description="Different devices")
    devices: dict[str, int] = Field(default_factory=dict, description="Slots of each it may have")

    @property
    def place(self) -> tuple[int, int]:
        """Sorts waiters in the order in which they are served."""
        return -self.priority, self.number


@contextmanager
def queue_locked(folder: Path) -> Iterator[None]:
    """Be the only process that changes the queue or takes slots in ``folder``.

    A process that was suspended while it held the lock is waited for ``LOCK_TIMEOUT`` seconds.
    Without the lock the order may suffer; a slot is given once all the same, by its own lock.
    """
    descriptor = open_lock(folder / _LOCK)
    deadline = time.monotonic() + LOCK_TIMEOUT
    try:
        while not try_lock(descriptor) and time.monotonic() < deadline:
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


class Ticket:
    """A place in the queue, made and used with the queue locked; gives the waiter its number."""

    def __init__(self, folder: Path, waiter: Waiter) -> None:
        tickets = folder / _TICKETS
        tickets.mkdir(exist_ok=True)
        last = (folder / _LOCK).read_text(encoding="utf-8").strip()
        numbers = [last if last.isdecimal() else "0", *(path.stem for path in _paths(folder))]
        number = max(map(int, numbers)) + 1
        while True:
            self._path = tickets / f"{number:012d}.ticket"
            with suppress(FileExistsError):
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                break
            number += 1
        with suppress(PermissionError):  # Another user's; the waiting tickets give the order.
            (folder / _LOCK).write_text(str(number), encoding="utf-8")
        self.waiter = waiter.model_copy(update={"number": number})
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self.waiter.write(self._descriptor)

    def ahead(self) -> list[Waiter]:
        """Waiters that are served before this one, live and poll, the first one first."""
        os.utime(self._descriptor)
        now = os.fstat(self._descriptor).st_mtime
        others = []
        for path in _paths(self._path.parent.parent):
            if path == self._path:
                continue
            if not is_locked(path):
                path.unlink(missing_ok=True)
                continue
            with suppress(FileNotFoundError):
                if now - path.stat().st_mtime < SKIP_AFTER:
                    others.append(Waiter.read(path, number=int(path.stem)))
        ahead = (waiter for waiter in others if waiter.place < self.waiter.place)
        return sorted(ahead, key=lambda waiter: waiter.place)

    def close(self) -> None:
        """Leave the queue."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            os.close(self._descriptor)


def waiting(store: Store | None = None) -> list[Waiter]:
    """Who waits for slots, the first to be served first; only reads."""
    tickets = filter(is_locked, _paths(slots_folder(store)))
    waiters = [Waiter.read(path, number=int(path.stem)) for path in tickets]
    return sorted(waiters, key=lambda waiter: waiter.place)


@dataclass(frozen=True)
class MemoryHeadroom:
    """Memory of one device in bytes."""

    total: int | None = None  # None where it is not known, and then nothing is checked
    foreign: int = 0  # Held by processes that no slot of the device belongs to
    own: int = 0  # Held or declared by those that one does
    processes: tuple[GpuProcess, ...] = ()  # The foreign ones that the driver names

    def fits(self, needed: int | None) -> bool:
        """Whether so much is free."""
        return self.total is None or (needed or 0) + self.foreign + self.own <= self.total

    def shortage(self, device: str, needed: int) -> str:
        """One line for a device that is passed over."""
        total, foreign = (self.total or 0) / 1e9, self.foreign / 1e9
        free = max(0, total - foreign - self.own / 1e9)
        line = f"device {device} is passed over: {free:.1f} of {total:.1f} GB are free, "
        line += f"{needed / 1e9:.1f} are needed"
        if not self.foreign:
            return line
        unnamed = f"{foreign:.1f} GB that the driver names no process for"
        return f"{line}; not of this queue: {'; '.join(map(str, self.processes)) or unnamed}"


def read_headroom(gpu: Gpu | None, device: str, holders: Iterable[Holder]) -> MemoryHeadroom:
    """The headroom of a device, from what the driver says of its GPU and who holds which slots."""
    if gpu is None:
        return MemoryHeadroom()
    holders = [holder for holder in holders if holder.device == device]
    declared = [holder.vram_bytes or 0 for holder in holders]
    if gpu.is_mig:
        return MemoryHeadroom(gpu.total_bytes, own=sum(declared))
    if gpu.total_bytes is None or gpu.used_bytes is None:
        return MemoryHeadroom()
    foreign_processes: list[GpuProcess] = []
    taken = [0] * len(holders)
    owners = {pid: n for n, item in enumerate(holders) for pid in (item.starter, item.pid)}
    for process in gpu.processes:
        ancestry = [process.pid]
        with suppress(psutil.Error):
            ancestry += [parent.pid for parent in psutil.Process(process.pid).parents()]
        owner = next((owners[pid] for pid in ancestry if pid in owners), None)
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


def allot_slots(
    waiter: Waiter, ahead: list[Waiter], free: set[Slot], headrooms: Mapping[str, MemoryHeadroom]
) -> list[Slot] | None:
    """The slots that a waiter may take now; None where it has to go on waiting.

    What those ahead of it can take is theirs. For one of them that cannot have all that it wants
    yet, every free slot of the devices that will do is reserved, so that it is not passed by for
    ever; but not while foreign processes leave it too few such devices, since nobody knows for how
    long. The memory of a device without a headroom is not checked.
    """
    free, rooms = set(free), defaultdict(MemoryHeadroom, headrooms)
    for other in ahead:
        slots = _choose_slots(other, free, rooms)
        if slots is not None:
            free -= set(slots)
            for device, _ in slots:
                declared = rooms[device].own + (other.vram_bytes or 0)
                rooms[device] = replace(rooms[device], own=declared)
            continue
        unused = {name: replace(rooms[name], own=0) for name in other.devices}
        suitable = {name for name, room in unused.items() if room.fits(other.vram_bytes)}
        if len(suitable) >= other.wanted:
            free = {slot for slot in free if slot[0] not in suitable}
    return _choose_slots(waiter, free, rooms)


def _choose_slots(
    waiter: Waiter, free: set[Slot], headrooms: defaultdict[str, MemoryHeadroom]
) -> list[Slot] | None:
    """A slot on each of as many devices as are wanted, or none.

    The first slot of every device comes before the second of any, so that trainings spread.
    """
    chosen: dict[str, Slot] = {}
    for number in range(max(waiter.devices.values(), default=0)):
        for device, slots in waiter.devices.items():
            if device in chosen or number >= slots or len(chosen) == waiter.wanted:
                continue
            if (device, number) in free and headrooms[device].fits(waiter.vram_bytes):
                chosen[device] = (device, number)
    if len(chosen) < waiter.wanted:
        return None
    return [chosen[device] for device in waiter.devices if device in chosen]


def _paths(folder: Path) -> list[Path]:
    tickets = (folder / _TICKETS).glob("*.ticket")
    return sorted(path for path in tickets if path.stem.isdecimal())
