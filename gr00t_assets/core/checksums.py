"""Checksums of files, and JSON files that carry one over their own content."""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.files import LARGEST_JSON, LARGEST_LIST, json_hash, read_json
from gr00t_assets.core.system_errors import system_errors_explained

Model = TypeVar("Model", bound=BaseModel)

CHECKSUM = "checksum"
"""Key of a sealed JSON object: the first 16 hex digits of a SHA-256 over all the others."""

_DIGITS = 16


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
    """The content of a JSON object without its checksum, which has to fit where there is one.

    Raises:
        ValueError: It does not fit: the file was damaged, or edited by hand.
    """
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

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON, is far too large, or its checksum does not fit.
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
