"""What ``store verify`` finds damaged in a store, what it has read, and how damage is put aside."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from gr00t_assets.core.checksums import is_sealed
from gr00t_assets.core.errors import Gr00tAssetsError, StoreError
from gr00t_assets.core.files import make_directory, sync_directory
from gr00t_assets.core.processes import is_locked
from gr00t_assets.core.system_errors import explained_error

DAMAGED = "damaged"
"""Folder of a store that damaged things are moved to, by the time of the repair."""

_SHOWN = 4
"""Damaged files or frames of one thing that are named."""


@dataclass(frozen=True)
class Damage:
    """One thing of a store that is not as it was written.

    Attributes:
        kind: model, checkpoint, metrics, frame cache, ...
        path: The damaged file or folder.
        remedy: The one thing to do about it by now.
        moved: What a repair moves aside; nothing where it cannot be made anew.
        command: Makes anew what was moved aside.
        lock: Held by whoever uses it.
        harmless: Passed over by everything that reads it.
        aside: It was moved aside.
    """

    kind: str
    path: Path
    found: str
    remedy: str
    moved: tuple[Path, ...] = ()
    command: str = ""
    lock: Path | None = None
    harmless: bool = False
    aside: bool = False


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

    def read(self, path: Path, kind: str = "", recorded: bool = True) -> None:
        """Count a file that was compared with its record, or that nothing is recorded of."""
        if not recorded:
            self.unrecorded[kind] += 1
        elif path.is_file():
            self.files += 1
            self.bytes += path.stat().st_size

    def load(
        self,
        kind: str,
        file: Path,
        read: Callable[[], object],
        command: str,
        remedy: str = "write it anew",
    ) -> Iterator[Damage]:
        """Read a JSON file that a command writes anew, and count it where it is sound."""
        try:
            read()
        except (Gr00tAssetsError, ValueError) as error:
            if isinstance(error, StoreError):  # it may not be read
                raise
            yield Damage(kind, file, one_line(error), f"{remedy}: {command}", (file,), command)
        else:
            self.read(file, kind, is_sealed(file))


def unread(kind: str, path: Path, error: OSError | StoreError, remedy: str) -> Damage:
    """What this user may not read, or the disk does not give: it is never moved aside."""
    known = error if isinstance(error, StoreError) else explained_error(error)
    if known is None:
        return Damage(kind, path, one_line(error), remedy)
    return Damage(kind, path, f"{known.subject}: {known.problem}", "; ".join(known.details))


def one_line(error: Exception) -> str:
    """What is wrong, in a line, without what an error's subject and remedy say."""
    if isinstance(error, Gr00tAssetsError):
        return f"{error.problem} {''.join(error.details[:1]).partition(chr(10))[0]}".strip()
    return str(error).partition("\n")[0] or type(error).__name__


def listed(names: Sequence[str]) -> str:
    """The first few of the damaged files or frames of one thing.

    Examples:
        >>> listed(["a", "b", "c", "d", "e"])
        'a; b; c; d; and 1 more'
    """
    more = len(names) - _SHOWN
    return "; ".join([*names[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


def put_aside(damages: Iterable[Damage], root: Path) -> tuple[Damage, ...]:
    """The damages, once those that can be made anew are moved to ``damaged/<time>/`` of a store.

    Nothing is deleted, and what a process uses is left.

    Raises:
        OSError: The store cannot be written.
    """
    folder = root / DAMAGED / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return tuple(_aside(damage, root, folder) if damage.moved else damage for damage in damages)


def _aside(damage: Damage, root: Path, folder: Path) -> Damage:
    if damage.lock is not None and is_locked(damage.lock):
        return replace(damage, remedy="a process uses it; repair again once that has ended")
    for path in filter(Path.exists, damage.moved):  # may be gone with another damage
        target = folder / path.relative_to(root)
        make_directory(target.parent)
        path.rename(target)
        sync_directory(target.parent)
        sync_directory(path.parent)
    again = f"make it anew: {damage.command}" if damage.command else "nothing needs it"
    return replace(damage, remedy=f"was moved aside; {again}", aside=True)
