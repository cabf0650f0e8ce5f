"""The line of those who wait for slots: served in the order in which they came.

A ticket is a file that its owner holds locked for as long as it waits, so that the ticket of one
who was killed counts no longer, and the next one removes it. Who changes the line or takes a slot
holds the line's own lock, for milliseconds.
"""

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from gr00t_assets.core.file_locks import is_locked, try_lock
from gr00t_assets.gpu.memory import Room, room_after
from gr00t_assets.gpu.records import Waiter, read_waiter, write_record

PATIENCE = 60.0
"""Seconds after which one who no longer looks whether it is its turn, as when it was suspended, is
passed by until it looks again."""

HELD_UP = 20.0
"""Seconds after which one who holds the line, for milliseconds by rights, is waited for no more."""

Slot = tuple[str, int]
"""A device and the number of a slot on it."""

_POLL = 0.01
_LOCK = "line.lock"
_TICKETS = "waiting"


@contextmanager
def line_locked(folder: Path) -> Iterator[None]:
    """Be the only one who changes the line or takes slots in ``folder``.

    One who was suspended in the milliseconds in which it held the line is waited for ``HELD_UP``
    seconds. Without it the order may suffer; a slot is given once all the same, by its own lock.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    deadline = time.monotonic() + HELD_UP
    try:
        while not try_lock(descriptor) and time.monotonic() < deadline:
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


class Ticket:
    """A place in the line; made and used with the line locked.

    Args:
        folder: The slots' folder of this machine.
        waiter: What is wanted; its number is given here.
    """

    def __init__(self, folder: Path, waiter: Waiter) -> None:
        tickets = folder / _TICKETS
        tickets.mkdir(exist_ok=True)
        number = max([_last_number(folder), *(int(path.stem) for path in _paths(folder))]) + 1
        while True:
            self._path = tickets / f"{number:012d}.ticket"
            with suppress(FileExistsError):
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                break
            number += 1
        (folder / _LOCK).write_text(str(number))
        self.waiter = waiter.model_copy(update={"number": number})
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        write_record(self._descriptor, self.waiter)

    def before(self) -> list[Waiter]:
        """Who came earlier, still lives and still looks, the first one first."""
        os.utime(self._descriptor)
        moment = os.fstat(self._descriptor).st_mtime
        found = []
        for path in _paths(self._path.parent.parent):
            if path == self._path:
                continue
            if not is_locked(path):
                path.unlink(missing_ok=True)
            elif path < self._path and moment - _looked(path) < PATIENCE:
                found.append(read_waiter(path))
        return found

    def close(self) -> None:
        """Leave the line."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            os.close(self._descriptor)


def waiters(folder: Path) -> list[Waiter]:
    """Who waits, the first in the line first; only reads."""
    return [read_waiter(path) for path in _paths(folder) if is_locked(path)]


def choose(
    waiter: Waiter, before: list[Waiter], free: set[Slot], rooms: Mapping[str, Room]
) -> list[Slot] | None:
    """The slots that a waiter may take now; None where it has to go on waiting.

    What those before it can take is theirs. For one who cannot have all that it wants yet, every
    free slot of the devices that will do is kept, so that it is not passed by for ever; but not
    while foreign processes leave it too few such devices, since nobody knows for how long.

    Args:
        waiter: Who asks.
        before: Who came earlier.
        free: Slots that nobody holds.
        rooms: Memory of each device; one that is left out is not checked.
    """
    free, rooms = set(free), dict(rooms)
    for earlier in before:
        slots = _pick(earlier, free, rooms)
        if slots is not None:
            free -= set(slots)
            for device, _ in slots:
                rooms[device] = room_after(rooms.get(device, Room()), earlier.vram_bytes)
            continue
        will_do = {
            device
            for device in earlier.devices
            if rooms.get(device, Room()).could_fit(earlier.vram_bytes)
        }
        if len(will_do) >= earlier.wanted:
            free = {slot for slot in free if slot[0] not in will_do}
    return _pick(waiter, free, rooms)


def _pick(waiter: Waiter, free: set[Slot], rooms: Mapping[str, Room]) -> list[Slot] | None:
    """A slot on each of as many devices as are wanted, or none.

    The first slot of every device comes before the second of any, so that trainings spread.
    """
    found: dict[str, Slot] = {}
    for number in range(max(waiter.devices.values(), default=0)):
        for device, slots in waiter.devices.items():
            if device in found or number >= slots or len(found) == waiter.wanted:
                continue
            if (device, number) in free and rooms.get(device, Room()).fits(waiter.vram_bytes):
                found[device] = (device, number)
    if len(found) < waiter.wanted:
        return None
    return [found[device] for device in waiter.devices if device in found]


def _paths(folder: Path) -> list[Path]:
    tickets = (folder / _TICKETS).glob("*.ticket")
    return sorted(path for path in tickets if path.stem.isdecimal())


def _last_number(folder: Path) -> int:
    text = (folder / _LOCK).read_text().strip()
    return int(text) if text.isdecimal() else 0


def _looked(path: Path) -> float:
    """When a ticket's owner looked last whether it is its turn; long ago where it has left."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("-inf")
