"""The frames of one episode and camera as a dataset has them: in a video file, or in its rows."""

import hashlib
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.image_decoding import ImageDecoder, image_size
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.video_decoding import VideoError, decode, frame_size

KEPT_BYTES = 64 << 20
"""Compressed images of an episode that are kept for decoding when they were read for their hash."""


@dataclass(frozen=True)
class VideoFrames:
    """Frames from and to which second of a video file; of a whole file, from 0 to infinity."""

    path: Path
    start: float = 0.0
    end: float = math.inf

    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the first header.

        Raises:
            VideoError: It cannot be read.
        """
        return frame_size(self.path)

    def decode(
        self, wanted: Collection[int] | None = None
    ) -> Iterator[tuple[float, np.ndarray | None]]:
        """Every frame with its time in seconds from the episode's begin, as ``decode`` of a video.

        Raises:
            VideoError: A frame cannot be read.
        """
        return decode(self.path, wanted, self.start, self.end)

    def sha256(self) -> str:
        """A hash of all that decides the frames and their times, 64 hex digits.

        Of a whole file it is that of its content.

        Raises:
            VideoError: They cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise VideoError(str(error.strerror or error).lower()) from error
        if math.isfinite(self.end):
            digest.update(f"{self.start!r} {self.end!r}".encode())
        return digest.hexdigest()


@dataclass
class ImageFrames:
    """Images in the rows of an episode: each is the frame of its row, at the row's timestamp."""

    dataset: LeRobotDataset
    episode: int
    camera: str
    _kept: list[bytes] = field(default_factory=list, init=False, repr=False)

    @property
    def path(self) -> Path:
        """The file of the rows; in v3.0 with those of other episodes."""
        return self.dataset.parquet_path(self.episode)

    def size(self) -> tuple[int, int]:
        """See ``VideoFrames``."""
        for content in self._images():
            try:
                return image_size(content)
            except VideoError as error:
                raise VideoError(f"{self.camera} at row 0 {error}") from error
        raise VideoError(f"{self.camera} has no image")

    def decode(
        self, wanted: Collection[int] | None = None
    ) -> Iterator[tuple[float, np.ndarray | None]]:
        """See ``VideoFrames``; what was read for the hash is not read again."""
        decoder, images = ImageDecoder(), self._kept or self._images()
        for row, (time, content) in enumerate(zip(self._times, images, strict=True)):
            try:
                is_wanted = wanted is None or row in wanted
                frame = decoder.decode(content) if is_wanted else None
            except VideoError as error:
                raise VideoError(f"{self.camera} at row {row} {error}") from error
            yield time, frame

    def sha256(self) -> str:
        """See ``VideoFrames``; images of ``KEPT_BYTES`` and less are kept for ``decode``."""
        digest, kept, size = hashlib.sha256(self._times.tobytes()), [], 0
        for content in self._images():
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
            size += len(content)
            if size <= KEPT_BYTES:
                kept.append(content)
        self._kept = kept if size <= KEPT_BYTES else []
        return digest.hexdigest()

    def _images(self) -> Iterator[bytes]:
        for row, content in enumerate(self.dataset.images(self.episode, self.camera)):
            if not content:
                raise VideoError(f"{self.camera} at row {row} has no image")
            yield content

    @cached_property
    def _times(self) -> np.ndarray:
        times = self.dataset.timestamps(self.episode)
        if not (np.diff(times) > 0).all():
            raise VideoError("timestamps do not increase from row to row")
        return times


RecordedFrames: TypeAlias = VideoFrames | ImageFrames


def recorded_frames(dataset: LeRobotDataset, episode: int, camera: str) -> RecordedFrames:
    """The frames of an episode of one camera.

    Raises:
        DatasetError: There is no such episode, or the camera has no video of it.
    """
    if camera not in dataset.cameras:
        raise DatasetError(dataset.name, f"it has no camera {camera}.")
    if camera not in dataset.video_cameras:
        return ImageFrames(dataset, episode, camera)
    segment = dataset.video_segment(episode, camera)
    return VideoFrames(dataset.directory / segment.file, segment.start, segment.end)
