"""The video backends of Isaac-GR00T, each a function from a timestamp to a frame, and their faults.

They do as ``get_frames_by_timestamps`` in Isaac-GR00T's ``gr00t/utils/video.py``, so that what is
measured here is what its trainer is fed.
"""

import importlib.util
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np

from gr00t_assets.datasets.videos import VideoError

Revision = Literal["faulty", "fixed", "unknown"]

FIX_COMMIT = "cdf6d6e3c48a9c033e2b188c8c3ff4cccc5ad04e"
"""Commit of 2025-09-18 that fixed ``torchvision_av``."""

_KNOWN: dict[str, Revision] = {
    "a5c67191806ddc54c89dd4fb86353456c78ee952": "faulty",  # 2025-03-18, N1
    "5e3ef5ef9a89b647f11490d749b0049ae2796b94": "faulty",  # 2025-06-11, N1.5
    "229aba376ca4b94183f760bd5d50e9e5c7a17cf8": "faulty",  # 2025-07-10, another fault fixed
    FIX_COMMIT: "fixed",
    "2196232d254b36125da0ea9bf25d9821d46b2a61": "fixed",  # 2025-09-24
    "a86e9159a7e6acf771479007a79d4aeaa408c4c0": "fixed",  # 2025-10, the last of N1.5
}
_SHORTEST_HASH = 7
_FILE = "gr00t/utils/video.py"
_FAULT = "if len(loaded_frames) >= len(timestamps):"
"""The line that ends the loop before the asked time is reached."""

Backend = Callable[[Path, float], np.ndarray]
"""From a video file and a timestamp in seconds to a frame, ``(height, width, 3)`` uint8 RGB; raises
VideoError where it cannot read the file or has no frame for the timestamp."""

BACKENDS = ("frame_cache", "decord", "torchcodec", "torchvision_av")
"""Names that a trainer may be given; ``frame_cache`` is the native trainer's."""


def backend_missing(name: str) -> str | None:
    """The package that a backend needs and that is not installed here, or None."""
    is_package = name in ("decord", "torchcodec")
    return name if is_package and importlib.util.find_spec(name) is None else None


def video_backend(name: str, isaac_commit: str | None = None) -> Backend:
    """The backend of a name, as it behaves at a commit of Isaac-GR00T.

    One that cannot be placed is taken to have the fault of June. A name that is none which reads
    video files is a KeyError.
    """
    if name == "torchvision_av":
        return TorchvisionAv(fixed=known_revision(isaac_commit) == "fixed")
    return {"decord": decord, "torchcodec": torchcodec}[name]


def decord(path: Path, timestamp: float) -> np.ndarray:
    """``decord``: the frame whose start is nearest to a timestamp."""
    import decord as library  # pyright: ignore[reportMissingImports]

    try:
        reader = library.VideoReader(str(path))
        starts = reader.get_frame_timestamp(range(len(reader)))[:, 0]
        return reader.get_batch([np.abs(starts - timestamp).argmin()]).asnumpy()[0]
    except (RuntimeError, library.DECORDError) as error:
        raise VideoError(_first_line(error)) from error


def torchcodec(path: Path, timestamp: float) -> np.ndarray:
    """``torchcodec``: the frame that is on show at a timestamp."""
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    try:
        decoder = VideoDecoder(
            str(path), device="cpu", dimension_order="NHWC", num_ffmpeg_threads=0
        )
        return decoder.get_frames_played_at(seconds=[timestamp]).data.numpy()[0]
    except (RuntimeError, ValueError, IndexError) as error:
        raise VideoError(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:200]


class TorchvisionAv:
    """``torchvision_av`` before, or fixed since cdf6d6e of 2025-09-18, with PyAV alone.

    ``torchvision.io.VideoReader`` is a thin layer over PyAV: ``seek`` goes to the key frame before
    a time, and iteration gives frames as RGB in order. Before, it takes as many frames from the key
    frame on as there are timestamps: for one timestamp, the key frame. Since, the last frame that
    is not after it. The file of the last call stays open, which changes nothing but the speed.
    """

    def __init__(self, fixed: bool) -> None:
        self._fixed = fixed
        self._path: Path | None = None

    def __call__(self, path: Path, timestamp: float) -> np.ndarray:
        """The frame at a timestamp in seconds, ``(height, width, 3)`` uint8 RGB.

        Raises:
            VideoError: The file cannot be read, or nothing follows the timestamp's key frame.
        """
        import av
        from av.error import FFmpegError

        chosen = None
        try:
            if self._path != path:
                self._path = None
                self._container = av.open(str(path), metadata_errors="ignore")
                if not self._container.streams.video:
                    raise VideoError("has no video stream")
                self._container.streams.video[0].thread_type = "NONE"
                self._container.streams.video[0].codec_context.thread_count = 1
                self._path = path
            stream = self._container.streams.video[0]
            # ``VideoReader.seek(time, keyframes_only=True)`` and the iteration that follows.
            assert stream.time_base is not None
            self._container.seek(round(max(timestamp, 0.0) / stream.time_base), stream=stream)
            for frame in self._container.decode(stream):
                if frame.pts is None or frame.time_base is None:
                    raise VideoError("a frame has no presentation time")
                time = float(frame.pts * frame.time_base)
                if chosen is None or time <= timestamp:
                    chosen = frame
                if not self._fixed or time >= timestamp:
                    break
            if chosen is None:
                raise VideoError(f"no frame after the seek to {timestamp:g} s")
            return chosen.to_ndarray(format="rgb24")
        except (FFmpegError, OSError) as error:
            self._path = None
            raise VideoError(_first_line(error)) from error


def known_revision(isaac_commit: str | None, checkout: Path | None = None) -> Revision:
    """Whether a commit of Isaac-GR00T, 7 digits or more, has the fault of ``torchvision_av``.

    The source decides where a checkout has the commit, also for a commit of one's own.
    """
    if isaac_commit is None:
        return "unknown"
    if checkout is not None and (source := _source(checkout, isaac_commit)) is not None:
        return "faulty" if _FAULT in source else "fixed"
    for commit, revision in _KNOWN.items():
        if len(isaac_commit) >= _SHORTEST_HASH and commit.startswith(isaac_commit.lower()):
            return revision
    return "unknown"


def known_backend_fault(
    backend: str, isaac_commit: str | None, checkout: Path | None = None
) -> str | None:
    """The known fault of a backend at a commit of Isaac-GR00T, or None.

    Examples:
        >>> known_backend_fault("torchvision_av", "a86e915") is None
        True
        >>> known_backend_fault("torchvision_av", "5e3ef5e")[:44]
        'torchvision_av returns the key frame before '
    """
    if backend != "torchvision_av":
        return None
    revision = known_revision(isaac_commit, checkout)
    if revision == "fixed":
        return None
    fault = (
        "torchvision_av returns the key frame before the asked time in Isaac-GR00T before "
        f"{FIX_COMMIT[:7]} (2025-09-18)"
    )
    if revision == "faulty":
        return f"{fault}; this commit is {str(isaac_commit)[:7]}"
    return f"{fault}; commit {str(isaac_commit or 'not given')[:12]} could not be placed"


def _source(checkout: Path, commit: str) -> str | None:
    command = ["git", "-C", str(checkout), "show", "--end-of-options", f"{commit}:{_FILE}"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            command, check=True, capture_output=True, timeout=30, encoding="utf-8", errors="replace"
        ).stdout
    return None
