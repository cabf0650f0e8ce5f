"""The frames of one episode, decoded in order, and which of them a given image is."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.recorded_frames import RecordedFrames
from gr00t_assets.datasets.video_decoding import nearest_rows

TOLERANCE = 6.0
"""Mean grey levels that another decoder's colours, or another size, may make of a frame."""

TIE = 0.05
"""Mean grey levels below which two candidates cannot be told apart."""

_SIDE = 24


class EpisodeFrames(ABC):
    """Frames of one camera in order, found by content."""

    times: np.ndarray
    """Presentation times in seconds, ascending, ``(count,)``."""

    @property
    def count(self) -> int:
        """Frames of the episode."""
        return len(self.times)

    def positions(self, timestamps: np.ndarray) -> np.ndarray:
        """Position of the frame nearest to each timestamp in seconds, ``(n,)`` int64."""
        return nearest_rows(self.times, timestamps)

    @abstractmethod
    def is_frame(self, image: np.ndarray, position: int) -> bool:
        """Whether an image equals the frame at a position, pixel by pixel."""

    @abstractmethod
    def _images(self) -> Iterator[np.ndarray]:
        """All frames, one at a time."""

    def find(self, image: np.ndarray, near: int) -> int | None:
        """Position of the frame that an image is, the one nearest to ``near`` of several.

        By equality; where no frame is equal, as with another decoder's colours, by the smallest
        difference of reduced images.

        Args:
            image: ``(height, width, 3)`` uint8 RGB.
            near: Position that is expected.
        """
        alike = np.flatnonzero(self._digests == _digest(image))
        if not len(alike):
            distances = np.abs(self._reduced - _reduced(image)).mean(axis=1)
            if distances.min() > TOLERANCE:
                return None
            alike = np.flatnonzero(distances <= distances.min() + TIE)
        return int(alike[np.abs(alike - near).argmin()])

    @cached_property
    def _digests(self) -> np.ndarray:
        return np.array([_digest(image) for image in self._images()])

    @cached_property
    def _reduced(self) -> np.ndarray:
        return np.stack([_reduced(image) for image in self._images()])


class CachedEpisode(EpisodeFrames):
    """An episode of a frame cache.

    Raises:
        DatasetError: The cache has no such episode or camera.
    """

    def __init__(self, cache: FrameCache, episode: int, camera: str) -> None:
        self._cache = cache
        self._camera = camera
        self.times = cache.timestamps(episode, camera)
        self._first = int(cache.rows(episode, camera, self.times[:1])[0])

    def is_frame(self, image: np.ndarray, position: int) -> bool:
        """See ``EpisodeFrames``."""
        return np.array_equal(image, self.frame(position))

    def frame(self, position: int) -> np.ndarray:
        """The frame at a position, ``(height, width, 3)`` uint8 RGB."""
        return self._cache.frames(self._camera, np.array([self._first + position]))[0]

    def _images(self) -> Iterator[np.ndarray]:
        return map(self.frame, range(self.count))


class DecodedEpisode(EpisodeFrames):
    """An episode decoded in order; its pixels are let go, so that memory does not grow with it.

    Raises:
        VideoError: A frame cannot be decoded.
    """

    def __init__(self, recorded: RecordedFrames) -> None:
        self._recorded = recorded
        times, digests = [], []
        for time, image in recorded.decode():
            assert image is not None
            times.append(time)
            digests.append(_digest(image))
        self.times = np.array(times)
        self._decoded = np.array(digests)

    def is_frame(self, image: np.ndarray, position: int) -> bool:
        """See ``EpisodeFrames``."""
        return _digest(image) == self._decoded[position]

    @cached_property
    def _digests(self) -> np.ndarray:
        return self._decoded

    def _images(self) -> Iterator[np.ndarray]:
        for _, image in self._recorded.decode():
            assert image is not None
            yield image


def _digest(image: np.ndarray) -> str:
    shape = str(image.shape).encode()
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=12, key=shape).hexdigest()


def _reduced(image: np.ndarray) -> np.ndarray:
    from PIL import Image

    small = Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).ravel()
