"""Cutting a video of many episodes into one file each, without the loss of a frame.

An episode that begins with a key frame, as LeRobot writes them, is taken out packet by packet:
the same compressed data, its times moved to begin at 0. Any other is decoded and encoded anew
with H.264 in its lossless mode (quantiser 0), in the pixel format that it has. A third way, the
packets from the key frame before with an edit list that hides the others, is not taken: decoders
disagree on edit lists, and a trainer's may show the hidden frames.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gr00t_assets.datasets.lerobot.columns import is_disk_full
from gr00t_assets.datasets.lerobot.video_packets import Cut, VideoPackets
from gr00t_assets.datasets.videos import VideoError, opened_video

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream


_OPTIONS = {"qp": "0", "preset": "veryfast", "bf": "0"}
_KEY_FRAME_EVERY = 20
"""Frames; few, since Isaac-GR00T seeks to a key frame for each sample."""

_FULL_RANGE = 2
"""AVCOL_RANGE_JPEG. The narrow range and no range given mean the same."""

PathOf = Callable[[int], Path]
"""File to write for an episode index."""


def cut_video(path: Path, table: VideoPackets, cuts: Sequence[Cut], path_of: PathOf) -> list[int]:
    """Write the frames of each episode into a file of its own that begins at 0 seconds.

    Both are decoded and every frame is compared. A copy that is not equal, as of a video with
    parameters that change inside it, is encoded anew; the episodes that were so are returned.

    Raises:
        OSError: The disk is full.
        VideoError: The video cannot be decoded to its end, or a file that was written shows
            other frames than it.
    """
    from av.error import FFmpegError

    for cut in cuts:
        path_of(cut.episode).parent.mkdir(parents=True, exist_ok=True)
    try:
        copied = [cut for cut in cuts if cut.packet is not None]
        encoded = [cut for cut in cuts if cut.packet is None]
        _copy_packets(path, table, copied, path_of)
        expected = _encode(path, table, cuts, encoded, path_of)
        again = [cut for cut in copied if _file_digests(path_of(cut.episode)) != expected[cut]]
        _encode(path, table, again, again, path_of)
        encoded += again
        for cut in encoded:
            if _file_digests(path_of(cut.episode)) != expected[cut]:
                found = f"frames of episode {cut.episode} are not kept"
                raise VideoError(f"{found}; nothing is written")
    except (FFmpegError, OSError) as error:
        if is_disk_full(error):
            raise
        raise VideoError(getattr(error, "strerror", None) or str(error)) from error
    return sorted(cut.episode for cut in encoded)


def _copy_packets(path: Path, table: VideoPackets, cuts: Sequence[Cut], path_of: PathOf) -> None:
    """Write the packets of some episodes into a file each, in one pass over the source."""
    import av

    with av.open(str(path)) as source:
        template, position = source.streams.video[0], 0
        packets = (packet for packet in source.demux(template) if packet.size)
        for cut in sorted(cuts, key=lambda cut: cut.packet or 0):
            assert cut.packet is not None
            begin, position = cut.packet - position, cut.packet + cut.length
            with av.open(str(path_of(cut.episode)), "w", format="mp4") as output:
                stream = output.add_stream_from_template(template, opaque=True)
                stream.time_base = table.time_base
                shift = int(table.pts[table.order[cut.start]])
                for packet in islice(packets, begin, begin + cut.length):
                    assert packet.pts is not None
                    packet.pts -= shift
                    if packet.dts is not None:
                        packet.dts -= shift
                    packet.stream = stream
                    output.mux(packet)


def _encode(
    path: Path, table: VideoPackets, cuts: Sequence[Cut], to_encode: Sequence[Cut], path_of: PathOf
) -> dict[Cut, list[bytes]]:
    """Decode episodes of a video, encode some of them, and give the digests of all their frames."""
    digests: dict[Cut, list[bytes]] = {}
    for cut, decoded in groupby(_decode_episodes(path, table, cuts), key=lambda item: item[0]):
        frames = ((frame, units) for _, frame, units in decoded)
        if cut in to_encode:
            frames = _encode_lossless(path_of(cut.episode), frames, table)
        digests[cut] = [_digest(frame, units * table.time_base) for frame, units in frames]
    return digests


def _encode_lossless(
    path: Path, frames: Iterable[tuple["VideoFrame", int]], table: VideoPackets
) -> Iterator[tuple["VideoFrame", int]]:
    """Hand on frames while they are written into a video file that shows exactly them.

    One thread, so that the same frames always give the same bytes. Each comes with its time in
    units of the table, that of the source; its own time is replaced.
    """
    import av

    times = table.times
    span = (times[-1] - times[0]) / max(len(times) - 1, 1)
    rate = round(1 / span) if span > 0 else 30
    with av.open(str(path), "w", format="mp4") as output:
        stream = cast("VideoStream", output.add_stream("libx264", rate=max(rate, 1)))
        context = stream.codec_context
        for position, (frame, units) in enumerate(frames):
            if position == 0:
                context.width, context.height = frame.width, frame.height
                context.pix_fmt = frame.format.name
                context.time_base = stream.time_base = table.time_base
                context.gop_size = _KEY_FRAME_EVERY
                context.thread_count = 1
                context.options = _OPTIONS
                context.color_range, context.colorspace = frame.color_range, frame.colorspace
                context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
            yield frame, units
            frame.pts, frame.time_base = units, table.time_base
            frame.pict_type = 0  # pyright: ignore[reportAttributeAccessIssue]
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def _decode_episodes(
    path: Path, table: VideoPackets, cuts: Sequence[Cut]
) -> Iterator[tuple[Cut, "VideoFrame", int]]:
    """Each frame of some episodes with its time since the episode's first in units of the table.

    A decoder that gives other frames than there are packets for is a VideoError.
    """
    remaining = iter(sorted(cuts, key=lambda cut: cut.start))
    cut = next(remaining, None)
    if cut is None:
        return
    times = table.pts[table.order]
    with opened_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        for position, frame in enumerate(container.decode(stream)):
            if position >= len(times) or frame.pts != times[position]:
                due = float(times[min(position, len(times) - 1)] * table.time_base)
                raise VideoError(f"frame {position}, due at {due:.3f} s, cannot be decoded")
            if position < cut.start:
                continue
            yield cut, frame, int(times[position] - times[cut.start])
            if position == cut.start + cut.length - 1:
                cut = next(remaining, None)
                if cut is None:
                    return
    raise VideoError(f"the decoder stops inside episode {cut.episode}: the file is damaged")


def _file_digests(path: Path) -> list[bytes]:
    """The digests of all frames of a video, in order of presentation."""
    with opened_video(path) as (container, stream):
        stream.thread_type = "AUTO"
        base = stream.time_base or Fraction(0)
        return [_digest(frame, (frame.pts or 0) * base) for frame in container.decode(stream)]


def _digest(frame: "VideoFrame", time: Fraction) -> bytes:
    """16 bytes over a frame's time, size, meaning of colours and every number of its planes."""
    full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    colors = (full, frame.colorspace, frame.color_primaries, frame.color_trc)
    head = f"{time} {frame.format.name} {frame.width} {frame.height} {colors}"
    digest = hashlib.blake2b(head.encode(), digest_size=16)
    for number, plane in enumerate(frame.planes):
        lines = np.frombuffer(bytes(plane), dtype=np.uint8).reshape(plane.height, plane.line_size)
        # 2 bytes a pixel with more than 8 bits, and for NV12's chroma, both colours in one plane.
        parts = (part for part in frame.format.components if part.plane == number)
        used = plane.width * sum((part.bits + 7) // 8 for part in parts)
        digest.update(lines[:, :used].tobytes())
    return digest.digest()
