"""Files of a Hub repository: fetched piece by piece, and held against the hashes of the Hub."""

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

PARTS = ".parts"
"""Folder inside a download for files that are not complete."""

_WORKERS = 8
_EVERY = 5.0
_BLOCK = 1 << 20


@dataclass(frozen=True)
class HubFile:
    """One file as the Hub lists it.

    Attributes:
        path: Path inside the repository.
        size: Bytes.
        digest: SHA-256 of a Git LFS file; else git's SHA-1 of the blob, which covers ``blob SIZE``
            and a zero byte before the content.
        lfs: Which of the two.
    """

    path: str
    size: int
    digest: str
    lfs: bool

    def part(self, directory: Path) -> Path:
        """Where its bytes are gathered; another for other bytes under the same path."""
        name = hashlib.sha256(self.path.encode()).hexdigest()[:16]
        return directory / PARTS / f"{name}-{self.digest[:16]}"

    def matches(self, path: Path) -> bool:
        """Whether the bytes on disk are those that the Hub listed."""
        if not path.is_file() or path.is_symlink() or path.stat().st_size != self.size:
            return False
        digest = hashlib.sha256() if self.lfs else hashlib.sha1(b"blob %d\0" % self.size)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest() == self.digest


Fetch = Callable[["HubFile", io.BufferedWriter, int], None]
"""Appends to a file that has so many bytes already what is missing of it."""

Report = Callable[[int, int], None]
"""Is told how far a download is: files that are complete, bytes on disk."""


class StoppedError(Exception):
    """Another file of the same download failed."""


class _Part(io.BufferedWriter):
    """A file under way that can be stopped from outside between two pieces."""

    stop: Event

    def write(self, piece: Any) -> int:
        if self.stop.is_set():
            raise StoppedError
        return super().write(piece)


def complete_files(files: list[HubFile], directory: Path) -> set[str]:
    """Paths of the files that are there with the right bytes; wrong ones are removed."""
    right = set()
    for file in files:
        path = directory / file.path
        if file.matches(path):
            right.add(file.path)
        elif path.is_symlink() or path.is_file():
            path.unlink()
    return right


def bytes_there(files: list[HubFile], directory: Path) -> int:
    """Bytes on disk of files that are complete or under way."""
    total = 0
    for file in files:
        for path in (directory / file.path, file.part(directory)):
            try:
                total += min(path.stat().st_size, file.size)
                break
            except FileNotFoundError:
                continue
    return total


def download(files: list[HubFile], directory: Path, fetch: Fetch, report: Report) -> list[str]:
    """Bring the missing files, several at a time, and hold each against its hash.

    A file takes its name in ``directory`` only when its hash is right. What a broken connection or
    a killed process leaves under way is continued by the next call.

    Args:
        files: What is missing.
        directory: The download's folder.
        fetch: Brings the bytes of one file.
        report: Called every few seconds.

    Returns:
        Paths of the files whose bytes were wrong; they are removed.

    Raises:
        Exception: What ``fetch`` raised first; the others are stopped.
    """
    (directory / PARTS).mkdir(parents=True, exist_ok=True)
    stop = Event()
    with ThreadPoolExecutor(_WORKERS) as pool:
        running: dict[Future[bool], HubFile] = {
            pool.submit(_one, file, directory, fetch, stop): file for file in files
        }
        waiting = set(running)
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=_EVERY, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if waiting:
                    finished = sum(future.done() for future in running)
                    report(finished, bytes_there(files, directory))
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return sorted(file.path for future, file in running.items() if not future.result())


def _one(file: HubFile, directory: Path, fetch: Fetch, stop: Event) -> bool:
    """Bring one file; False where its bytes were wrong."""
    if stop.is_set():
        raise StoppedError
    part, path = file.part(directory), directory / file.path
    have = part.stat().st_size if part.exists() else 0
    if have > file.size:
        part.unlink()
        have = 0
    with _Part(io.FileIO(part, "ab")) as into:
        into.stop = stop
        if have < file.size:
            fetch(file, into, have)
    if not file.matches(part):
        part.unlink()
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part.replace(path)
    return True
