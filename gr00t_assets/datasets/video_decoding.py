"""Frames of a video file, in order of presentation."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av import VideoFrame


class VideoError(Exception):
    """A video file cannot be read; the text says why."""


@dataclass(frozen=True)
class Probe:
    """What a video's header says.

    Attributes:
        width: Pixels.
        height: Pixels.
        fps: Frames per second, the average.
        codec: As FFmpeg names it: h264, hevc, av1, vp9.
    """

    width: int
    height: int
    fps: float
    codec: str


def probe(path: Path) -> Probe:
    """Read a video's header.

    Raises:
        VideoError: It is not a video, or is truncated.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("has no video stream")
            stream = container.streams.video[0]
            context = stream.codec_context
            return Probe(
                width=context.width,
                height=context.height,
                fps=float(stream.average_rate or 0),
                codec=context.codec.canonical_name,
            )
    except (FFmpegError, OSError) as error:
        raise VideoError(_reason(error)) from error


def decode(
    path: Path, wanted: Collection[int] | None = None
) -> Iterator[tuple[float, np.ndarray | None]]:
    """Every frame of a video in order of presentation, with its time.

    One thread: more of them take more CPU seconds for each frame. One converter serves all frames
    of the file, since a new one for each costs as much as the decoding.

    Args:
        wanted: Positions of the frames whose pixels are needed; all by default. The others are
            decoded and given as None.

    Yields:
        Presentation time in seconds, and ``(height, width, 3)`` uint8 RGB.

    Raises:
        VideoError: It is not a video, is truncated, or has frames without a time.
    """
    import av
    from av.error import FFmpegError
    from av.video.reformatter import VideoReformatter

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("has no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            reformatter = VideoReformatter()
            for position, frame in enumerate(container.decode(stream)):
                if frame.time is None:
                    raise VideoError(f"frame {position} has no presentation time")
                if wanted is None or position in wanted:
                    yield frame.time, _pixels(reformatter.reformat(frame, format="rgb24"))
                else:
                    yield frame.time, None
    except (FFmpegError, OSError) as error:
        raise VideoError(_reason(error)) from error


def nearest_rows(times: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """Position of the time nearest to each timestamp, the first of two equally near.

    NVIDIA's rule, ``get_frames_by_timestamps`` in Isaac-GR00T's ``gr00t/utils/video.py``, in
    logarithmic time.

    Args:
        times: Presentation times in seconds, ascending, shape ``(frames,)``.
        timestamps: Seconds, shape ``(n,)``.

    Returns:
        Positions in ``times``, shape ``(n,)``, int64.

    Examples:
        >>> nearest_rows(np.array([0.0, 1.0, 2.0]), np.array([-3.0, 0.5, 0.6, 9.0])).tolist()
        [0, 0, 1, 2]
    """
    timestamps = np.asarray(timestamps, dtype=np.float64)
    after = np.searchsorted(times, timestamps).clip(0, len(times) - 1)
    before = (after - 1).clip(0)
    is_earlier = np.abs(times[before] - timestamps) <= np.abs(times[after] - timestamps)
    nearest = np.where(is_earlier, before, after)
    return np.searchsorted(times, times[nearest], side="left")


def _pixels(frame: "VideoFrame") -> np.ndarray:
    return np.ascontiguousarray(frame.to_ndarray())


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]
