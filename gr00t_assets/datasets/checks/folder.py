"""The files of a dataset as checks may open them: inside its folder, regular, of a sane size."""

import os
import stat
from pathlib import Path, PurePosixPath

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.lerobot_files import is_lfs_pointer

LARGEST_OBJECT_BYTES = 16 * 2**20
"""Of a meta file that is one JSON object, which takes some forty times its size to read."""

LARGEST_META_BYTES = 64 * 2**20
"""Of a meta file of lines; episodes.jsonl of 200,000 episodes has about 30 MB."""

LARGEST_FILE_BYTES = 8 * 2**30
"""Of one Parquet or video file: an hour of 4K video is less."""


class Folder:
    """A dataset's folder.

    Args:
        directory: The folder; may itself be a symbolic link.
        collector: Takes what is wrong with the files.
    """

    def __init__(self, directory: Path, collector: Collector) -> None:
        self.directory = directory
        self.collector = collector
        self._real = directory.resolve()

    def opened(self, file: str, most_bytes: int = LARGEST_FILE_BYTES) -> Path | None:
        """The path of a file that can be read; what is wrong with it becomes a finding.

        A missing file gives ``None`` without a finding, since the caller knows what it means; a
        link out of the folder too, since :meth:`see_links` reports those.
        """
        path = self.directory / file
        if not self.holds(file):
            return None
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                self.collector.error(
                    "not-a-file", file, "a folder or a device", "a file", "put the file in place"
                )
                return None
            if found.st_size == 0:
                self.collector.error(
                    "empty-file", file, "0 bytes", "its content", "copy or download it again"
                )
                return None
            if found.st_size > most_bytes:
                self.collector.error(
                    "file-too-large",
                    file,
                    f"{found.st_size / 2**20:,.0f} MB",
                    f"at most {most_bytes / 2**20:,.0f} MB",
                    "see what wrote it: no dataset of this format needs that much here",
                )
                return None
            if is_lfs_pointer(path):
                self.collector.error(
                    "lfs-pointer",
                    file,
                    "a Git LFS pointer in place of the content",
                    "the content itself",
                    "run git lfs pull in the repository that it was cloned from",
                )
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            self.unreadable(file, error)
            return None
        return path

    def exists(self, file: str) -> bool:
        """Whether there is anything at the path, such as a link that leads nowhere."""
        try:
            return os.path.lexists(self.directory / file)
        except ValueError:
            return False

    def holds(self, file: str) -> bool:
        """Whether a path, with its links followed, is inside the folder."""
        try:
            return (self.directory / file).resolve().is_relative_to(self._real)
        except (OSError, ValueError, RuntimeError):
            return False

    def unreadable(self, file: str, error: Exception) -> None:
        """Report a file that the system does not give."""
        reason = getattr(error, "strerror", None) or str(error)
        self.collector.error(
            "file-unreadable",
            file,
            reason,
            "a file that can be read",
            "check its permissions and the disk, or copy it again",
        )

    def see_links(self) -> None:
        """Report every symbolic link that leads out of the folder or nowhere."""
        for parent, folders, files in os.walk(self.directory):
            for name in (*folders, *files):
                path = Path(parent, name)
                if not path.is_symlink():
                    continue
                file = path.relative_to(self.directory).as_posix()
                if not self.holds(file):
                    self.collector.error(
                        "symlink-escape",
                        file,
                        f"a symbolic link to {path.readlink()}",
                        "files that lie inside the dataset's folder",
                        "copy the dataset with its links resolved: cp -rL SOURCE TARGET",
                    )
                elif not path.exists():
                    self.collector.error(
                        "symlink-broken",
                        file,
                        f"a symbolic link to {path.readlink()}, which is not there",
                        "the file itself",
                        "copy the file in place of the link",
                    )


def leaves_folder(file: str) -> bool:
    """Whether a relative path is absolute or goes up.

    Example:
        >>> leaves_folder("data/../../x"), leaves_folder("data/x")
        (True, False)
    """
    path = PurePosixPath(file)
    return path.is_absolute() or ".." in path.parts or "\0" in file
