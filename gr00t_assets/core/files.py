"""Files and folders that appear whole or not at all, and the base of what is kept in them."""

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gr00t_assets.core.errors import StoreError

PARTIAL = ".partial-"
"""What the name of a file or folder that is still being written contains."""


class FrozenModel(BaseModel):
    """A record that never changes; a field that it does not have is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def sync_directory(directory: Path) -> None:
    """Make a rename inside ``directory`` outlast a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial_name(name: str) -> str:
    """A hidden name for what is not whole yet, or not any more, with this process's id."""
    return f".{name}{PARTIAL}{os.getpid()}-{uuid.uuid4().hex[:8]}"


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step.

    Raises:
        StoreError: The disk is full; ``path`` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(partial_name(path.name))
    with disk_full_explained(path):
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as indented JSON in one step; NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def json_hash(content: Any, digits: int) -> str:
    """First hex digits of a SHA-256 over what JSON has, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:digits]


@contextmanager
def published_directory(path: Path) -> Iterator[Path]:
    """Fill a folder beside ``path`` and rename it to ``path`` when the block ends well.

    Where the block fails nothing is left. Where ``path`` exists by then it is kept and the new
    one dropped, so two writers of the same content do no harm.

    Examples:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "whole"
        >>> with published_directory(target) as partial:
        ...     _ = (partial / "a.txt").write_text("a")
        >>> sorted(entry.name for entry in target.iterdir())
        ['a.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(partial_name(path.name))
    with disk_full_explained(path):
        try:
            partial.mkdir()
            yield partial
            publish_directory(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def publish_directory(partial: Path, path: Path) -> None:
    """Sync every file of ``partial`` and rename it to ``path``, unless ``path`` is there."""
    for file in sorted(partial.rglob("*")):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
    sync_directory(partial)
    if not path.exists():
        partial.rename(path)
        sync_directory(path.parent)


def free_bytes(path: Path) -> int:
    """Bytes free on the disk of a path, which need not be there yet."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(existing).free


@contextmanager
def disk_full_explained(path: Path) -> Iterator[None]:
    """Turn 'no space left on device' into an error that names the disk and the way out."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = free_bytes(path)
        raise StoreError(
            str(path),
            f"the disk is full ({free / 1e6:.0f} MB free); nothing that was complete is lost.",
            ["free some space, or move the store with GR00T_ASSETS_STORE, and run it again"],
        ) from error
