"""What slot files and tickets say: who holds a slot, who waits for one, since when."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

UNKNOWN = "unknown"


class Holder(BaseModel):
    """Who holds one slot, as its file says; the lock on that file says whether it is still true.

    Unknown keys are passed over and missing ones have a default, so that versions of this package
    that share a store can read each other.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = 1
    device: str = Field(default=UNKNOWN, description="As CUDA_VISIBLE_DEVICES takes it, or cpu")
    slot: int = Field(default=0, description="Number of the slot on its device, from 0")
    uuid: str | None = Field(default=None, description="Of the GPU; None where it is not known")
    host: str = UNKNOWN
    pid: int | None = Field(default=None, description="Guard of the training, or who starts it")
    starter: int | None = Field(default=None, description="Process that asked for the slot")
    experiment: str = UNKNOWN
    run_id: str | None = Field(default=None, description="Dagster's run; None by hand")
    mark: str | None = Field(default=None, description="In the environment of every process")
    vram_bytes: int | None = Field(default=None, description="Memory declared for it, in bytes")
    since: str | None = Field(default=None, description="ISO 8601, UTC")

    @property
    def name(self) -> str:
        """``<device>-<slot>``."""
        return f"{self.device}-{self.slot}"

    def sentence(self) -> str:
        """For those who wait."""
        return f"process {self.pid or UNKNOWN}, {self.experiment}"


class Waiter(BaseModel):
    """Who waits for slots, as its ticket says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: Literal[1] = 1
    number: int = Field(default=0, description="Place in the line: the lowest is served first")
    host: str = UNKNOWN
    pid: int | None = None
    experiment: str = UNKNOWN
    run_id: str | None = None
    wanted: int = Field(default=1, description="Different devices")
    vram_bytes: int | None = Field(default=None, description="On each of them, in bytes")
    devices: dict[str, int] = Field(default_factory=dict, description="Slots of each it may have")
    since: str | None = Field(default=None, description="ISO 8601, UTC")


def now() -> str:
    """The time as records have it, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_record(descriptor: int, record: Holder | Waiter) -> None:
    """Replace the content of an open file; a reader sees the old or the new record first."""
    content = record.model_dump_json().encode() + b"\n"
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))


def read_holder(path: Path) -> Holder:
    """The record of a slot file; all unknown but its name where it cannot be read."""
    device, _, slot = path.stem.rpartition("-")
    named = {"device": device or UNKNOWN, "slot": int(slot) if slot.isdecimal() else 0}
    try:
        return Holder.model_validate({**_first_object(path), **named})
    except ValidationError:
        return Holder.model_validate(named)


def read_waiter(path: Path) -> Waiter:
    """The record of a ticket, as tolerantly."""
    number = {"number": int(path.stem) if path.stem.isdecimal() else 0}
    try:
        return Waiter.model_validate({**_first_object(path), **number})
    except ValidationError:
        return Waiter.model_validate(number)


def _first_object(path: Path) -> dict[str, object]:
    try:
        value, _ = json.JSONDecoder().raw_decode(path.read_text(errors="replace"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
