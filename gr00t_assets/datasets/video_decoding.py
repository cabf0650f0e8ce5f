"""Frames of a video file, in order of presentation."""

import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


MOST_REORDERED = 16
"""Frames that a codec may decode ahead of those shown before them."""

MOST_PIXELS = 1 << 26
"""Of a frame, 8192 x 8192; one of 16,384 x 16,384 would take 800 MB as RGB."""


class VideoError(Exception):
    """A video file, or an image in the rows, cannot be read; the text says why."""


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
    with _opened(path) as (_, stream):
        context = stream.codec_context
        return Probe(
            width=context.width,
            height=context.height,
            fps=float(stream.average_rate or 0),
            codec=context.codec.canonical_name,
        )


def decode(
    path: Path, wanted: Collection[int] | None = None, start: float = 0.0, end: float = math.inf
) -> Iterator[tuple[float, np.ndarray | None]]:
    """Every frame of a video, or of a stretch of it, in order of presentation, with its time.

    One thread: more of them take more CPU seconds for each frame. One converter serves all frames
    of the file, since a new one for each costs as much as the decoding.

    Args:
        wanted: Positions of the frames whose pixels are needed; all by default. The others are
            decoded and given as None.
        start: Seconds at which the stretch begins; half a frame more or less counts as equal.
        end: Seconds at which the next one begins.

    Yields:
        Presentation time in seconds from ``start``, and ``(height, width, 3)`` uint8 RGB.

    Raises:
        VideoError: It is not a video, is truncated, or has frames without a time.
    """
    from av.video.reformatter import VideoReformatter

    with _opened(path) as (container, stream):
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        reformatter = VideoReformatter()
        half = 0.5 / float(stream.average_rate or 30)
        if start > 0 and stream.time_base is not None:
            key = max(start - 2 * half * MOST_REORDERED, 0.0)
            container.seek(int(key / stream.time_base), stream=stream)
        position = 0
        for frame in container.decode(stream):
            if frame.time is None:
                raise VideoError(f"frame {position} has no presentation time")
            if start > 0 and frame.time < start - half:
                continue
            if frame.time >= end - half:
                break
            if wanted is None or position in wanted:
                yield frame.time - start, _pixels(reformatter.reformat(frame, format="rgb24"))
            else:
                yield frame.time - start, None
            position += 1


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


def spread_positions(count: int, most: int) -> list[int]:
    """At most so many positions of a sequence, evenly spread, the first and the last among them.

    Examples:
        >>> spread_positions(9, 3), spread_positions(2, 3)
        ([0, 4, 8], [0, 1])
    """
    return np.unique(np.linspace(0, max(count - 1, 0), most).round().astype(int)).tolist()


@contextmanager
def _opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """A file and its video stream; what FFmpeg reports becomes a VideoError."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("has no video stream")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is not None:
                if context.width * context.height > MOST_PIXELS:
                    raise VideoError(f"frames of {context.width} x {context.height} are too large")
                context.options = {"max_pixels": str(MOST_PIXELS)}
            yield container, stream
    except (FFmpegError, OSError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise VideoError(text[:1].lower() + text[1:]) from error


def _pixels(frame: "VideoFrame") -> np.ndarray:
    return np.ascontiguousarray(frame.to_ndarray())
