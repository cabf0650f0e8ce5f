"""The video backends of Isaac-GR00T, each as a function from timestamps to frames.

As ``get_frames_by_timestamps`` in Isaac-GR00T's ``gr00t/utils/video.py`` uses them, so that what
is measured here is what its trainer is fed.
"""

import importlib.util
from pathlib import Path
from typing import Protocol

import numpy as np

from gr00t_assets.datasets.frames.frames import VideoError
from gr00t_assets.datasets.frames.truth.faults import MENDED, known_revision
from gr00t_assets.datasets.frames.truth.torchvision_av import TorchvisionAv


class Backend(Protocol):
    """Frames of a video file by their times."""

    def __call__(self, path: Path, timestamps: np.ndarray) -> np.ndarray:
        """Frames at some timestamps in seconds, ``(n, height, width, 3)`` uint8 RGB.

        Raises:
            VideoError: The backend cannot read the file, or has no frame for a timestamp.
        """
        ...


BACKENDS = ("frame_cache", "decord", "torchcodec", "torchvision_av")
"""Names that a trainer may be given; ``frame_cache`` is the native trainer's."""

_PACKAGES = {"decord": "decord", "torchcodec": "torchcodec"}


def backend_missing(name: str) -> str | None:
    """The package that a backend needs and that is not installed here, or None."""
    package = _PACKAGES.get(name)
    return package if package and importlib.util.find_spec(package) is None else None


def video_backend(
    name: str, isaac_commit: str | None = None, checkout: Path | None = None
) -> Backend:
    """The backend of a name, as it behaves at a commit of Isaac-GR00T.

    Args:
        name: ``decord``, ``torchcodec`` or ``torchvision_av``.
        isaac_commit: Commit of Isaac-GR00T that trains. One that cannot be placed is taken to
            have the fault of June.
        checkout: Clone of Isaac-GR00T that has the commit.

    Raises:
        KeyError: There is no such backend that reads video files.
    """
    if name == "torchvision_av":
        return TorchvisionAv(mended=known_revision(isaac_commit, checkout) == MENDED)
    return {"decord": decord, "torchcodec": torchcodec}[name]


def decord(path: Path, timestamps: np.ndarray) -> np.ndarray:
    """``decord``: the frame whose start is nearest to each timestamp."""
    import decord as library  # pyright: ignore[reportMissingImports]

    try:
        reader = library.VideoReader(str(path))
        starts = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        nearest = np.abs(starts[:, None] - timestamps).argmin(axis=0)
        return reader.get_batch(nearest).asnumpy()
    except (RuntimeError, library.DECORDError) as error:
        raise VideoError(_first_line(error)) from error


def torchcodec(path: Path, timestamps: np.ndarray) -> np.ndarray:
    """``torchcodec``: the frame that is on show at each timestamp."""
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    try:
        decoder = VideoDecoder(
            str(path), device="cpu", dimension_order="NHWC", num_ffmpeg_threads=0
        )
        return decoder.get_frames_played_at(seconds=timestamps.tolist()).data.numpy()
    except (RuntimeError, ValueError, IndexError) as error:
        raise VideoError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:200]
