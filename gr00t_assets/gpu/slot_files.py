"""The files of a machine's slots: which slots are held, by whom, and what killed trainings left.

``<store>/slots/<host>/<device>-<number>.lock`` for each slot. Its lock says whether the slot is
held, its content by whom. Each machine has a folder of its own, so machines that share a store do
not wait for each other.
"""

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from gr00t_assets.core.processes import is_alive, is_locked
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.devices import host_name
from gr00t_assets.gpu.guard import end_tagged, tagged_processes

UNKNOWN = "unknown"

Slot = tuple[str, int]
"""A device and the number of a slot on it."""


class SlotRecord(BaseModel):
    """What a holder's and a waiter's file have in common.

    Unknown keys are passed over and missing ones have a default, so that versions of this package
    that share a store can read each other.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    format: Literal[1] = 1
    host: str = UNKNOWN
    pid: int | None = Field(default=None, description="Guard of the training, or who asks")
    experiment: str = UNKNOWN
    run_id: str | None = Field(default=None, description="Dagster's run; None by hand")
    vram_bytes: int | None = Field(default=None, description="Memory of each device, in bytes")
    since: str | None = Field(default=None, description="ISO 8601, UTC")

    @classmethod
    def read(cls, path: Path, **name: Any) -> Self:
        """The first JSON object of a file, and what its name says; all unknown where it is none."""
        with suppress(OSError, TypeError, ValueError):
            content, _ = json.JSONDecoder().raw_decode(path.read_text(errors="replace"))
            return cls.model_validate({**content, **name})
        return cls.model_validate(name)

    def write(self, descriptor: int) -> None:
        """Replace the content of an open file; a reader sees the old or the new record first."""
        content = self.model_dump_json().encode() + b"\n"
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


class Holder(SlotRecord):
    """Who holds one slot, as its file says; the lock on that file says whether it is still true."""

    device: str = Field(default=UNKNOWN, description="As CUDA_VISIBLE_DEVICES takes it, or cpu")
    slot: int = Field(default=0, description="Number of the slot on its device, from 0")
    uuid: str | None = Field(default=None, description="Of the GPU; None where it is not known")
    pid_started: float | None = Field(default=None, description="Seconds since the epoch")
    starter: int | None = Field(default=None, description="Process that asked for the slot")
    starter_started: float | None = Field(default=None, description="Seconds since the epoch")
    process_tag: str | None = Field(
        default=None,
        validation_alias=AliasChoices("process_tag", "mark"),
        description="In the environment of every process of the training",
    )

    def __str__(self) -> str:
        return f"{self.device}-{self.slot}: process {self.pid or UNKNOWN}, {self.experiment}"

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


def holders(store: Store | None = None) -> list[Holder]:
    """Who holds each slot that is taken, by device and number; reads and never waits.

    A file that cannot be read, or was written by another version, gives a holder whose fields are
    ``unknown`` or None.
    """
    taken = []
    for path in slots_folder(store).glob("*-*.lock"):
        device, _, slot = path.stem.rpartition("-")
        if slot.isdecimal() and is_locked(path):
            taken.append(Holder.read(path, device=device, slot=int(slot)))
    return sorted(taken, key=lambda holder: (holder.device, holder.slot))


def end_orphans(slot_holders: Iterable[Holder], log: Callable[[str], object]) -> None:
    """Kill what is left of trainings that hold a slot and have neither guard nor starter.

    Either of the two ends what the other leaves. Where both are killed at once the kernel kills the
    training itself (Linux), but what it started may live on and keep the slot and the GPU's memory.
    """
    for tag, holder in {holder.process_tag: holder for holder in slot_holders}.items():
        if tag is None or holder.has_guardian():
            continue
        orphans = tagged_processes(tag)
        if orphans:
            log(
                f"{holder.experiment}: its guard and process {holder.starter} were killed; "
                f"ended what was left of it: {', '.join(map(str, orphans))}"
            )
            end_tagged(tag)


def now() -> str:
    """The time as records have it, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
