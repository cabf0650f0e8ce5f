"""The files of a frame cache: the arrays of each camera, the index of its episodes, and checksums.

One folder a camera: ``frames.npy`` and ``timestamps.npy``, which ``numpy.load`` maps,
``index.json``, and ``checksums.json``, which caches of versions 0.1 and 0.2 lack. Frames of their
own size lie in the cache's folder, resized ones in a folder of their size below it.
"""

import io
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from gr00t_assets.core.checksums import crc32
from gr00t_assets.core.files import LARGEST_LIST, FrozenModel, read_limited
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.recorded_frames import recorded_frames

FRAMES, TIMES = "frames.npy", "timestamps.npy"
INDEX, CHECKSUMS = "index.json", "checksums.json"

HEAD = -1
"""Stands for the head of an array where rows are named."""

Size = tuple[int, int]
"""Width and height in pixels."""

Progress = Callable[[int, int], None]
"""Called with the frames done and the frames in all."""


class FrameChecksums(FrozenModel):
    """CRC-32 of all that an array of frames, ``(frames, height, width, 3)`` uint8, consists of."""

    frame_bytes: int = Field(description="Of one frame")
    head: int = Field(description="Of the bytes before the first frame")
    frames: tuple[int, ...] = Field(description="Of each frame, by row")
    files: dict[str, int] = Field(default={}, description="Of small files beside it, by name")

    def fits(self, folder: Path) -> bool:
        """Whether the small files and the head of ``frames.npy`` are as they were written."""
        if next(self.damaged_rows(folder / FRAMES, 0.0), None) is not None:
            return False
        paths = ((folder / name, value) for name, value in self.files.items())
        return all(path.is_file() and crc32(path) == value for path, value in paths)

    def damaged_rows(self, array: Path, seconds: float | None = None) -> Iterator[int]:
        """Rows whose frame is not as it was written; ``HEAD`` for what is before the frames.

        Of an ``.npy`` file all rows are looked at by default, else those, drawn at random, that can
        be read in so many seconds. A file that cannot be read raises OSError.
        """
        head, rows = array.stat().st_size - len(self.frames) * self.frame_bytes, self.frames
        order: Iterable[int] = range(len(rows))
        if seconds is not None:
            until = time.monotonic() + seconds
            drawn = np.random.default_rng().permutation(len(rows) if seconds else 0).tolist()
            order = takewhile(lambda _: time.monotonic() < until, drawn)
        with array.open("rb", buffering=0) as file:
            if zlib.crc32(file.read(max(head, 0))) != self.head:
                yield HEAD
                return
            for row in order:
                file.seek(head + row * self.frame_bytes)
                if zlib.crc32(file.read(self.frame_bytes)) != rows[row]:
                    yield row


def load_checksums(path: Path) -> FrameChecksums | None:
    """Checksums from their file; None where there are none; ValueError where it is damaged."""
    if not path.is_file():
        return None
    return FrameChecksums.model_validate_json(read_limited(path, LARGEST_LIST))


def damaged_frames(folder: Path) -> Iterator[int]:
    """Rows of a camera of a frame cache that are damaged; none where it has no checksums.

    Raises OSError and ValueError as ``damaged_rows`` and ``load_checksums``.
    """
    checksums = load_checksums(folder / CHECKSUMS)
    return iter(()) if checksums is None else checksums.damaged_rows(folder / FRAMES)


class Span(FrozenModel):
    """The rows of one episode."""

    episode: int = Field(description="Episode index")
    first_row: int = Field(description="Row of its first frame")
    frames: int = Field(description="Frames, one for each row of the episode")

    @property
    def rows(self) -> slice:
        """The rows of its frames."""
        return slice(self.first_row, self.first_row + self.frames)


class FramePlan(FrozenModel):
    """Where every frame of a camera belongs, known before the first of them is decoded."""

    format: Literal[2] = 2
    frames: int = Field(description="Frames of all episodes")
    height: int = Field(description="Pixels of a cached frame")
    width: int = Field(description="Pixels of a cached frame")
    video_height: int = Field(description="Pixels of the video or image")
    video_width: int = Field(description="Pixels of the video or image")
    decoder: str = Field(description="Versions of what turns it into these bytes")
    spans: tuple[Span, ...] = Field(description="Episodes in the order of their rows")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        return self.height * self.width * 3

    @property
    def resized(self) -> bool:
        """Whether the frames have another size than the video's."""
        return (self.width, self.height) != (self.video_width, self.video_height)

    def is_like(self, other: "FramePlan") -> bool:
        """Whether one video gives the same bytes under both plans."""
        names = "height", "width", "video_height", "video_width", "decoder"
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def headers(self) -> dict[str, bytes]:
        """The head of each array's file, by the file's name."""
        shape = (self.frames, self.height, self.width, 3)
        return {FRAMES: array_header("|u1", shape), TIMES: array_header("<f8", (self.frames,))}

    def file_bytes(self) -> dict[str, int]:
        """Bytes of each array's file, by the file's name."""
        row_bytes = {FRAMES: self.frame_bytes, TIMES: 8}
        heads = self.headers().items()
        return {name: len(head) + self.frames * row_bytes[name] for name, head in heads}

    def has_files(self, folder: Path) -> bool:
        """Whether a folder has the arrays' files in their full size."""
        return _have_sizes((folder / name, size) for name, size in self.file_bytes().items())


class Video(FrozenModel):
    """What an episode's frames were decoded from: a video, or images in the rows."""

    sha256: str = Field(description="Of its content, and of the rows' times; 64 hex digits")
    bytes: int = Field(description="Of the file that it is in")


class FrameIndex(FrozenModel):
    """``index.json`` of a camera whose frames are all there."""

    plan: FramePlan
    videos: tuple[Video, ...] = Field(description="One for each span of the plan")

    def fits(self, dataset: LeRobotDataset, camera: str) -> bool:
        """Whether these are the frames of a dataset's episodes; its files are not read."""
        cached = [(span.episode, span.frames) for span in self.plan.spans]
        if cached != [(episode.index, episode.length) for episode in dataset.episodes]:
            return False
        paths = (recorded_frames(dataset, episode, camera).path for episode, _ in cached)
        return _have_sizes(zip(paths, (video.bytes for video in self.videos), strict=True))


@dataclass(frozen=True)
class FrameCacheInfo:
    """What a frame cache holds, and what its last build had to do for it.

    Attributes:
        frames: Frames of all cameras.
        size_bytes: Bytes of all frames.
        cameras: Frames, height and width by camera.
        decoded: Episodes that were decoded; these three are 0 where nothing was built.
        reused: Episodes whose frames were copied from an earlier cache.
        kept: Episodes that an interrupted build had finished.
    """

    frames: int
    size_bytes: int
    cameras: dict[str, tuple[int, int, int]]
    decoded: int = field(default=0, compare=False)
    reused: int = field(default=0, compare=False)
    kept: int = field(default=0, compare=False)


def cache_folder(directory: Path, size: Size | None = None) -> Path:
    """The folder of a cache's cameras: the cache's own, or that of a size below it."""
    return directory if size is None else directory / f"{size[0]}x{size[1]}"


def read_indices(folder: Path) -> dict[str, FrameIndex | None]:
    """Index by camera; None where it is damaged, of an older form, or its files do not fit it.

    Of the frames the number of bytes is looked at and nothing else.
    """
    indices: dict[str, FrameIndex | None] = {}
    for path in sorted(path for path in folder.glob("[!.]*") if (path / INDEX).is_file()):
        indices[path.name] = None
        with suppress(OSError, ValueError):
            index, sums = read_index(path / INDEX), load_checksums(path / CHECKSUMS)
            is_whole = len(index.videos) == len(index.plan.spans) and index.plan.has_files(path)
            if is_whole and (sums is None or sums.fits(path)):
                indices[path.name] = index
    return indices


def read_index(path: Path) -> FrameIndex:
    """An ``index.json``; raises OSError where it is not there, ValueError where it is damaged."""
    return FrameIndex.model_validate_json(read_limited(path, LARGEST_LIST))


def frame_cache_info(directory: Path, size: Size | None = None) -> FrameCacheInfo:
    """What the frame cache in a folder holds."""
    indices = read_indices(cache_folder(directory, size))
    plans = {camera: index.plan for camera, index in indices.items() if index is not None}
    return FrameCacheInfo(
        frames=sum(plan.frames for plan in plans.values()),
        size_bytes=sum(plan.frames * plan.frame_bytes for plan in plans.values()),
        cameras={name: (plan.frames, plan.height, plan.width) for name, plan in plans.items()},
    )


def _have_sizes(files: Iterable[tuple[Path, int]]) -> bool:
    return all(path.is_file() and path.stat().st_size == size for path, size in files)


def array_header(descr: str, shape: tuple[int, ...]) -> bytes:
    """The head of an ``.npy`` file, form 1.0, as ``numpy.save`` writes it."""
    buffer = io.BytesIO()
    head = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, head)
    return buffer.getvalue()
