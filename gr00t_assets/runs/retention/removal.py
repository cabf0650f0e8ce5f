"""One thing that can be deleted, why, and how."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gr00t_assets.runs.retention.checkpoints import COMPLETE, WEIGHTS_ONLY
from gr00t_assets.runs.retention.deletion import remove, remove_files

Kind = Literal["checkpoint", "optimizer state", "frame cache", "model", "leftover"]


@dataclass(frozen=True)
class Removal:
    """What is to go.

    Attributes:
        kind: What it is.
        path: A file or a folder; of optimizer state the checkpoint's folder.
        why: In words.
        files: Names in ``path`` where only these go, as with optimizer state.
        lock: Folder or file that says whether somebody uses it: a run directory, or a lock file.
        of_finished: It may go only while the run whose directory is the lock is finished.
    """

    kind: Kind
    path: Path
    why: str
    files: tuple[str, ...] = ()
    lock: Path | None = None
    of_finished: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders that go."""
        return tuple(self.path / name for name in self.files) or (self.path,)

    def carry_out(self, root: Path) -> None:
        """Delete it.

        Args:
            root: The store's root, which is not left.

        Raises:
            StoreError: It may not or cannot be deleted.
        """
        if self.files:
            remove_files(root, self.path, self.files, COMPLETE, WEIGHTS_ONLY)
        else:
            remove(root, self.path)
