"""Cutting a video of many episodes into one file each, without the loss of a frame.

An episode that begins with a key frame, as LeRobot writes them, is taken out packet by packet:
the same compressed data, its times moved to begin at 0. Any other is decoded and encoded anew
with H.264 in its lossless mode (quantiser 0), in the pixel format that it has. A third way, the
packets from the key frame before with an edit list that hides the others, is not taken: decoders
disagree on edit lists, and a trainer's may show the hidden frames.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gr00t_assets.datasets.lerobot.v3.episode_rows import is_disk_full
from gr00t_assets.datasets.lerobot.v3.video_segments import Cut
from gr00t_assets.datasets.lerobot.video_packets import VideoPackets, packets_of
from gr00t_assets.datasets.video_decoding import VideoError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import OutputContainer
    from av.video.stream import VideoStream


_OPTIONS = {"qp": "0", "preset": "veryfast", "bf": "0"}
_KEY_FRAME_EVERY = 20
"""Frames; few, since Isaac-GR00T seeks to a key frame for each sample."""

_DIGEST_BYTES = 16
_FULL_RANGE = 2
"""AVCOL_RANGE_JPEG. The narrow range and no range given mean the same."""

PathOf = Callable[[int], Path]
"""File to write for an episode index."""


def cut_video(
    path: Path, table: VideoPackets, cuts: Sequence[Cut], path_of: PathOf, verify: bool
) -> list[int]:
    """Write the frames of each episode into a file of its own that begins at 0 seconds.

    Args:
        path: Video of several episodes.
        table: Its packets.
        cuts: Which frames are whose.
        path_of: Files to write; their folders are made.
        verify: Decode both and compare every frame. A copy that is not equal, as of a video with
            parameters that change inside it, is encoded anew.

    Returns:
        The episodes that were encoded anew.

    Raises:
        OSError: The disk is full.
        VideoError: The video cannot be decoded to its end, or a file that was written shows
            other frames than it.
    """
    from av.error import FFmpegError

    for cut in cuts:
        path_of(cut.episode).parent.mkdir(parents=True, exist_ok=True)
    try:
        without_key = [cut for cut in cuts if cut.packet is None]
        copy_packets(path, table, [cut for cut in cuts if cut.packet is not None], path_of)
        if not verify:
            _encode(path, table, without_key, without_key, path_of)
            return [cut.episode for cut in without_key]
        expected = _encode(path, table, cuts, without_key, path_of)
        differing = [
            cut for cut in cuts if file_digests(path_of(cut.episode)) != expected[cut.episode]
        ]
        again = [cut for cut in differing if cut.packet is not None]
        _encode(path, table, again, again, path_of)
        for cut in differing:
            if cut.packet is None or file_digests(path_of(cut.episode)) != expected[cut.episode]:
                raise VideoError(
                    f"frames of episode {cut.episode} are not kept; nothing is written"
                )
    except (FFmpegError, OSError) as error:
        if is_disk_full(error):
            raise
        raise VideoError(getattr(error, "strerror", None) or str(error)) from error
    return sorted(cut.episode for cut in [*without_key, *again])


def copy_packets(path: Path, table: VideoPackets, cuts: Sequence[Cut], path_of: PathOf) -> None:
    """Write the packets of some episodes into a file each, in one pass over the source."""
    import av

    remaining = iter(sorted(cuts, key=lambda cut: cut.packet or 0))
    cut = next(remaining, None)
    if cut is None:
        return
    with av.open(str(path)) as source:
        template = source.streams.video[0]
        output: OutputContainer | None = None
        for position, packet in enumerate(packets_of(source)):
            if cut is None:
                break
            assert cut.packet is not None
            if position < cut.packet:
                continue
            if output is None:
                output = av.open(str(path_of(cut.episode)), "w", format="mp4")
                stream = output.add_stream_from_template(template, opaque=True)
                stream.time_base = table.time_base
                shift = int(table.pts[table.order[cut.start]])
            assert packet.pts is not None
            packet.pts -= shift
            if packet.dts is not None:
                packet.dts -= shift
            packet.stream = stream
            output.mux(packet)
            if position == cut.packet + cut.length - 1:
                output.close()
                output, cut = None, next(remaining, None)


def _encode(
    path: Path, table: VideoPackets, cuts: Sequence[Cut], to_encode: Sequence[Cut], path_of: PathOf
) -> dict[int, list[bytes]]:
    """Decode episodes of a video, encode some of them, and give the digests of all their frames."""
    digests: dict[int, list[bytes]] = {cut.episode: [] for cut in cuts}
    encoded = {cut.episode for cut in to_encode}
    writer: LosslessWriter | None = None
    for cut, frame, units in decode_episodes(path, table, cuts):
        digests[cut.episode].append(frame_digest(frame, units * table.time_base))
        if cut.episode in encoded:
            if writer is None:
                writer = LosslessWriter(path_of(cut.episode), frame, table)
            writer.write(frame, units)
            if len(digests[cut.episode]) == cut.length:
                writer.close()
                writer = None
    return digests


def decode_episodes(
    path: Path, table: VideoPackets, cuts: Sequence[Cut]
) -> Iterator[tuple[Cut, "VideoFrame", int]]:
    """Decode the frames of some episodes of a video, in one pass.

    Yields:
        The episode, the frame, and its time since the episode's first in units of the table.

    Raises:
        VideoError: The decoder gives other frames than there are packets for.
    """
    import av

    remaining = iter(sorted(cuts, key=lambda cut: cut.start))
    cut = next(remaining, None)
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
                cut = next(remaining, None)
                if cut is None:
                    return
    raise VideoError(f"the decoder stops inside episode {cut.episode}: the file is damaged")


def file_digests(path: Path) -> list[bytes]:
    """The digests of all frames of a video, in order of presentation."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        assert stream.time_base is not None
        return [
            frame_digest(frame, (frame.pts or 0) * stream.time_base)
            for frame in container.decode(stream)
        ]


def frame_digest(frame: "VideoFrame", time: Fraction) -> bytes:
    """16 bytes over a frame's time, size, meaning of colours and every number of its planes."""
    full = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    colors = (full, frame.colorspace, frame.color_primaries, frame.color_trc)
    head = f"{time} {frame.format.name} {frame.width} {frame.height} {colors}"
    digest = hashlib.blake2b(head.encode(), digest_size=_DIGEST_BYTES)
    for number, plane in enumerate(frame.planes):
        lines = np.frombuffer(bytes(plane), dtype=np.uint8).reshape(plane.height, plane.line_size)
        used = plane.width * _bytes_per_pixel(frame, number)
        digest.update(lines[:, :used].tobytes())
    return digest.digest()


def _bytes_per_pixel(frame: "VideoFrame", plane: int) -> int:
    """2 with more than 8 bits, and for the chroma of NV12, which keeps both colours in a plane."""
    components = [item for item in frame.format.components if item.plane == plane]
    return sum((item.bits + 7) // 8 for item in components)


class LosslessWriter:
    """A video file that shows exactly the frames it is given.

    One thread, so that the same frames always give the same bytes.
    """

    def __init__(self, path: Path, first: "VideoFrame", table: VideoPackets) -> None:
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
