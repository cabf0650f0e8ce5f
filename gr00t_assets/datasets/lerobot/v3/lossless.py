"""Encoding frames without loss: H.264 with quantiser 0, in the pixel format that they have."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from gr00t_assets.datasets.lerobot.v3.packets import PacketTable

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream


LOSSLESS_FORMATS = frozenset(
    {
        *(f"yuv{layout}p{depth}" for layout in (420, 422, 444) for depth in ("", "10le")),
        *(f"yuvj{layout}p" for layout in (420, 422, 444)),
        "gray",
    }
)
"""Pixel formats that libx264 takes as they are."""

_OPTIONS = {"qp": "0", "preset": "veryfast", "bf": "0"}
_KEY_FRAME_EVERY = 20
"""Frames; few, since Isaac-GR00T seeks to a key frame for each sample."""


class LosslessWriter:
    """A video file that shows exactly the frames it is given.

    One thread, so that the same frames always give the same bytes.
    """

    def __init__(self, path: Path, first: "VideoFrame", table: PacketTable) -> None:
        """Begin a file.

        Args:
            path: The file, in a folder that exists.
            first: A frame, for size, pixel format and the meaning of its colours.
            table: Of the video that the frames come from, for the unit of time.
        """
        import av

        times = table.times
        span = (times[-1] - times[0]) / max(len(times) - 1, 1)
        rate = round(1 / span) if span > 0 else 30
        self._output = av.open(str(path), "w", format="mp4")
        self._stream = cast("VideoStream", self._output.add_stream("libx264", rate=max(rate, 1)))
        context = self._stream.codec_context
        context.width, context.height = first.width, first.height
        context.pix_fmt = first.format.name
        context.time_base = table.time_base
        context.gop_size = _KEY_FRAME_EVERY
        context.thread_count = 1
        context.options = _OPTIONS
        context.color_range = first.color_range
        context.colorspace = first.colorspace
        context.color_primaries = first.color_primaries
        context.color_trc = first.color_trc
        self._stream.time_base = table.time_base
        self._time_base = table.time_base

    def write(self, frame: "VideoFrame", units: int) -> None:
        """Append a frame.

        Args:
            frame: Its time is replaced.
            units: Its time in units of the table.
        """
        frame.pts, frame.time_base = units, self._time_base
        frame.pict_type = 0  # pyright: ignore[reportAttributeAccessIssue]
        self._output.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder holds back, and end the file."""
        self._output.mux(self._stream.encode(None))
        self._output.close()
