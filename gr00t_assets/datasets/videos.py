"""Video files: frames decoded in order of presentation, and images encoded."""

import math
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_REORDERED = 16  # frames that a codec may decode ahead of those shown before them
MOST_PIXELS = 1 << 26  # of a frame, 8192 x 8192; of 16,384 x 16,384 would take 800 MB as RGB

_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "protocol_whitelist": "file",
}
"""No playlist: its entries would name other files and addresses."""

_ENCODING: dict[str, object] = {
    "preset": "veryfast",
    "crf": "20",
    "tune": "fastdecode",
    "x264-params": "asm=0",
}
"""Without x264's assembly, whose AVX-512 part gives one of two files by the place in memory."""


Frames = Iterator[tuple[float, np.ndarray | None]]
"""Time in seconds and ``(height, width, 3)`` uint8 RGB, which is None where it is not wanted."""


class VideoError(Exception):
    """A video file, or an image in the rows, cannot be read; the text says why."""


def decode(
    path: Path, wanted: Collection[int] | None = None, start: float = 0.0, end: float = math.inf
) -> Frames:
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

    with opened_video(path) as (container, stream):
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
            image = None
            if wanted is None or position in wanted:
                pixels = reformatter.reformat(frame, format="rgb24").to_ndarray()
                image = np.ascontiguousarray(pixels)
            yield frame.time - start, image
            position += 1


def nearest_rows(times: np.ndarray, timestamps: np.ndarray) -> np.ndarray:
    """Position of the time nearest to each timestamp, the first of two equally near.

    NVIDIA's rule, ``get_frames_by_timestamps`` in Isaac-GR00T's ``gr00t/utils/video.py``, in
    logarithmic time. ``times`` are in seconds, ascending, ``(frames,)``; timestamps and positions
    ``(n,)``.

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
def opened_video(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """A file and its video stream; what FFmpeg reports becomes a VideoError."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path), container_options=_OPTIONS) as container:
            if not container.streams.video:
                raise VideoError("no video stream")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:
                raise VideoError("a codec that FFmpeg does not know")
            if context.width * context.height > MOST_PIXELS:
                found = f"frames of {context.width} x {context.height} pixels, which are too large"
                raise VideoError(found)
            context.options = {"max_pixels": str(MOST_PIXELS)}
            yield container, stream
    except (FFmpegError, OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise VideoError(text[:1].lower() + text[1:]) from error


class VideoFile:
    """An H.264 file that takes one image after another; frame i is shown at ``i / fps`` seconds.

    It has a key frame every 250 frames and where something is added. For a ``with`` statement.
    """

    def __init__(self, path: Path, fps: float) -> None:
        import av
        from av.video.frame import PictureType

        path.parent.mkdir(parents=True, exist_ok=True)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._container: Any = av.open(str(path), "w")
        self._frame, self._key_frame, self._frames = av.VideoFrame, PictureType.I, 0
        stream: Any = self._container.add_stream("libx264", rate=self._rate)
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 250
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        stream.options = _ENCODING
        self._stream = stream

    def add(self, images: Iterable[np.ndarray]) -> None:
        """Encode images, ``(height, width, 3)`` uint8 RGB each, from a key frame on."""
        for position, image in enumerate(images):
            if not self._frames:
                self._stream.height, self._stream.width = image.shape[:2]
            frame = self._frame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = self._frames, 1 / self._rate
            if position == 0 and self._frames:
                frame.pict_type = self._key_frame
            self._container.mux(self._stream.encode(frame))
            self._frames += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def write_video(path: Path, images: Iterable[np.ndarray], fps: float) -> None:
    """Write a ``VideoFile`` of images, ``(height, width, 3)`` uint8 RGB each."""
    with VideoFile(path, fps) as video:
        video.add(images)
