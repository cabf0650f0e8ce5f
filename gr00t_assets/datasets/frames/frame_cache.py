"""Reading a frame cache: decoded frames in a memory map, found by their timestamps.

Each frame is held against its checksum when a process reads it first.
"""

import mmap
import zlib
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import materialize_command
from gr00t_assets.datasets.frames.frame_index import (
    CHECKSUMS,
    FRAMES,
    HEAD,
    TIMES,
    FrameChecksums,
    FrameIndex,
    Size,
    cache_folder,
    load_checksums,
    read_indices,
)
from gr00t_assets.datasets.videos import nearest_rows

MAPPED_BYTES = 96 << 20
"""Bytes of frames that are read before their pages are released: a process stays small, and the
operating system still has the file in its cache."""


class FrameCache:
    """Decoded frames; made by ``open``.

    Attributes:
        cameras: Feature names of the cameras that it holds.
        size: Width and height that frames were resized to; None where they are the video's own.
    """

    def __init__(self, directory: Path, indices: dict[str, FrameIndex], size: Size | None) -> None:
        self._folder = folder = cache_folder(directory, size)
        self._name, self.cameras, self.size = directory.parent.name, tuple(indices), size
        self._frames: dict[str, np.ndarray] = {}
        self._start: dict[tuple[str, int], int] = {}
        self._timestamps: dict[tuple[str, int], np.ndarray] = {}
        self._checksums: dict[str, FrameChecksums] = {}
        self._unread: dict[str, np.ndarray] = {}
        self._read_bytes = 0
        for camera, index in indices.items():
            if (checksums := load_checksums(folder / camera / CHECKSUMS)) is not None:
                self._checksums[camera] = checksums
                self._unread[camera] = np.ones(len(checksums.frames), bool)
            self._frames[camera] = np.load(folder / camera / FRAMES, mmap_mode="r")
            times = np.load(folder / camera / TIMES)
            for span in index.plan.spans:
                self._start[camera, span.episode] = span.first_row
                self._timestamps[camera, span.episode] = times[span.rows]

    @classmethod
    def open(cls, directory: Path, size: Size | None = None) -> "FrameCache":
        """Map a frame cache into memory; no frame is read before it is asked for.

        Raises:
            DatasetError: There is no frame cache, or it is damaged.
        """
        name, indices = directory.parent.name, read_indices(cache_folder(directory, size))
        command = materialize_command("frame_cache", name)
        if not indices:
            of_size = f" of {size[0]} x {size[1]}" if size else ""
            problem = f"this dataset version has no frame cache{of_size}."
            raise DatasetError(name, problem, [f"run: {command}"])
        if damaged := [camera for camera, index in indices.items() if index is None]:
            details = [*damaged, f"decode it anew: {command}"]
            raise DatasetError(name, "its frame cache is damaged, or of an older form.", details)
        return cls(directory, {name: index for name, index in indices.items() if index}, size)

    def timestamps(self, episode: int, camera: str) -> np.ndarray:
        """Presentation times of an episode's frames in seconds, shape ``(frames,)``, float64.

        Raises:
            DatasetError: The cache has no such camera or episode.
        """
        try:
            return self._timestamps[camera, episode]
        except KeyError:
            problem = f"its frame cache has no episode {episode} of camera {camera}."
            details = [f"cameras in it: {', '.join(self.cameras)}"]
            raise DatasetError(self._name, problem, details) from None

    def rows(self, episode: int, camera: str, timestamps: np.ndarray) -> np.ndarray:
        """Row of the frame that is nearest to each timestamp, by NVIDIA's rule, for ``frames``.

        Timestamps are seconds, shape ``(n,)``; rows too, int64.
        """
        times = self.timestamps(episode, camera)
        return self._start[camera, episode] + nearest_rows(times, timestamps)

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Frames by row, shape ``(n, height, width, 3)``, uint8 RGB, copied out of the map.

        Raises:
            DatasetError: One is not as it was decoded.
        """
        chosen = np.asarray(self._frames[camera])[rows]
        if (unread := self._unread.get(camera)) is not None:
            for place in np.flatnonzero(unread[rows]):
                row = int(rows[place])
                if zlib.crc32(chosen[place].data) != self._checksums[camera].frames[row]:
                    raise self._damaged(camera, row)
            unread[rows] = False
        self._read_bytes += chosen.nbytes
        if self._read_bytes >= MAPPED_BYTES:
            self._read_bytes = 0
            for frames in self._frames.values():
                # The map behind the frames, which NumPy keeps under a private name.
                frames._mmap.madvise(mmap.MADV_DONTNEED)  # pyright: ignore[reportAttributeAccessIssue]
        return chosen

    def sample(self, seconds: float) -> list[str]:
        """Look at frames drawn at random for so many seconds, at others in every call.

        Gives the cameras whose frames have no checksums, as in caches of versions 0.1 and 0.2.

        Raises:
            DatasetError: One is not as it was decoded.
        """
        for camera, checksums in self._checksums.items():
            array = self._folder / camera / FRAMES
            row = checksums.sampled_damage(array, seconds / len(self._checksums))
            if row is not None:
                raise self._damaged(camera, row)
        return [camera for camera in self.cameras if camera not in self._checksums]

    def _damaged(self, camera: str, row: int) -> DatasetError:
        where = "the head of its array"
        if row != HEAD:
            starts = self._start.items()
            firsts = {start: episode for (name, episode), start in starts if name == camera}
            first = max(start for start in firsts if start <= row)
            where = f"frame {row - first} of episode {firsts[first]}"
        found = f"{camera}: {where} is not as it was decoded"
        remedy = f"decode it anew: {materialize_command('frame_cache', self._name)}"
        return DatasetError(self._name, "its frame cache is damaged.", [found, remedy])

    def frame(self, episode: int, camera: str, timestamp: float) -> np.ndarray:
        """The frame nearest to a timestamp in seconds, shape ``(height, width, 3)``, uint8 RGB."""
        return self.frames(camera, self.rows(episode, camera, np.array([timestamp])))[0]


def earlier_caches(directory: Path) -> list[Path]:
    """Frame caches of other versions of the same dataset, the newest first."""
    siblings = directory.parent.glob("[!.]*") if directory.parent.is_dir() else ()
    caches = [path for path in siblings if path.is_dir() and path != directory]
    return sorted(caches, key=lambda path: path.stat().st_mtime, reverse=True)
