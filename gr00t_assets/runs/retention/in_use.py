"""Who uses what is to be deleted: locks that are held, and files that processes have open."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.core.file_locks import try_lock
from gr00t_assets.runs.run_lock import run_lock


@contextmanager
def alone_with(lock: Path | None) -> Iterator[bool]:
    """Hold a run directory, or a lock file, for the block.

    Args:
        lock: A run directory, the path of a lock file, or None where nothing is to be held.

    Yields:
        False where somebody else has it.
    """
    if lock is None:
        yield True
    elif lock.is_dir():
        with _run(lock) as free:
            yield free
    else:
        with _file(lock) as free:
            yield free


@contextmanager
def _run(directory: Path) -> Iterator[bool]:
    holding = run_lock(directory)
    try:
        holding.__enter__()
    except Gr00tAssetsError:
        yield False
        return
    try:
        yield True
    finally:
        holding.__exit__(None, None, None)


@contextmanager
def _file(path: Path) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError:
        yield False
        return
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


def users(folder: Path) -> list[int]:
    """Processes of this machine that have a file below a folder open or mapped.

    Only those are seen whose ``/proc`` entries may be read; none where there is no ``/proc``.
    """
    inside = f"{folder}{os.sep}"
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            mapped = (process / "maps").read_text(errors="replace")
            opened = inside in mapped or any(
                _target(descriptor).startswith(inside) for descriptor in (process / "fd").iterdir()
            )
            if opened:
                found.append(int(process.name))
    return sorted(found)


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""
