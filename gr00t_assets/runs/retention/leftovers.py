"""What killed processes left half-made: hidden files and folders whose writer is dead."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from gr00t_assets.core.files import PARTIAL
from gr00t_assets.core.processes import is_alive
from gr00t_assets.core.project import Store
from gr00t_assets.runs.retention.removal import Removal

_WRITER = re.compile(rf"{re.escape(PARTIAL)}(\d+)(?:-[0-9a-f]{{8}})?$")
_LAUNCHER = re.compile(r"\..+\.partial$")


def is_leftover_name(name: str) -> bool:
    """Whether a file or folder of this name is half-made.

    Example:
        >>> [is_leftover_name(name) for name in (".model.partial-12-0a1b2c3d", "model")]
        [True, False]
    """
    return name.startswith(".") and (PARTIAL in name or _LAUNCHER.match(name) is not None)


def leftovers(store: Store) -> list[Removal]:
    """Every half-made file or folder of the store whose writer is not known to be alive.

    A name with a process id is that process's. One without is its folder's lock holder's: the
    removal's lock has to be had before it is deleted.
    """
    found = []
    for path in _half_made(store.root):
        writer = _WRITER.search(path.name)
        if writer is not None and is_alive(int(writer[1])):
            continue
        lock = _lock(path, store)
        if writer is None and lock is None:
            continue
        who = f"process {writer[1]}, which wrote it, is dead" if writer else "nobody writes it"
        found.append(Removal("leftover", path, who, lock=lock))
    return found


def _half_made(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_symlink():
            continue
        if is_leftover_name(entry.name):
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _half_made(Path(entry.path))


def _lock(path: Path, store: Store) -> Path | None:
    """What its writer holds while it writes."""
    top, *inner = path.relative_to(store.root).parts
    if top == "runs" and len(inner) > 2:
        return store.root / top / inner[0] / inner[1]
    if top == "datasets" and len(inner) > 1:
        return store.root / top / inner[0] / ".lock"
    if top == "frame_caches" and len(inner) > 2:
        return store.root / top / inner[0] / f".{inner[1]}.lock"
    return None
