"""What files take of the disk, what is half-made, and deleting, never through a symbolic link.

Sizes are blocks as ``du`` counts them. A folder is renamed before it is emptied, so that what a
kill leaves half deleted has a name that says so; see openat(2) and renameat(2).
"""

import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.files import PARTIAL, free_bytes, machine_hash, partial_name
from gr00t_assets.core.processes import is_alive
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import format_bytes
from gr00t_assets.runs.checkpoint_layout import COMPLETE, WEIGHTS_ONLY
from gr00t_assets.runs.run_directory import LOCK

_BLOCK = 512  # bytes of st_blocks, whatever the file system's own blocks are; see stat(2)
_SPARE = 1 << 20  # bytes for metrics, log and manifest
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_LAUNCHER = re.compile(r"\..+\.partial$")
_WRITER = re.compile(rf"{re.escape(PARTIAL)}(\d+)(?:-([0-9a-f]{{8}})?[0-9a-f]{{8}})?$")
"""Process, and the machine where version 0.2 or older did not write it."""

RemovalKind = Literal["checkpoint", "optimizer state", "frame cache", "model", "leftover"]


@dataclass(frozen=True)
class Removal:
    """A file or folder that is to go; only some ``files`` of it, as with optimizer state.

    The lock of the file ``lock`` says whether somebody uses it. What is ``of_finished`` may go only
    while the run whose lock that is is finished.
    """

    kind: RemovalKind
    path: Path
    why: str
    files: tuple[str, ...] = ()
    lock: Path | None = None
    of_finished: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders that go."""
        return tuple(self.path / name for name in self.files) or (self.path,)


class StoredFile(NamedTuple):
    """One name of a file, what its hard links have in common and how many, bytes of the disk."""

    path: Path
    identity: tuple[int, int]
    links: int
    size: int


def files_below(path: Path) -> Iterator[StoredFile]:
    """Every file below a folder, or the file itself; no symbolic link is followed.

    What disappears meanwhile is left out.
    """
    with suppress(OSError):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
                yield from files_below(Path(entry.path))
        else:
            identity = status.st_dev, status.st_ino
            yield StoredFile(path, identity, status.st_nlink, status.st_blocks * _BLOCK)


def disk_usage(paths: Iterable[Path]) -> int:
    """Bytes that some folders and files take together, a file with several names once."""
    return sum({file.identity: file.size for path in paths for file in files_below(path)}.values())


def freed_bytes(paths: Iterable[Path]) -> int:
    """Bytes that deleting some folders and files would free.

    A file that has a name elsewhere as well, such as the weights of ``model/`` that a checkpoint
    shares, frees nothing.
    """
    files = {file.path: file for path in paths for file in files_below(path)}
    names = Counter(file.identity for file in files.values())
    whole = {f.identity: f.size for f in files.values() if names[f.identity] >= f.links}
    return sum(whole.values())


def is_leftover_name(name: str) -> bool:
    """Whether a file or folder of this name is half-made.

    Examples:
        >>> [is_leftover_name(name) for name in (".model.partial-12-0a1b2c3d", "model")]
        [True, False]
    """
    return name.startswith(".") and (PARTIAL in name or _LAUNCHER.match(name) is not None)


def leftovers(store: Store, others: bool = False) -> list[Removal]:
    """Every half-made file or folder of the store whose writer is not known to be alive.

    Of another machine's processes nothing is known: what they left is among it with ``others``. A
    name without a process id is the lock holder's: the lock is to be had before it is deleted.
    """
    removals = []
    for path in _half_made(store):
        lock = _lock(path, store)
        if writer := _WRITER.search(path.name):
            foreign = writer[2] not in (None, machine_hash())
            if others if foreign else not is_alive(int(writer[1])):
                state = "is another machine's" if foreign else "is dead"
                why = f"process {writer[1]}, which wrote it, {state}"
                removals.append(Removal("leftover", path, why, lock=lock))
        elif lock is not None:
            removals.append(Removal("leftover", path, "no process writes it", lock=lock))
    return removals


def _half_made(store: Store) -> Iterator[Path]:
    for folder, inner, files in os.walk(store.root):
        here = Path(folder)
        names = sorted(name for name in (*inner, *files) if is_leftover_name(name))
        yield from (here / name for name in names if not (here / name).is_symlink())
        inner[:] = sorted(name for name in inner if not is_leftover_name(name))


def _lock(path: Path, store: Store) -> Path | None:
    """What its writer holds while it writes."""
    match path.relative_to(store.root).parts:
        case "runs", experiment, config_hash, _, *_:
            return store.root / "runs" / experiment / config_hash / LOCK
        case "datasets", dataset, _, *_:
            return store.root / "datasets" / dataset / ".lock"
        case "frame_caches", dataset, version, _, *_:
            return store.root / "frame_caches" / dataset / f".{version}.lock"
    return None


def require_disk_space(subject: str, directory: Path, checkpoint: int, model: int) -> None:
    """Refuse to train an experiment where its next checkpoint and its model do not fit together.

    ``checkpoint`` are the bytes of one with its optimizer state, ``model`` those of the final one,
    0 where it shares the files of the last checkpoint.

    Raises:
        StoreError: They do not; the message has the figures.
    """
    free, need = free_bytes(directory), checkpoint + model + _SPARE
    if need <= free:
        return
    raise StoreError(
        subject,
        f"training it needs {format_bytes(need)}, and the disk of its run directory has "
        f"{format_bytes(free)} free; nothing was trained.",
        [
            f"a checkpoint with optimizer state takes {format_bytes(checkpoint)}",
            *([f"the model takes {format_bytes(model)}"] if model else []),
            "see `gr00t-assets store status` and `store prune`, or move the store to a larger disk "
            "with GR00T_ASSETS_STORE; then start it again",
        ],
    )


def remove(root: Path, path: Path, only: Collection[str] = ()) -> None:
    """Delete a file or a folder below the store's root; one that is gone already is no fault.

    A kill in the middle leaves the folder under a hidden name, which the next ``store prune``
    deletes. Before ``only`` some files of a checkpoint go, ``COMPLETE`` becomes ``WEIGHTS_ONLY``.

    Raises:
        StoreError: It is outside the root, is a symbolic link or behind one, or may not be deleted.
    """
    try:
        with _parent(root, path / COMPLETE if only else path) as (folder, name):
            if only:
                _remove_training_files(folder, only)
            elif stat.S_ISLNK(mode := os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise StoreError(str(path), "this is a symbolic link, which is not followed.")
            elif stat.S_ISDIR(mode):
                _remove_folder(folder, name)
            else:
                os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        problem = "a symbolic link leads to it, or what should be a folder is none; it is kept."
        raise StoreError(str(path), problem) from error
    except OSError as error:
        problem = f"it cannot be deleted: {error.strerror}."
        raise StoreError(str(path), problem, ["see whose it is, and delete it by hand"]) from error


def _remove_folder(parent: int, name: str) -> None:
    if not (name.startswith(".") and PARTIAL in name):
        hidden = partial_name(name.lstrip("."))
        os.rename(name, hidden, src_dir_fd=parent, dst_dir_fd=parent)
        os.fsync(parent)
        name = hidden
    shutil.rmtree(name, dir_fd=parent)


def _remove_training_files(checkpoint: int, names: Collection[str]) -> None:
    try:
        os.rename(COMPLETE, WEIGHTS_ONLY, src_dir_fd=checkpoint, dst_dir_fd=checkpoint)
    except FileNotFoundError:
        os.stat(WEIGHTS_ONLY, dir_fd=checkpoint, follow_symlinks=False)
    os.fsync(checkpoint)
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=checkpoint)


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
