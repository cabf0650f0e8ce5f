"""Decoded frames of a video, in its own pixel format, and a mark by which two can be compared."""

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.datasets.frames.frames import VideoError
from gr00t_assets.datasets.lerobot.v3.packets import Cut, PacketTable

if TYPE_CHECKING:
    from av import VideoFrame


_MARK_BYTES = 16
_FULL_RANGE = 2
"""AVCOL_RANGE_JPEG. The narrow range and no range given mean the same."""


def frames_of(
    path: Path, table: PacketTable, cuts: Sequence[Cut]
) -> Iterator[tuple[Cut, "VideoFrame", int]]:
    """Decode the frames of some episodes of a video, in one pass.

    Yields:
        The episode, the frame, and its time since the episode's first in units of the table.

    Raises:
        VideoError: The decoder gives other frames than there are packets for.
    """
    import av

    waiting = iter(sorted(cuts, key=lambda cut: cut.start))
    cut = next(waiting, None)
    if cut is None:
        return
    times = table.pts[table.order]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for position, frame in enumerate(container.decode(stream)):
            if position >= len(times) or frame.pts != times[position]:
                due = float(times[min(position, len(times) - 1)] * table.time_base)
                raise VideoError(f"frame {position}, due at {due:.3f} s, cannot be decoded")
            if position < cut.start:
                continue
            yield cut, frame, int(times[position] - times[cut.start])
            if position == cut.start + cut.length - 1:
                cut = next(waiting, None)
                if cut is None:
                    return
    raise VideoError(f"the decoder stops inside episode {cut.episode}: the file is damaged")


def file_marks(path: Path) -> list[bytes]:
    """The marks of all frames of a video, in order of presentation."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        assert stream.time_base is not None
        return [
            frame_mark(frame, (frame.pts or 0) * stream.time_base)
            for frame in container.decode(stream)
        ]


def frame_mark(frame: "VideoFrame", time: Fraction) -> bytes:
    """16 bytes over a frame's time, size, meaning of colours and every number of its planes."""
    full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    colors = (full, frame.colorspace, frame.color_primaries, frame.color_trc)
    head = f"{time} {frame.format.name} {frame.width} {frame.height} {colors}"
    total = hashlib.blake2b(head.encode(), digest_size=_MARK_BYTES)
    for number, plane in enumerate(frame.planes):
        lines = np.frombuffer(bytes(plane), dtype=np.uint8).reshape(plane.height, plane.line_size)
        used = plane.width * _bytes_per_pixel(frame, number)
        total.update(lines[:, :used].tobytes())
    return total.digest()


def _bytes_per_pixel(frame: "VideoFrame", plane: int) -> int:
    """2 with more than 8 bits, and for the chroma of NV12, which keeps both colours in a plane."""
    inside = [part for part in frame.format.components if part.plane == plane]
    return sum((part.bits + 7) // 8 for part in inside)
