"""Checksums of decoded frames: a CRC-32 of each, so that one is checked when it is read.

They are in a JSON file beside the frames, with those of the array's head and of the small files
that belong to it. Arrays of versions 0.1 and 0.2 have none and are read as they are.
"""

import time
import zlib
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
from pydantic import Field

from gr00t_assets.core.checksums import crc32
from gr00t_assets.core.files import LARGEST_LIST, FrozenModel, read_limited, write_bytes

CHECKSUMS = "checksums.json"
"""Beside the arrays of a camera in a frame cache."""

FRAMES = "frames.npy"
"""The array of a camera in a frame cache."""

HEAD = -1
"""Stands for the head of an array where rows are named."""


class FrameChecksums(FrozenModel):
    """CRC-32 of all that an array of frames, ``(frames, height, width, 3)`` uint8, consists of."""

    frame_bytes: int = Field(description="Of one frame")
    head: int = Field(description="Of the bytes before the first frame")
    frames: tuple[int, ...] = Field(description="Of each frame, by row")
    files: dict[str, int] = Field(default={}, description="Of small files beside it, by name")

    def fits(self, folder: Path) -> bool:
        """Whether the small files and the head of ``frames.npy`` are as they were written."""
        if next(self.damaged_rows(folder / FRAMES, ()), None) is not None:
            return False
        paths = ((folder / name, value) for name, value in self.files.items())
        return all(path.is_file() and crc32(path) == value for path, value in paths)

    def damaged_rows(self, array: Path, rows: Iterable[int] | None = None) -> Iterator[int]:
        """Rows whose frame is not as it was written; ``HEAD`` for what is before the frames.

        Args:
            array: The ``.npy`` file.
            rows: Those to look at, read one after another; all by default.

        Raises:
            OSError: The file cannot be read.
        """
        head = array.stat().st_size - len(self.frames) * self.frame_bytes
        with array.open("rb", buffering=0) as file:
            if zlib.crc32(file.read(max(head, 0))) != self.head:
                yield HEAD
                return
            for row in range(len(self.frames)) if rows is None else rows:
                file.seek(head + row * self.frame_bytes)
                if zlib.crc32(file.read(self.frame_bytes)) != self.frames[row]:
                    yield row

    def sampled_damage(self, array: Path, seconds: float) -> int | None:
        """The first damaged row of those that can be read in so many seconds, in a random order.

        The order is another one at every call.

        Raises:
            OSError: The file cannot be read.
        """
        until = time.monotonic() + seconds
        order = np.random.default_rng().permutation(len(self.frames)).tolist()
        rows = takewhile(lambda _: time.monotonic() < until, order)
        return next(self.damaged_rows(array, rows), None)


def load_checksums(path: Path) -> FrameChecksums | None:
    """Checksums from their file; None where there are none, as in older stores.

    Raises:
        ValueError: The file is damaged.
    """
    if not path.is_file():
        return None
    return FrameChecksums.model_validate_json(read_limited(path, LARGEST_LIST))


def damaged_frames(folder: Path) -> Iterator[int]:
    """Rows of a camera of a frame cache that are damaged; none where it has no checksums.

    Raises:
        OSError: A file cannot be read.
        ValueError: The checksums are damaged.
    """
    checksums = load_checksums(folder / CHECKSUMS)
    return iter(()) if checksums is None else checksums.damaged_rows(folder / FRAMES)


def save_checksums(checksums: FrameChecksums, path: Path) -> None:
    """Write checksums in one step."""
    write_bytes(path, checksums.model_dump_json().encode())
