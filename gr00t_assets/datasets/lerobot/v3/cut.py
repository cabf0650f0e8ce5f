"""Cutting a video of many episodes into one file each, without the loss of a frame.

An episode that begins with a key frame, as LeRobot writes them, is taken out packet by packet:
the same compressed data, its times moved to begin at 0. Any other is decoded and encoded anew
with H.264 in its lossless mode (quantiser 0), in the pixel format that it has. A third way, the
packets from the key frame before with an edit list that hides the rest, is not taken: decoders
disagree on edit lists, and a trainer's may show the hidden frames.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gr00t_assets.datasets.frames.frames import VideoError
from gr00t_assets.datasets.lerobot.v3.findings import is_disk_full
from gr00t_assets.datasets.lerobot.v3.lossless import LosslessWriter
from gr00t_assets.datasets.lerobot.v3.marks import file_marks, frame_mark, frames_of
from gr00t_assets.datasets.lerobot.v3.packets import Cut, PacketTable, video_packets

if TYPE_CHECKING:
    from av.container import OutputContainer


PathOf = Callable[[int], Path]
"""File to write for an episode index."""


def cut_video(
    path: Path, table: PacketTable, cuts: Sequence[Cut], path_of: PathOf, verify: bool
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
        anew = [cut for cut in cuts if cut.packet is None]
        copy_packets(path, table, [cut for cut in cuts if cut.packet is not None], path_of)
        if not verify:
            _encode(path, table, anew, anew, path_of)
            return [cut.episode for cut in anew]
        expected = _encode(path, table, cuts, anew, path_of)
        differing = [cut for cut in cuts if not _shows(path_of(cut.episode), expected[cut.episode])]
        again = [cut for cut in differing if cut.packet is not None]
        _encode(path, table, again, again, path_of)
        for cut in differing:
            if cut.packet is None or not _shows(path_of(cut.episode), expected[cut.episode]):
                raise VideoError(
                    f"frames of episode {cut.episode} are not kept; nothing is written"
                )
    except (FFmpegError, OSError) as error:
        if is_disk_full(error):
            raise
        raise VideoError(getattr(error, "strerror", None) or str(error)) from error
    return sorted(cut.episode for cut in [*anew, *again])


def copy_packets(path: Path, table: PacketTable, cuts: Sequence[Cut], path_of: PathOf) -> None:
    """Write the packets of some episodes into a file each, in one pass over the source."""
    import av

    waiting = iter(sorted(cuts, key=lambda cut: cut.packet or 0))
    cut = next(waiting, None)
    if cut is None:
        return
    with av.open(str(path)) as source:
        template = source.streams.video[0]
        output: OutputContainer | None = None
        for position, packet in enumerate(video_packets(source)):
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
                output, cut = None, next(waiting, None)


def _encode(
    path: Path, table: PacketTable, cuts: Sequence[Cut], anew: Sequence[Cut], path_of: PathOf
) -> dict[int, list[bytes]]:
    """Decode episodes of a video, encode some of them, and give the marks of all their frames."""
    marks: dict[int, list[bytes]] = {cut.episode: [] for cut in cuts}
    encoded = {cut.episode for cut in anew}
    writer: LosslessWriter | None = None
    for cut, frame, units in frames_of(path, table, cuts):
        marks[cut.episode].append(frame_mark(frame, units * table.time_base))
        if cut.episode in encoded:
            if writer is None:
                writer = LosslessWriter(path_of(cut.episode), frame, table)
            writer.write(frame, units)
            if len(marks[cut.episode]) == cut.length:
                writer.close()
                writer = None
    return marks


def _shows(path: Path, expected: list[bytes]) -> bool:
    return file_marks(path) == expected
