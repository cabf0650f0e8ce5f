"""The frames of one episode, decoded in order, and which of them a given image is."""

import hashlib
from functools import cached_property

import numpy as np

from gr00t_assets.datasets.recorded_frames import RecordedFrames

TOLERANCE = 6.0
"""Mean grey levels that another decoder's colours, or another size, may make of a frame."""

TIE = 0.05
"""Mean grey levels below which two candidates cannot be told apart."""

_SIDE = 24


class DecodedEpisode:
    """An episode decoded in order; its pixels are let go, so that memory does not grow with it.

    Attributes:
        times: Presentation times in seconds, ascending, ``(count,)``.

    Raises:
        VideoError: A frame cannot be decoded.
    """

    def __init__(self, recorded: RecordedFrames) -> None:
        self._recorded = recorded
        frames = [(time, _digest(image)) for time, image in recorded.decode()]
        self.times = np.array([time for time, _ in frames])
        self._digests = np.array([digest for _, digest in frames])

    @property
    def count(self) -> int:
        """Frames of the episode."""
        return len(self.times)

    def is_frame(self, image: np.ndarray, position: int) -> bool:
        """Whether an image equals the frame at a position, pixel by pixel."""
        return _digest(image) == self._digests[position]

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
    def _reduced(self) -> np.ndarray:
        return np.stack([_reduced(image) for _, image in self._recorded.decode()])


def _digest(image: np.ndarray | None) -> str:
    assert image is not None
    shape = str(image.shape).encode()
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=12, key=shape).hexdigest()


def _reduced(image: np.ndarray | None) -> np.ndarray:
    from PIL import Image

    assert image is not None
    small = Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).ravel()
