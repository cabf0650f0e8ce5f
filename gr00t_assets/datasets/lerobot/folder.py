"""The files of a dataset as they may be opened, and JSON: an object, or one object a line.

Whatever is wrong with a file becomes a finding; nothing here raises for a fault of the dataset.
"""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import LARGEST_JSON
from gr00t_assets.core.finding import Collector, FaultCatalogue, short
from gr00t_assets.core.text import has_lone_surrogate

FAULTS = FaultCatalogue(Path(__file__).parents[1] / "faults.yaml")
"""What the checks of a dataset report."""

LFS_POINTER = b"version https://git-lfs"

LARGEST_META_BYTES, MOST_LINES, MOST_LINE_CHARACTERS = 64 * 2**20, 200_000, 100_000
"""Of a meta file of episodes or tasks; episodes.jsonl of 200,000 episodes has about 30 MB."""

LARGEST_FILE_BYTES = 8 * 2**30
"""Of one Parquet or video file: an hour of 4K video is less."""


class Folder:
    """A dataset's folder.

    Args:
        directory: The folder; may itself be a symbolic link.
        confined: Whether links that lead out of the folder are passed over; a working copy may
            consist of links to its download.
        replaced: Files that stand in for those of the folder, by path relative to it.
        leaves_out: Whether an episode is read as if it was not there; all are there by default.

    Attributes:
        collector: Takes what is wrong with the files.
        left_out: Episodes that were listed and are left out; those of shared files with their
            places, since their frames lie among the others.
    """

    def __init__(
        self,
        directory: Path,
        confined: bool = True,
        replaced: Mapping[Path, Path] | None = None,
        leaves_out: Callable[[int], bool] | None = None,
    ) -> None:
        self.directory, self.confined, self._real = directory, confined, directory.resolve()
        self.is_partial, self.left_out = leaves_out is not None, dict[int, Any]()
        self.leaves_out = leaves_out or (lambda _: False)
        self._replaced = {path.as_posix(): file for path, file in (replaced or {}).items()}
        self.collector = Collector(FAULTS)

    def opened(self, file: str, most_bytes: int = LARGEST_FILE_BYTES) -> Path | None:
        """The path of a file that can be read; what is wrong with it becomes a finding.

        A missing file gives ``None`` without a finding, since the caller knows what it means; a
        link out of the folder too, since ``check_links`` reports those.
        """
        path = self._replaced.get(file, self.directory / file)
        if self.confined and file not in self._replaced and not self.holds(file):
            return None
        try:
            size = path.stat().st_size
            if not path.is_file():
                self.collector.report("not-a-file", file, "a folder or a device")
            elif size == 0:
                self.collector.report("empty-file", file, "0 bytes")
            elif size > most_bytes:
                found, most = f"{size / 2**20:,.0f} MB", most_bytes / 2**20
                self.collector.report("file-too-large", file, found, megabytes=most)
            elif is_lfs_pointer(path):
                found = "a Git LFS pointer in place of the content"
                self.collector.report("lfs-pointer", file, found)
            else:
                return path
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self.report_unreadable(file, error)
        return None

    def exists(self, file: str) -> bool:
        """Whether there is anything at the path, such as a link that leads nowhere."""
        try:
            return file in self._replaced or os.path.lexists(f"{self.directory}/{file}")
        except ValueError:
            return False

    def holds(self, file: str) -> bool:
        """Whether a path, with its links followed, is inside the folder."""
        try:
            return (self.directory / file).resolve().is_relative_to(self._real)
        except (OSError, ValueError, RuntimeError):
            return False

    def relative(self, path: Path) -> str:
        """A path as findings show it, relative to the folder."""
        return path.relative_to(self.directory).as_posix()

    def report_unreadable(self, file: str, error: Exception) -> None:
        """Report a file that the system does not give."""
        reason = getattr(error, "strerror", None) or str(error)
        self.collector.report("file-unreadable", file, reason)

    def check_links(self) -> None:
        """Report every symbolic link that leads out of the folder or nowhere."""
        for path in filter(Path.is_symlink, self.directory.rglob("*")):
            file, link = self.relative(path), f"a symbolic link to {path.readlink()}"
            if not self.holds(file):
                self.collector.report("symlink-escape", file, link)
            elif not path.exists():
                self.collector.report("symlink-broken", file, f"{link}, which is not there")

    def warnings(self) -> tuple[str, ...]:
        """What was found that is odd and yet usable, each with its file."""
        findings = self.collector.findings()
        return tuple(
            f"{item.subject}: {item.found}" if item.subject else item.found
            for item in findings.warnings
        )

    def raise_errors(self, name: str, problem: str) -> None:
        """Raise all errors found so far as one DatasetError; ``problem`` is what they mean."""
        if not (findings := self.collector.findings()).ok:
            lines = [f"{item.subject or name}: {item.text}" for item in findings.errors]
            raise DatasetError(name, problem, lines)


def report_missing_files(folder: Folder, files: Iterable[str], fault: str, **texts: str) -> None:
    """Report files that are not there; of a folder that is not there, the folder."""
    chunks: dict[str, list[str]] = defaultdict(list)
    for file in files:
        chunks[file.rpartition("/")[0]].append(file)
    for chunk, members in chunks.items():
        if not folder.exists(chunk):
            names = {"count": len(members), "first": members[0].rpartition("/")[2]}
            folder.collector.report("chunk-missing", chunk, "no such folder", **names)
            continue
        for file in members:
            if not folder.exists(file):
                folder.collector.report(fault, file, "no such file", **texts)


def leaves_folder(file: str) -> bool:
    """Whether a relative path is absolute or goes up.

    Examples:
        >>> leaves_folder("data/../../x"), leaves_folder("data/x")
        (True, False)
    """
    path = PurePosixPath(file)
    return path.is_absolute() or ".." in path.parts or "\0" in file


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is what Git LFS leaves where the content was not downloaded."""
    with path.open("rb") as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER


def read_object(
    folder: Folder, file: str, missing: str | None = "meta-missing"
) -> dict[str, Any] | None:
    """The object of a JSON file; ``None`` where it cannot be had, and why is a finding.

    ``missing`` is the fault where the file is not there; none where it need not be.
    """
    text = _read_text(folder, file, missing, LARGEST_JSON)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        folder.collector.report("not-json", file, f"not JSON: {_reason(error)}")
        return None
    if not isinstance(value, dict):
        folder.collector.report("not-an-object", file, short(value))
    elif "\\u" in text and has_lone_surrogate(value):
        folder.collector.report("text-not-unicode", file, "half of a surrogate pair")
    else:
        return value
    return None


def read_lines(folder: Folder, file: str) -> Iterator[tuple[int, dict[str, Any]]] | None:
    """Line numbers and objects of a file with a JSON object on each line.

    ``None`` where the file cannot be had. Lines that are no objects are findings and passed over.
    """
    text = _read_text(folder, file, "meta-missing", LARGEST_META_BYTES)
    return None if text is None else _objects(folder.collector, file, text)


def first_few(items: Sequence[object]) -> str:
    """The first of some items in a sentence, and how many there are besides.

    Examples:
        >>> first_few(range(10))
        '0, 1, 2, 3, 4, 5, 6, 7 and 2 more'
    """
    shown, others = ", ".join(map(str, items[:8])), len(items) - 8
    return f"{shown} and {others} more" if others > 0 else shown


def episode_names(numbers: Sequence[int]) -> str:
    """Episode numbers for a sentence, the first few of them.

    Examples:
        >>> episode_names([3, 7]), episode_names([5])
        ('episodes 3, 7', 'episode 5')
    """
    return f"{'episode' if len(numbers) == 1 else 'episodes'} {first_few(numbers)}"


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _objects(collector: Collector, file: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if number > MOST_LINES:
            found = f"more than {MOST_LINES:,} lines"
            collector.report("too-many-lines", file, found, lines=MOST_LINES)
            return
        item, problem = None, f"has {len(line):,} characters"
        if len(line) <= MOST_LINE_CHARACTERS:
            try:
                item = json.loads(line)
                problem = f"is {short(item)}"
            except (ValueError, RecursionError) as error:
                problem = f"is not JSON: {_reason(error)}"
        if not isinstance(item, dict):
            collector.report("line-not-json", file, f"line {number} {problem}")
        elif "\\u" in line and has_lone_surrogate(item):
            found = f"line {number} has half of a surrogate pair"
            collector.report("text-not-unicode", file, found)
        else:
            yield number, item


def _read_text(folder: Folder, file: str, missing: str | None, most_bytes: int) -> str | None:
    path = folder.opened(file, most_bytes)
    if path is None:
        if missing is not None and not folder.exists(file):
            folder.collector.report(missing, file, "no such file")
        return None
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        folder.report_unreadable(file, error)
    except UnicodeDecodeError as error:
        folder.collector.report("not-text", file, f"byte {error.start} is not UTF-8")
    return None


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
