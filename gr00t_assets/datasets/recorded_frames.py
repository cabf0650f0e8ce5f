"""The frames of one episode and camera as a dataset has them: in a video file, or in its rows."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.image_decoding import ImageDecoder, image_size
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.video_decoding import VideoError, decode, probe


class RecordedFrames(ABC):
    """Frames in order.

    Attributes:
        path: The file that they are in, alone or with other episodes.
    """

    path: Path

    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the first header.

        Raises:
            VideoError: It cannot be read.
        """

    @abstractmethod
    def decode(
        self, wanted: Collection[int] | None = None
    ) -> Iterator[tuple[float, np.ndarray | None]]:
        """Every frame with its time in seconds from the episode's begin, as ``decode`` of a video.

        Raises:
            VideoError: A frame cannot be read.
        """

    @abstractmethod
    def sha256(self) -> str:
        """A hash of all that decides the frames and their times, 64 hex digits.

        Raises:
            VideoError: They cannot be read.
        """


@dataclass(frozen=True)
class VideoFrames(RecordedFrames):
    """Frames from and to which second of a video file; of a whole file, from 0 to infinity."""

    path: Path
    start: float = 0.0
    end: float = math.inf

    def size(self) -> tuple[int, int]:
        """See ``RecordedFrames``."""
        header = probe(self.path)
        return header.width, header.height

    def decode(
        self, wanted: Collection[int] | None = None
    ) -> Iterator[tuple[float, np.ndarray | None]]:
        """See ``RecordedFrames``."""
        return decode(self.path, wanted, self.start, self.end)

    def sha256(self) -> str:
        """See ``RecordedFrames``; of a whole file, that of its content."""
        try:
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise VideoError(str(error.strerror or error).lower()) from error
        if math.isfinite(self.end):
            digest.update(f"{self.start!r} {self.end!r}".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class ImageFrames(RecordedFrames):
    """Images in the rows of an episode: each is the frame of its row, at the row's timestamp."""

    dataset: LeRobotDataset
    episode: int
    camera: str

    @property
    def path(self) -> Path:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The file of the rows."""
        return self.dataset.parquet_path(self.episode)

    def size(self) -> tuple[int, int]:
        """See ``RecordedFrames``."""
        for row, content in self._images():
            try:
                return image_size(content)
            except VideoError as error:
                raise VideoError(f"{self.camera} at row {row} {error}") from error
        raise VideoError(f"{self.camera} has no image")

    def decode(
        self, wanted: Collection[int] | None = None
    ) -> Iterator[tuple[float, np.ndarray | None]]:
        """See ``RecordedFrames``."""
        decoder, times = ImageDecoder(), self._times()
        for row, content in self._images():
            try:
                is_wanted = wanted is None or row in wanted
                frame = decoder.decode(content) if is_wanted else None
            except VideoError as error:
                raise VideoError(f"{self.camera} at row {row} {error}") from error
            yield times[row], frame

    def sha256(self) -> str:
        """See ``RecordedFrames``."""
        digest = hashlib.sha256(self._times().tobytes())
        for _, content in self._images():
            digest.update(len(content).to_bytes(8, "little"))
            digest.update(content)
        return digest.hexdigest()

    def _images(self) -> Iterator[tuple[int, bytes]]:
        for row, content in enumerate(self.dataset.images(self.episode, self.camera)):
            if not content:
                raise VideoError(f"{self.camera} at row {row} has no image")
            yield row, content

    def _times(self) -> np.ndarray:
        times = self.dataset.timestamps(self.episode)
        if not (np.diff(times) > 0).all():
            raise VideoError("timestamps do not increase from row to row")
        return times


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
