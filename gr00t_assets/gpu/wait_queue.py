"""The queue of those who wait for slots: a higher priority first, then in the order of arrival.

A ticket is a file that its owner holds locked for as long as it waits. The ticket of a killed
waiter counts no longer, and the next waiter removes it. Whoever changes the queue or takes a slot
holds the queue's own lock, for milliseconds.
"""

import fcntl
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import Field

from gr00t_assets.core.processes import is_locked, open_lock, try_lock
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.memory import MemoryHeadroom
from gr00t_assets.gpu.slot_files import Slot, SlotRecord, slots_folder

SKIP_AFTER = 60.0
"""Waiters that have not polled for so many seconds, as when suspended, are skipped."""

LOCK_TIMEOUT = 5.0
"""Seconds after which a suspended process that holds the queue's lock is waited for no longer."""

_POLL = 0.01
_LOCK = "line.lock"
_TICKETS = "waiting"


class Waiter(SlotRecord):
    """Who waits for slots, as its ticket says."""

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
                rooms[device] = rooms[device].after(other.vram_bytes)
            continue
        suitable = {name for name in other.devices if rooms[name].could_fit(other.vram_bytes)}
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
