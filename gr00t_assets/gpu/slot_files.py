"""The files of a machine's slots: which slots are held, by whom, and what killed trainings left.

``<store>/slots/<host>/<device>-<number>.lock`` for each slot. Its lock says whether the slot is
held, its content by whom. Each machine has a folder of its own, so machines that share a store do
not wait for each other.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import AliasChoices, Field

from gr00t_assets.core.locks import UNKNOWN, LockRecord, lock_holder
from gr00t_assets.core.processes import host_name, is_alive, is_locked, open_lock
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.guard import end_tagged, tagged_processes

Slot = tuple[str, int]
"""A device and the number of a slot on it."""


class Holder(LockRecord):
    """Who holds one slot, as its file says; the lock on that file says whether it is still true."""

    vram_bytes: int | None = Field(default=None, description="Declared for each device, in bytes")
    device: str = Field(default=UNKNOWN, description="As CUDA_VISIBLE_DEVICES takes it, or cpu")
    slot: int = Field(default=0, description="Number of the slot on its device, from 0")
    uuid: str | None = Field(default=None, description="Of the GPU; None where it is not known")
    starter: int | None = Field(default=None, description="Process that asked for the slot")
    starter_started: float | None = Field(default=None, description="As ``start_time`` has it")
    process_tag: str | None = Field(
        default=None,
        validation_alias=AliasChoices("process_tag", "mark"),
        description="In the environment of every process of the training",
    )

    def __str__(self) -> str:
        return f"{self.device}-{self.slot}: {super().__str__()}"

    def has_guardian(self) -> bool:
        """Whether the guard or the process that started it lives, which end what is theirs."""
        return is_alive(self.pid, self.pid_started) or is_alive(self.starter, self.starter_started)


def slots_folder(store: Store | None = None) -> Path:
    """Where the slots of this machine are in a store, the project's where it is left out."""
    return (store or Store.from_environment()).root / "slots" / host_name()


def slot_file(folder: Path, slot: Slot) -> Path:
    """The file of one slot; old UUIDs of MIG devices have slashes."""
    device, number = slot
    return folder / f"{device.replace('/', '_')}-{number}.lock"


def require_openable(folder: Path) -> None:
    """Refuse to wait for slots whose files this user may not open, which are never seen free.

    Raises:
        PermissionError: Another user's umask let nobody else read a slot's file.
    """
    for path in folder.glob("*-*.lock"):
        os.close(open_lock(path))


def holders(store: Store | None = None) -> list[Holder]:
    """Who holds each slot that is taken, by device and number; reads and never waits.

    A file that cannot be read, or was written by another version, gives a holder whose fields are
    ``unknown`` or None, but for its process where that can be found.
    """
    taken = []
    for path in slots_folder(store).glob("*-*.lock"):
        device, _, slot = path.stem.rpartition("-")
        if slot.isdecimal() and is_locked(path):
            holder = lock_holder(path, Holder, slot=int(slot))
            if slot_file(path.parent, (holder.device, holder.slot)) != path:
                holder = holder.model_copy(update={"device": device})
            taken.append(holder)
    return sorted(taken, key=lambda holder: (holder.device, holder.slot))


def end_orphans(slot_holders: Iterable[Holder], log: Callable[[str], object]) -> None:
    """Kill what is left of trainings that hold a slot and have neither guard nor starter.

    Either of the two ends what the other leaves. Where both are killed at once the kernel kills the
    training itself (Linux), but what it started may live on and keep the slot and the GPU's memory.
    """
    for tag, holder in {holder.process_tag: holder for holder in slot_holders}.items():
        if tag and not holder.has_guardian() and (orphans := tagged_processes(tag)):
            log(
                f"{holder.experiment}: its guard and process {holder.starter} were killed; "
                f"ended what was left of it: {', '.join(map(str, orphans))}"
            )
            end_tagged(tag)
