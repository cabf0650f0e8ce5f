"""What is wrong with a v3.0 dataset, collected until all of it is known."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.lerobot_files import LFS_POINTER, MOST_PROBLEMS, is_lfs_pointer


class Findings:
    """Problems and warnings about one dataset.

    Attributes:
        directory: The dataset's folder; messages show paths relative to it.
        name: What errors call the dataset.
        problems: What stops a conversion.
        warnings: Odd, and yet convertible.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def stop(self) -> None:
        """Go no further where anything is wrong.

        Raises:
            DatasetError: Every problem, up to the number that a reader can use.
        """
        if not self.problems:
            return
        shown = self.problems[:MOST_PROBLEMS]
        rest = len(self.problems) - len(shown)
        raise DatasetError(
            self.name,
            "this LeRobot v3.0 dataset cannot be converted to v2.1.",
            [*shown, *([f"and {rest} more"] if rest else []), f"folder: {self.directory}"],
        )

    def see_file(self, path: Path) -> bool:
        """Whether a file inside the dataset is there with content; a problem where it is not."""
        shown = self.shown(path)
        try:
            inside = path.is_relative_to(self.directory)
            if not inside or ".." in path.relative_to(self.directory).parts:
                self.problems.append(f"{shown} is outside of the dataset's folder")
            elif not path.is_file():
                self.problems.append(f"{shown} is missing")
            elif path.stat().st_size < len(LFS_POINTER):
                self.problems.append(f"{shown} is empty or cut off")
            elif is_lfs_pointer(path):
                self.problems.append(f"{shown} is a Git LFS pointer: run git lfs pull")
            else:
                return True
        except (OSError, ValueError) as error:
            self.problems.append(f"{shown} cannot be read: {error}")
        return False

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Turn a Parquet file that cannot be read to its end into a problem; a full disk is none.

        Args:
            what: What is read, for the message.
        """
        try:
            yield
        except (OSError, ValueError, pa.ArrowException) as error:
            if is_disk_full(error):
                raise
            line = (str(error).splitlines() or [type(error).__name__])[0]
            self.problems.append(f"{what} cannot be read: {line}")

    def shown(self, path: Path) -> str:
        """A path as messages show it."""
        if path.is_relative_to(self.directory):
            return path.relative_to(self.directory).as_posix()
        return str(path)


def is_disk_full(error: Exception) -> bool:
    """Whether an error says that nothing more can be written."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def listed(numbers: Sequence[int], most: int = 8) -> str:
    """Episode numbers for a sentence, the first few of them.

    Example:
        >>> listed([3, 7])
        'episodes 3, 7'
        >>> listed([5])
        'episode 5'
        >>> listed(list(range(9)), most=2)
        'episodes 0, 1 and 7 more'
    """
    shown = ", ".join(str(number) for number in numbers[:most])
    rest = len(numbers) - most
    word = "episode" if len(numbers) == 1 else "episodes"
    return f"{word} {shown}" + (f" and {rest} more" if rest > 0 else "")
