"""Files and folders that appear whole or not at all, and the base of what is kept in them."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from gr00t_assets.core.errors import system_errors_explained
from gr00t_assets.core.processes import host_name
from gr00t_assets.core.text import json_text

FileStamp = tuple[tuple[Path, int, int], ...]
"""Files, each with the time of its last change in nanoseconds and its size in bytes."""

PARTIAL = ".partial-"
"""What the name of a file or folder that is still being written contains."""


class FrozenModel(BaseModel):
    """A record that never changes; a field that it does not have is refused."""

    # Built when first used: most are not while the definitions load.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def sync_directory(path: Path) -> None:
    """Make the names in a folder, or the content of a file, outlast a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make what was written to a file, and its name, outlast a power cut."""
    sync_directory(path)
    sync_directory(path.parent)


def make_directory(path: Path) -> None:
    """Make a folder, and those above it that are missing, so that they outlast a power cut."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        sync_directory(folder.parent)


def append_line(path: Path, line: bytes) -> None:
    """Add a line to a file; one that a kill or a full disk tore before it is ended first.

    The line outlasts a kill, and after ``sync_file`` a power cut. ``OSError``: the disk is full.
    """
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(end - 1, 0))
        torn = file.read(1) not in (b"", b"\n")
        file.write((b"\n" if torn else b"") + line + b"\n")


LARGEST_JSON, LARGEST_LIST = 16 << 20, 256 << 20
"""Bytes of a file that is one JSON value, which takes some forty times as many to read; and of one
with an entry for each step of a run, or each file or frame of a dataset."""

LARGEST_NUMBER, _LONGEST_WHOLE = 1e30, 20
"""Of a JSON file of ours: a training with a larger loss has diverged; digits of a whole number."""


def read_limited(path: Path, most_bytes: int = LARGEST_JSON) -> bytes:
    """The content of a file that is no larger where all is well; ``ValueError``: it is larger."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most_bytes else file.read(size + 1)
    if (size := max(size, len(content))) > most_bytes:
        expected = f"at most {most_bytes / 2**20:g} expected"
        raise ValueError(f"it is too large: {size / 2**20:,.0f} MB, {expected}")
    return content


def read_json(path: Path, most_bytes: int = LARGEST_JSON) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON, or is larger, nested more deeply or has larger numbers than any
            file of ours.
    """
    text = read_limited(path, most_bytes).decode()
    try:
        return json.loads(text, parse_int=_whole, parse_float=_real, parse_constant=_real)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_WHOLE:
        raise ValueError(f"the number {digits[:_LONGEST_WHOLE]}... is too large")
    return int(digits)


def _real(digits: str) -> float:
    value = float(digits)
    if not abs(value) <= LARGEST_NUMBER:
        raise ValueError(f"the number {digits[:_LONGEST_WHOLE]} is too large, or none")
    return value


def read_objects(path: Path) -> list[dict[str, Any]]:
    """JSON objects of a file that has one a line; a line that is none is passed over.

    None of a file that is far too large.
    """
    objects, content = [], b""
    with suppress(FileNotFoundError, ValueError):
        content = read_limited(path)
    for line in content.split(b"\n"):
        with suppress(ValueError, RecursionError):
            objects.append(json.loads(line))
    return [item for item in objects if isinstance(item, dict)]


def parquet_rows(
    path: Path, columns: Sequence[str] = (), *, most_rows: int, most_bytes: int
) -> Iterator[Any]:
    """Batches of a Parquet file, in which a few bytes may stand for a billion equal values.

    ``columns`` are all where left out; ``most_bytes`` are those of all that is read of them.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger, or no Parquet.
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, pre_buffer=False)
    groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
    starts = tuple(f"{name}." for name in columns or file.schema_arrow.names)
    chunks = [chunk for g in groups for chunk in map(g.column, range(g.num_columns))]
    chunks = [chunk for chunk in chunks if f"{chunk.path_in_schema}.".startswith(starts)]
    largest = max((chunk.total_uncompressed_size for chunk in chunks), default=0)
    read = max(largest, *(8 * chunk.num_values for chunk in chunks), 0)
    # A text is in its group once, and may be in each row.
    size = max(1, min(256, most_bytes // max(largest, 1)))
    batches = file.iter_batches(size, columns=list(columns) or None)
    while file.metadata.num_rows <= most_rows and read <= most_bytes:
        if (batch := next(batches, None)) is None:
            return
        yield batch
        read += batch.nbytes
    more = f"{file.metadata.num_rows:,} rows, at most {most_rows:,} rows and {most_bytes >> 20} MB"
    raise ValueError(f"it is too large: {more} expected")


def partial_name(name: str) -> str:
    """A hidden name for what is not whole yet, or not any more, with this process and machine."""
    return f".{name}{PARTIAL}{os.getpid()}-{machine_hash()}{uuid.uuid4().hex[:8]}"


def machine_hash() -> str:
    """Eight hex digits that tell this machine from others which share the store."""
    return hashlib.sha256(host_name().encode()).hexdigest()[:8]


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step, or raise ``StoreError``: the disk is full."""
    partial = path.with_name(partial_name(path.name))
    with system_errors_explained(path):
        make_directory(path.parent)
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(path.parent)


def create_file(path: Path, text: str) -> bool:
    """Make a file, whole, unless it is there; whether it was made.

    A hard link is made or refused in one step, over NFS as well; see link(2) and open(2),
    ``O_EXCL``, which stands in where a file system has no hard links.
    """
    make_directory(path.parent)
    own = path.with_name(partial_name(path.name))
    try:
        own.write_text(text, encoding="utf-8")
        sync_directory(own)
        try:
            os.link(own, path)
        except PermissionError:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            sync_directory(path)
        sync_directory(path.parent)
    except FileExistsError:
        return False
    finally:
        own.unlink(missing_ok=True)
    return True


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by ``value`` as indented JSON in one step; NaN is refused."""
    write_bytes(path, (json_text(value) + "\n").encode())


def json_hash(content: Any, digits: int) -> str:
    """First hex digits of a SHA-256 over what JSON has, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:digits]


@contextmanager
def published_directory(path: Path, replace: bool = False) -> Iterator[Path]:
    """Fill a folder beside ``path`` and rename it to ``path`` when the block ends well.

    Where the block fails nothing is left. Where ``path`` exists by then it is kept and the new
    one dropped, so two writers of the same content do no harm; with ``replace`` the new one stays.
    """
    partial = path.with_name(partial_name(path.name))
    with system_errors_explained(path):
        make_directory(path.parent)
        try:
            partial.mkdir()
            yield partial
            publish_directory(partial, path, replace)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def publish_directory(partial: Path, path: Path, replace: bool = False) -> None:
    """Sync all that is in ``partial`` and rename it to ``path``; see ``published_directory``.

    Files get the rights that the umask gives: safetensors lets nobody but its user read a file.
    """
    usual = partial.stat().st_mode & 0o666
    for entry in (partial, *partial.rglob("*")):
        if entry.is_symlink():
            continue
        status = entry.stat()
        if entry.is_file() and status.st_uid == os.geteuid() and usual & ~status.st_mode:
            entry.chmod(status.st_mode | usual)
        sync_directory(entry)
    old = path.with_name(partial_name(path.name))
    if replace and path.exists():
        path.rename(old)  # and deleted later: there is no time in which neither is there
    if not path.exists():
        partial.rename(path)
        sync_directory(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def discard_directory(path: Path) -> None:
    """Delete a folder; a kill or a power cut leaves it whole, or hidden under a partial name."""
    hidden = path.with_name(partial_name(path.name))
    path.rename(hidden)
    sync_directory(path.parent)
    shutil.rmtree(hidden)


def file_stamp(files: Iterable[Path]) -> FileStamp:
    """What changes when one of some files does, in the order of their paths; a lost one has -1."""
    stamp = []
    for file in sorted(files):
        try:
            stat = file.stat()
            stamp.append((file, stat.st_mtime_ns, stat.st_size))
        except OSError:
            stamp.append((file, -1, -1))
    return tuple(stamp)


def free_bytes(path: Path) -> int:
    """Bytes free on the disk of a path, which need not be there yet."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def folders(parent: Path) -> list[Path]:
    """Folders of a folder that are neither hidden nor symbolic links, by name."""
    inner = [] if parent.is_symlink() or not parent.is_dir() else parent.glob("[!.]*")
    return sorted(path for path in inner if path.is_dir() and not path.is_symlink())


def inner_folders(parent: Path) -> list[Path]:
    """Run directories of ``runs``, caches of ``frame_caches``: the folders of its folders."""
    return [inner for folder in folders(parent) for inner in folders(folder)]
