"""Encoding images as video files, always the same for the same images."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

_ENCODING: dict[str, object] = {
    "preset": "veryfast",
    "crf": "20",
    "tune": "fastdecode",
    "x264-params": "asm=0",
}
"""Without x264's assembly, whose AVX-512 part gives one of two files by the place in memory."""


class VideoFile:
    """An H.264 file that takes one image after another; frame i is shown at ``i / fps`` seconds.

    It has a key frame every 250 frames and where something is added. For a ``with`` statement.

    Args:
        path: File to write; its folder is made.
        fps: Frames per second.
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
