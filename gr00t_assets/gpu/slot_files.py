"""The files of a machine's slots: where they are, which are held, and by whom.

``<store>/slots/<host>/<device>-<number>.lock`` for each slot. Its lock says whether it is held, its
content by whom.
"""

import os
from contextlib import ExitStack
from pathlib import Path

from gr00t_assets.core.file_locks import is_locked, try_lock
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import host_name
from gr00t_assets.gpu.line import Slot, waiters
from gr00t_assets.gpu.records import Holder, Waiter, read_holder


def slots_folder(store: Store | None = None, host: str | None = None) -> Path:
    """Where the slots of a machine are; this machine's where ``host`` is left out."""
    return (store or Store.from_environment()).root / "slots" / (host or host_name())


def holders(store: Store | None = None, host: str | None = None) -> list[Holder]:
    """Who holds each slot that is taken, by device and number; reads and never waits.

    A file that cannot be read, or was written by another version, gives a holder whose fields are
    ``unknown`` or None. The locks of another machine are seen only where the store's file system
    has locks across machines.
    """
    return holders_in(slots_folder(store, host))


def waiting(store: Store | None = None, host: str | None = None) -> list[Waiter]:
    """Who waits for slots, the first in the line first."""
    return waiters(slots_folder(store, host))


def holders_in(folder: Path) -> list[Holder]:
    """Who holds each slot of a machine's folder, by device and number."""
    files = (path for path in folder.glob("*-*.lock") if path.stem.rpartition("-")[2].isdecimal())
    found = [read_holder(path) for path in files if is_locked(path)]
    return sorted(found, key=lambda holder: (holder.device, holder.slot))


def slot_file(folder: Path, slot: Slot) -> Path:
    """The file of one slot; old UUIDs of MIG devices have slashes."""
    device, number = slot
    return folder / f"{device.replace('/', '_')}-{number}.lock"


def lock_slot(path: Path, held: ExitStack) -> int | None:
    """Lock a file until ``held`` ends; ``None`` where another has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    held.callback(os.close, descriptor)
    return descriptor if try_lock(descriptor) else None
