"""Checksums of files, JSON files with one of their own content, and damage that is put aside."""

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from gr00t_assets.core.errors import (
    Gr00tAssetsError,
    StoreError,
    explained_error,
    system_errors_explained,
)
from gr00t_assets.core.files import (
    LARGEST_JSON,
    LARGEST_LIST,
    json_hash,
    make_directory,
    read_json,
    sync_directory,
)
from gr00t_assets.core.processes import is_locked

Model = TypeVar("Model", bound=BaseModel)

CHECKSUM = "checksum"
"""Key of a sealed JSON object: the first 16 hex digits of a SHA-256 over all the others."""

DAMAGED = "damaged"
"""Folder of a store that damaged things are moved to, by the time of the repair."""

_DIGITS = 16
_SHOWN = 4  # damaged files or frames of one thing that are named


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def crc32(path: Path) -> int:
    """CRC-32 of a file."""
    value = 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            value = zlib.crc32(chunk, value)
    return value


def file_hashes(folder: Path, files: Iterable[Path] | None = None) -> dict[str, str]:
    """SHA-256 of files by their names in a folder; of every file of it where left out."""
    paths = sorted(filter(Path.is_file, folder.rglob("*") if files is None else files))
    return {path.relative_to(folder).as_posix(): sha256(path) for path in paths}


def changed_files(folder: Path, recorded: Mapping[str, str]) -> list[str]:
    """What is wrong with the files of a folder by their recorded hashes, a sentence each."""
    changed = []
    for name, expected in recorded.items():
        path = folder / name
        if not path.is_file():
            changed.append(f"{name}: is missing")
        elif sha256(path) != expected:
            changed.append(f"{name}: its content has changed since it was written")
    return changed


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the checksum of its content.

    Examples:
        >>> unsealed(sealed({"steps": 4}))
        {'steps': 4}
    """
    plain = json.loads(json.dumps(content))  # its keys as a reader of the file has them
    return {**plain, CHECKSUM: json_hash(plain, _DIGITS)}


def unsealed(content: Any) -> Any:
    """The content of a JSON object without its checksum; ``ValueError`` where that does not fit."""
    if not isinstance(content, dict) or CHECKSUM not in content:
        return content
    inner = {name: value for name, value in content.items() if name != CHECKSUM}
    if (expected := json_hash(inner, _DIGITS)) != content[CHECKSUM]:
        raise ValueError(
            f"its checksum is {content[CHECKSUM]}, its content gives {expected}: "
            "it was damaged, or edited by hand"
        )
    return inner


def read_sealed(path: Path, most_bytes: int = LARGEST_JSON) -> Any:
    """The content of a sealed JSON file, or of one that was written before there were checksums.

    It raises as ``read_json``, and ``ValueError`` also where the checksum does not fit.
    """
    return unsealed(read_json(path, most_bytes))


def load_sealed(path: Path, kind: type[Model], refuse: Callable[[str], Gr00tAssetsError]) -> Model:
    """A record from its sealed JSON file.

    Raises:
        Gr00tAssetsError: That of ``refuse``: it is no such record, or not as it was written.
        StoreError: This user may not read it.
    """
    try:
        with system_errors_explained(path):
            return kind.model_validate(read_sealed(path))
    except (OSError, ValueError) as error:
        raise refuse(str(error)) from error


def is_sealed(path: Path) -> bool:
    """Whether a JSON file has a checksum of its own."""
    try:
        return CHECKSUM in read_json(path, LARGEST_LIST)
    except (OSError, ValueError, TypeError):
        return False


@dataclass(frozen=True)
class Damage:
    """One thing of a store that is not as it was written: a model, a checkpoint, a frame cache.

    Attributes:
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
    """Files and bytes that were compared with a record of them.

    ``unrecorded`` are files of which there is none, by kind, as in older stores; ``in_use`` is what
    was left out, since a process writes it.
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
        except StoreError:  # it may not be read
            raise
        except (Gr00tAssetsError, ValueError) as error:
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

    Nothing is deleted, and what a process uses is left. ``OSError`` where it cannot be written.
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
