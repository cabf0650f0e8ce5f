"""What ``store verify`` finds damaged in a store, what it has read, and how damage is put aside."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.files import FrozenModel, sync_directory
from gr00t_assets.core.processes import is_locked

DAMAGED = "damaged"
"""Folder of a store that damaged things are moved to, by the time of the repair."""

_SHOWN = 4
"""Damaged files or frames of one thing that are named."""


class Damage(FrozenModel):
    """One thing of a store that is not as it was written."""

    kind: str = Field(description="model, checkpoint, metrics, frame cache, ...")
    path: Path = Field(description="The damaged file or folder")
    found: str
    remedy: str = Field(description="The one thing to do, where it is not repaired")
    harmless: bool = Field(default=False, description="Passed over by everything that reads it")
    moved: tuple[Path, ...] = Field(
        default=(), description="What a repair moves aside; nothing where it cannot be made anew"
    )
    command: str = Field(default="", description="Makes anew what was moved aside")
    lock: Path | None = Field(default=None, description="Held by whoever uses it")


@dataclass
class Tally:
    """What was read.

    Attributes:
        files: Files that were compared with a record of them.
        bytes: Bytes of those.
        unrecorded: Files whose content nothing is recorded of, by kind, as in older stores.
        in_use: What was left out, since a process writes it.
    """

    files: int = 0
    bytes: int = 0
    unrecorded: Counter[str] = field(default_factory=Counter)
    in_use: list[Path] = field(default_factory=list)

    def compared(self, path: Path) -> None:
        """Count a file whose content was compared with what is recorded of it."""
        if path.is_file():
            self.files += 1
            self.bytes += path.stat().st_size

    def read(self, path: Path, kind: str, recorded: bool) -> None:
        """Count a file that was read: as compared, or as one that nothing is recorded of."""
        if recorded:
            self.compared(path)
        else:
            self.unrecorded[kind] += 1


def listed(names: Sequence[str]) -> str:
    """The first few of the damaged files or frames of one thing.

    Examples:
        >>> listed(["a", "b", "c", "d", "e"])
        'a; b; c; d; and 1 more'
    """
    more = len(names) - _SHOWN
    return "; ".join([*names[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def put_aside(damages: Iterable[Damage], root: Path) -> list[tuple[Damage, str | None]]:
    """Move what can be made anew to ``damaged/<time>/`` of a store; nothing is deleted.

    Returns:
        Each damage that can be repaired, and why it was left where it is; None where it was not.

    Raises:
        StoreError: The store cannot be written.
    """
    folder = root / DAMAGED / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    outcomes: list[tuple[Damage, str | None]] = []
    for damage in damages:
        if not damage.moved:
            continue
        if damage.lock is not None and is_locked(damage.lock):
            outcomes.append((damage, "a process uses it; repair again once that has ended"))
            continue
        try:
            for path in damage.moved:
                if path.exists():  # may be gone with another damage of the same thing
                    target = folder / path.relative_to(root)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    path.rename(target)
                    sync_directory(target.parent)
                    sync_directory(path.parent)
        except OSError as error:
            text = f"{damage.path} cannot be moved aside: {error.strerror}."
            raise StoreError(str(root), text, ["repair needs a store that can be written"]) from (
                error
            )
        outcomes.append((damage, None))
    return outcomes
