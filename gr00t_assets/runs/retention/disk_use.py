"""What files take of the disk: blocks as ``du`` counts them, each file once whatever its names."""

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 512
"""Bytes of ``st_blocks``, whatever the file system's own blocks are; see stat(2)."""


@dataclass(frozen=True)
class StoredFile:
    """One name of a file.

    Attributes:
        path: Where it is.
        identity: The same for two names of one file (hard links).
        links: Names that the file has anywhere.
        size: Bytes that it takes of the disk.
        modified: Seconds since 1970.
    """

    path: Path
    identity: tuple[int, int]
    links: int
    size: int
    modified: float


def files_below(path: Path) -> Iterator[StoredFile]:
    """Every file below a folder, or the file itself; no symbolic link is followed.

    What disappears meanwhile is left out.
    """
    try:
        found = path.lstat()
    except OSError:
        return
    if not stat.S_ISDIR(found.st_mode):
        yield _file(path, found)
        return
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from files_below(Path(entry.path))
            else:
                yield _file(Path(entry.path), entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue


def taken(paths: Iterable[Path]) -> int:
    """Bytes that some folders and files take together, a file with several names once."""
    sizes = {file.identity: file.size for path in paths for file in files_below(path)}
    return sum(sizes.values())


def freed(paths: Iterable[Path]) -> int:
    """Bytes that deleting some folders and files would free.

    A file that has a name elsewhere as well, such as the weights of ``model/`` that a checkpoint
    shares, frees nothing.
    """
    found = {file.path: file for path in paths for file in files_below(path)}
    names = Counter(file.identity for file in found.values())
    whole = {f.identity: f.size for f in found.values() if names[f.identity] >= f.links}
    return sum(whole.values())


def _file(path: Path, found: os.stat_result) -> StoredFile:
    return StoredFile(
        path=path,
        identity=(found.st_dev, found.st_ino),
        links=found.st_nlink,
        size=found.st_blocks * _BLOCK,
        modified=found.st_mtime,
    )
