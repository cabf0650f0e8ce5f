"""The frames of an episode and camera as a dataset has them: a video, or images in its rows."""

import hashlib
import io
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.videos import MOST_PIXELS, Frames, VideoError, decode, opened_video

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

FORMATS = ("PNG", "JPEG")
DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Pillow's names of grey in more than 8 bits: distances, and no picture."""

_PNG = b"\x89PNG\r\n\x1a\n"
_RGB = bytes((8, 2))  # bits a colour and kind of colours, at their place in a PNG's header

KEPT_BYTES = 64 << 20  # images of an episode that are kept for decoding when read for their hash
TOLERANCE = 6.0  # mean grey levels that another decoder's colours, or size, may make of a frame
TIE = 0.05  # mean grey levels below which two candidates cannot be told apart
_SIDE = 24


class ImageDecoder:
    """Decodes one image after the other, in one thread.

    FFmpeg decodes a PNG of RGB in three quarters of the time that Pillow takes. Pillow decodes all
    others, since FFmpeg's colours of a JPEG are not those that LeRobot reads.
    """

    def __init__(self) -> None:
        from av import CodecContext

        self._png = CodecContext.create("png", "r")
        self._png.thread_count = 1
        self._png.options = {"err_detect": "crccheck+explode", "max_pixels": str(MOST_PIXELS)}

    def decode(self, content: bytes) -> np.ndarray:
        """The pixels of an image, ``(height, width, 3)`` uint8 RGB.

        Grey is repeated for each colour, a palette is looked up, and what is transparent is shown.
        VideoError where it is no whole PNG or JPEG, or has more than 8 bits of grey.
        """
        from av import Packet
        from av.error import FFmpegError

        if content.startswith(_PNG) and content[24:26] == _RGB:
            packet = Packet(content)
            packet.is_keyframe = True  # else FFmpeg adds the image before
            try:
                frames = self._png.decode(packet)  # pyright: ignore[reportAttributeAccessIssue]
            except FFmpegError as error:
                raise VideoError("is no whole PNG") from error
            # FFmpeg has another format for one with a transparent colour.
            if len(frames) == 1 and frames[0].format.name == "rgb24":
                return np.ascontiguousarray(frames[0].to_ndarray())
        with opened_image(content, "is no whole PNG or JPEG") as image:
            if image.mode in DEEP_MODES:
                raise VideoError("has more than 8 bits of grey, as images of depth have")
            return np.array(image.convert("RGB"))


@contextmanager
def opened_image(content: bytes, problem: str) -> Iterator["ImageFile"]:
    """An image whose header was read; what Pillow cannot read is a VideoError of ``problem``."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError("too many pixels")
            yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise VideoError(problem) from error


@dataclass(frozen=True)
class VideoFrames:
    """Frames from and to which second of a video file; of a whole file, from 0 to infinity."""

    path: Path
    start: float = 0.0
    end: float = math.inf

    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the first header; VideoError as ``decode``."""
        with opened_video(self.path) as (_, stream):
            return stream.codec_context.width, stream.codec_context.height

    def decode(self, wanted: Collection[int] | None = None) -> Frames:
        """Every frame with its time from the episode's begin; VideoError where one is damaged."""
        return decode(self.path, wanted, self.start, self.end)

    def sha256(self) -> str:
        """A hash of all that decides the frames and their times, 64 hex digits.

        Of a whole file it is that of its content. VideoError as ``decode``.
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
                with opened_image(content, "is no PNG or JPEG") as image:
                    return image.size
            except VideoError as error:
                raise VideoError(f"{self.camera} at row 0 {error}") from error
        raise VideoError(f"{self.camera} has no image")

    def decode(self, wanted: Collection[int] | None = None) -> Frames:
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
    """The frames of an episode of one camera; a DatasetError where there are none."""
    if camera not in dataset.cameras:
        raise DatasetError(dataset.name, f"it has no camera {camera}.")
    if camera not in dataset.video_cameras:
        return ImageFrames(dataset, episode, camera)
    segment = dataset.video_segment(episode, camera)
    return VideoFrames(dataset.directory / segment.file, segment.start, segment.end)


class DecodedEpisode:
    """An episode decoded in order, its ``times`` in seconds, ascending, ``(count,)``.

    Pixels are let go, so that memory does not grow with it. VideoError where a frame is damaged.
    """

    def __init__(self, recorded: RecordedFrames) -> None:
        self._recorded = recorded
        frames = [(time, _digest(image)) for time, image in recorded.decode()]
        self.times = np.array([time for time, _ in frames])
        self._digests = np.array([digest for _, digest in frames])

    def find(self, image: np.ndarray, near: int) -> int | None:
        """Position of the frame that an image is, of several the nearest; ``(height, width, 3)``.

        By equality; where no frame is equal, as with another decoder's colours, by the smallest
        difference of reduced images.
        """
        alike = np.flatnonzero(self._digests == _digest(image))
        if not len(alike):
            distances = np.abs(self._reduced - _reduced(image)).mean(axis=1)
            if distances.min() > TOLERANCE:
                return None
            alike = np.flatnonzero(distances <= distances.min() + TIE)
        return int(alike[np.abs(alike - near).argmin()])

    @cached_property
    def _reduced(self) -> np.ndarray:
        return np.stack([_reduced(image) for _, image in self._recorded.decode()])


def _digest(image: np.ndarray | None) -> str:
    assert image is not None
    shape = str(image.shape).encode()
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=12, key=shape).hexdigest()


def _reduced(image: np.ndarray | None) -> np.ndarray:
    from PIL import Image

    small = Image.fromarray(np.asarray(image)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).ravel()
