"""Deleting inside the store: never through a symbolic link, and safe against a kill at any instant.

A folder is renamed before it is emptied, so that what is half deleted has a name that says so. Its
parents are opened one after the other without following links: see openat(2) and renameat(2).
"""

import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.files import PARTIAL

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def remove(root: Path, path: Path) -> None:
    """Delete a file or a folder below ``root``; one that is gone already is no fault.

    A kill in the middle leaves the folder under a hidden name with ``.partial-``, which the next
    ``store prune`` deletes.

    Args:
        root: The store's root.
        path: What to delete, below it.

    Raises:
        StoreError: It is outside the root, is a symbolic link or behind one, or may not be deleted.
    """
    with _explained(path), _parent(root, path) as (folder, name):
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise StoreError(str(path), "this is a symbolic link, which is not followed.")
        if not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=folder)
            return
        if not (name.startswith(".") and PARTIAL in name):
            hidden = f".{name.lstrip('.')}{PARTIAL}{os.getpid()}-{uuid.uuid4().hex[:8]}"
            os.rename(name, hidden, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
            name = hidden
        shutil.rmtree(name, dir_fd=folder)


def remove_files(
    root: Path, directory: Path, names: Iterable[str], marker: str, instead: str
) -> None:
    """Delete files of a folder after its marker of completeness was given another name.

    Args:
        root: The store's root.
        directory: A folder below it.
        names: Names of the files in it.
        marker: The file that says that the folder is complete; may be gone already.
        instead: The name that it gets.

    Raises:
        StoreError: As :func:`remove`.
    """
    with _explained(directory), _parent(root, directory / marker) as (folder, _):
        try:
            os.rename(marker, instead, src_dir_fd=folder, dst_dir_fd=folder)
        except FileNotFoundError:
            os.stat(instead, dir_fd=folder, follow_symlinks=False)
        os.fsync(folder)
        for name in names:
            try:
                os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                continue


@contextmanager
def _parent(root: Path, path: Path) -> Iterator[tuple[int, str]]:
    """The open folder of ``path``, reached from ``root`` through folders alone, and its name."""
    parts = path.relative_to(root).parts if path.is_relative_to(root) else ()
    if not parts or ".." in parts:
        raise StoreError(str(path), f"this is not inside the store {root}; nothing was deleted.")
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder, parts[-1]
    finally:
        os.close(folder)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        problem = "a symbolic link leads to it, or what should be a folder is none; it is kept."
        raise StoreError(str(path), problem) from error
    except OSError as error:
        problem = f"it cannot be deleted: {error.strerror}."
        raise StoreError(str(path), problem, ["see whose it is, and delete it by hand"]) from error
