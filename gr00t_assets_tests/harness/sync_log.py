"""What a power cut leaves at worst: of each file and folder what it was at its last fsync.

``recorded`` copies every fsync of this process, and of Pythons that it starts, into a log.
``Disk.after`` lays out the folder as the first so many of them leave it: a name is there once its
folder was synced, with the bytes that the file had when it was synced last, or none. Only the
standard library is used, since the log is also kept under other programs' Python.
"""

import json
import os
import random
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

ROOT, LOG = "SYNC_LOG_ROOT", "SYNC_LOG"
"""Environment variables: the folder that is watched, and the folder of the log."""

Tail = Literal["lost", "torn", "zeros"]
"""What is left of lines that were appended and not synced."""

_INSTALL = "from gr00t_assets_tests.harness import sync_log\nsync_log.install()\n"


@contextmanager
def recorded(root: Path, log: Path) -> Iterator[None]:
    """Keep a log, in a folder that is made, while the block lasts."""
    log.mkdir()
    (log / "sitecustomize.py").write_text(_INSTALL)
    tests = Path(__file__).parents[2]
    path = f"{log}:{tests}:{os.environ.get('PYTHONPATH', '')}"
    kept, functions = dict(os.environ), (os.fsync, os.fdatasync)
    os.environ.update({ROOT: str(root), LOG: str(log), "PYTHONPATH": path})
    pinned = install()
    try:
        yield
    finally:
        os.fsync, os.fdatasync = functions
        os.environ.clear()
        os.environ.update(kept)
        for descriptor in pinned.values():
            os.close(descriptor)


def install() -> dict[int, int]:
    """Keep a log of this process from now on; the descriptors that are open for it, by inode."""
    root, log = os.environ[ROOT], Path(os.environ[LOG])
    pinned: dict[int, int] = {}

    def pin(path: str, inode: int) -> None:
        # So that no other file is given the number meanwhile.
        if inode not in pinned:
            pinned[inode] = os.open(path, os.O_PATH | os.O_NOFOLLOW)

    def write(descriptor: int) -> None:
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        if not f"{path}/".startswith(f"{root}/"):
            return
        status = os.fstat(descriptor)
        pin(path, status.st_ino)
        name = f"{time.monotonic_ns():020d}-{os.getpid()}"
        event: dict[str, Any] = {"inode": status.st_ino, "path": path, "lines": {}}
        for lines in Path(root).rglob("*.jsonl"):
            event["lines"][lines.stat().st_ino] = lines.read_bytes().hex()
        if stat.S_ISDIR(status.st_mode):
            event["entries"] = entries = {}
            for entry in os.scandir(path):
                pin(entry.path, entry.inode())
                entries[entry.name] = [entry.inode(), entry.is_dir(follow_symlinks=False)]
        else:
            shutil.copyfile(path, log / f"{name}.bytes")
        (log / f".{name}").write_text(json.dumps(event))
        (log / f".{name}").rename(log / f"{name}.json")

    for function in (os.fsync, os.fdatasync):

        def synced(descriptor: Any, sync: Any = function) -> None:
            sync(descriptor)
            write(descriptor if isinstance(descriptor, int) else descriptor.fileno())

        setattr(os, function.__name__, synced)
    return pinned


class Disk:
    """What a log says of the folder ``root``, which was empty and on the disk before it."""

    def __init__(self, root: Path, log: Path) -> None:
        self._root, self._inode = root, root.stat().st_ino
        self._files = sorted(log.glob("*.json"))
        self.events = [json.loads(path.read_text()) for path in self._files]

    def after(self, events: int, tail: Tail = "lost", seed: int = 0) -> None:
        """Make the folder what it is when the power goes right after so many events.

        Of the lines that were in a ``.jsonl`` file by then and not synced nothing is left, or a
        part that ends anywhere, or as many zero bytes, as file systems have it.
        """
        contents: dict[int, bytes] = {}
        folders: dict[int, dict[str, list[Any]]] = {}
        for event, file in zip(self.events[:events], self._files, strict=False):
            if "entries" in event:
                folders[event["inode"]] = event["entries"]
            else:
                contents[event["inode"]] = file.with_suffix(".bytes").read_bytes()
        draw = random.Random(seed)
        lines = self.events[events - 1]["lines"] if events and tail != "lost" else {}
        for number, text in lines.items():
            whole, kept = bytes.fromhex(text), contents.get(int(number), b"")
            more = whole[len(kept) : draw.randint(len(kept), len(whole))]
            contents[int(number)] = kept + (bytes(len(more)) if tail == "zeros" else more)
        shutil.rmtree(self._root)
        self._lay_out(self._inode, self._root, folders, contents)

    def _lay_out(
        self,
        inode: int,
        folder: Path,
        folders: dict[int, dict[str, list[Any]]],
        contents: dict[int, bytes],
    ) -> None:
        folder.mkdir()
        for name, (number, is_folder) in folders.get(inode, {}).items():
            if is_folder:
                self._lay_out(number, folder / name, folders, contents)
            else:
                (folder / name).write_bytes(contents.get(number, b""))
