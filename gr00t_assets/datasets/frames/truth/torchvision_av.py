"""Isaac-GR00T's ``torchvision_av``, done with PyAV alone.

``torchvision.io.VideoReader`` is a thin layer over PyAV: it opens the file, ``seek`` goes to the
key frame before a time, and iteration gives frames as RGB with ``pts * time_base`` in order.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gr00t_assets.datasets.frames.frames import VideoError

Shown = tuple[float, Callable[[], np.ndarray]]
"""Presentation time in seconds, and what makes the pixels."""


class TorchvisionAv:
    """``torchvision_av`` before or after cdf6d6e of 2025-09-18.

    Before, it takes as many frames from the key frame on as there are timestamps: for one
    timestamp, the key frame. Since, for each timestamp the last frame that is not after it.

    The file of the last call stays open, which changes nothing but the speed.

    Args:
        mended: Whether it is as it was after the commit.
    """

    def __init__(self, mended: bool) -> None:
        self._mended = mended
        self._video: _Video | None = None

    def __call__(self, path: Path, timestamps: np.ndarray) -> np.ndarray:
        """Frames at some timestamps in seconds, ``(n, height, width, 3)`` uint8 RGB.

        Raises:
            VideoError: The file cannot be read, or nothing follows the first timestamp's key frame.
        """
        from av.error import FFmpegError

        try:
            if self._video is None or self._video.path != path:
                self._video = _Video(path)
            frames = self._video.frames_from(float(timestamps[0]))
            found = (_at_or_before if self._mended else _from_key_frame)(frames, timestamps)
        except (FFmpegError, OSError) as error:
            self._video = None
            reason = getattr(error, "strerror", None) or str(error)
            raise VideoError(reason.splitlines()[0]) from error
        if not found:
            raise VideoError(f"no frame after the seek to {float(timestamps[0]):g} s")
        return np.stack(found)


class _Video:
    """An open file."""

    def __init__(self, path: Path) -> None:
        import av
        from av.video.reformatter import VideoReformatter

        self.path = path
        self._container = av.open(str(path), metadata_errors="ignore")
        if not self._container.streams.video:
            raise VideoError("has no video stream")
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "NONE"
        self._stream.codec_context.thread_count = 1
        self._reformatter = VideoReformatter()

    def frames_from(self, time: float) -> Iterator[Shown]:
        """``VideoReader.seek(time, keyframes_only=True)`` and the iteration that follows."""
        assert self._stream.time_base is not None
        offset = round(max(time, 0.0) / self._stream.time_base)
        self._container.seek(offset, backward=True, any_frame=False, stream=self._stream)
        for frame in self._container.decode(self._stream):
            if frame.pts is None or frame.time_base is None:
                raise VideoError("a frame has no presentation time")
            yield float(frame.pts * frame.time_base), partial(self._pixels, frame)

    def _pixels(self, frame: Any) -> np.ndarray:
        return self._reformatter.reformat(frame, format="rgb24").to_ndarray()


def _from_key_frame(frames: Iterator[Shown], timestamps: np.ndarray) -> list[np.ndarray]:
    found = []
    for time, pixels in frames:
        found.append(pixels())
        if time >= float(timestamps[-1]) or len(found) >= len(timestamps):
            break
    return found


def _at_or_before(frames: Iterator[Shown], timestamps: np.ndarray) -> list[np.ndarray]:
    loaded: list[Shown] = []
    last = float(timestamps[-1])
    for time, pixels in frames:
        loaded.append((time, pixels))
        if len(timestamps) == 1:
            del loaded[: -2 if time > last else -1]
        if time >= last:
            break
    if not loaded:
        return []
    shown = np.array([time for time, _ in loaded])
    chosen = np.searchsorted(shown, timestamps.astype(np.float64), side="right") - 1
    return [loaded[position][1]() for position in chosen.clip(0)]
