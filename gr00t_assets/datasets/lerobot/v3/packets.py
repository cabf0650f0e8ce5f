"""What a video file holds, packet by packet, and where the episodes in it begin and end.

Nothing is decoded here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.datasets.frames.frames import VideoError
from gr00t_assets.datasets.lerobot.v3.findings import Findings, listed

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer


HALF_FRAME = 0.5
DRIFT_FRAMES = 2.0
"""Frames by which given times may be off where the counts of frames leave no doubt.

LeRobot adds up durations in floating point, so that the times drift with every episode
(huggingface/lerobot issue 3177).
"""


@dataclass(frozen=True)
class PacketTable:
    """The packets of a video in the order in which they are decoded.

    Attributes:
        pts: Presentation time of each in units of ``time_base``, int64, shape ``(packets,)``.
        key: Whether decoding can begin with it, shape ``(packets,)``.
        order: Positions of those that are shown, in order of presentation, shape ``(frames,)``.
        rank: Place in ``order`` of each packet, -1 where it is not shown, shape ``(packets,)``.
        time_base: Seconds of one unit.
        codec: As FFmpeg names it: h264, hevc, av1, vp9.
        pixel_format: As FFmpeg names it: yuv420p.
    """

    pts: np.ndarray
    key: np.ndarray
    order: np.ndarray
    rank: np.ndarray
    time_base: Fraction
    codec: str
    pixel_format: str

    @property
    def frames(self) -> int:
        """Frames that a player shows."""
        return len(self.order)

    @property
    def times(self) -> np.ndarray:
        """Seconds at which each frame is shown, ascending, shape ``(frames,)``."""
        return self.pts[self.order] * float(self.time_base)


@dataclass(frozen=True)
class Cut:
    """The frames of one episode in a video of many.

    Attributes:
        episode: Episode index.
        start: Position of its first frame in order of presentation.
        length: Frames.
        packet: Position in decoding order of its first packet where the packets can be taken as
            they are; None where the frames have to be encoded anew.
    """

    episode: int
    start: int
    length: int
    packet: int | None


def video_packets(container: "InputContainer") -> Iterator["Packet"]:
    """The packets of a file's video stream, in order, without the empty one at the end."""
    for packet in container.demux(container.streams.video[0]):
        if packet.size:
            yield packet


def read_packets(path: Path) -> PacketTable:
    """Read the times and key marks of all packets.

    Raises:
        VideoError: It is not a video, is truncated, or has packets without a time or with the
            time of another.
    """
    import av
    from av.error import FFmpegError

    pts: list[int] = []
    key: list[bool] = []
    shown: list[bool] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("has no video stream")
            time_base = container.streams.video[0].time_base
            declared = container.streams.video[0].frames
            context = container.streams.video[0].codec_context
            codec, pixel_format = context.codec.canonical_name, context.pix_fmt or "unknown"
            for packet in video_packets(container):
                if packet.pts is None:
                    raise VideoError(f"packet {len(pts)} has no presentation time")
                if packet.is_corrupt:
                    raise VideoError(f"packet {len(pts)} is damaged")
                pts.append(packet.pts)
                key.append(packet.is_keyframe)
                shown.append(not packet.is_discard)
    except (FFmpegError, OSError) as error:
        raise VideoError(getattr(error, "strerror", None) or str(error)) from error
    if not pts or time_base is None:
        raise VideoError("has no frame")
    if declared and len(pts) < declared:
        raise VideoError(f"is truncated: it has {len(pts)} of {declared} packets")
    times = np.array(pts, dtype=np.int64)
    visible = np.flatnonzero(shown)
    order = visible[np.argsort(times[visible], kind="stable")]
    if len(np.unique(times[order])) < len(order):
        raise VideoError("shows several frames at one time")
    rank = np.full(len(times), -1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    return PacketTable(
        times, np.array(key, dtype=bool), order, rank, time_base, codec, pixel_format
    )


def copied_from(table: PacketTable, start: int, length: int) -> int | None:
    """First packet of a stretch of frames that can be taken out as it is, or None.

    It can where it begins with a key frame and its packets follow each other without one of
    another stretch between them: a frame depends on nothing that is decoded after it.
    """
    first = int(table.order[start])
    ranks = np.sort(table.rank[first : first + length])
    if table.key[first] and np.array_equal(ranks, np.arange(start, start + length)):
        return first
    return None


def place_episodes(
    table: PacketTable,
    wanted: Sequence[tuple[int, int, float, float]],
    fps: float,
    where: str,
    findings: Findings,
) -> list[Cut]:
    """The frames of every episode of one video file.

    Where the video has exactly as many frames as its episodes together, they are counted off in
    the order of the given times. Else each begins with the frame nearest to its given time.

    Args:
        table: Of the file.
        wanted: Episode index, rows, and from and to which second it is said to lie.
        fps: Rows per second.
        where: Name of the file for messages.
        findings: Filled with what does not fit.
    """
    ordered = sorted(wanted, key=lambda item: (item[2], item[0]))
    lengths = np.array([item[1] for item in ordered])
    given = np.array([item[2] for item in ordered])
    times = table.times
    counted = int(lengths.sum()) == table.frames
    if counted:
        starts = np.cumsum(lengths) - lengths
    else:
        right = np.searchsorted(times, given).clip(0, table.frames - 1)
        left = (right - 1).clip(0)
        starts = np.where(np.abs(times[left] - given) <= np.abs(times[right] - given), left, right)
    off = np.abs(times[starts] - given) * fps
    cuts, drifted, end, before = [], [], 0, -1
    for position, (episode, length, since, until) in enumerate(ordered):
        start, problem = int(starts[position]), None
        if off[position] > (DRIFT_FRAMES if counted else HALF_FRAME):
            problem = (
                f"begins at {since:.3f} s, the frame for it is shown at {times[start]:.3f} s "
                f"(the video: {times[0]:.3f} to {times[-1]:.3f} s)"
            )
        elif not counted and abs((until - since) * fps - length) > HALF_FRAME:
            problem = (
                f"lies from {since:.3f} to {until:.3f} s, {(until - since) * fps:.1f} frames at "
                f"{fps:g} a second; its length is {length}"
            )
        elif start + length > table.frames:
            problem = f"takes frames {start} to {start + length - 1}; there are {table.frames}"
        elif start < end:
            problem = f"begins {end - start} frames before episode {before} ends"
        if problem:
            findings.problems.append(f"{where}: episode {episode} {problem}")
            continue
        if off[position] > HALF_FRAME:
            drifted.append(episode)
        end, before = start + length, episode
        cuts.append(Cut(episode, start, length, copied_from(table, start, length)))
    if drifted:
        findings.warnings.append(
            f"{where}: the given times of {listed(drifted)} are up to {off.max():.1f} frames off; "
            "cut by counting frames"
        )
    unused = table.frames - int(lengths.sum())
    if unused > 0 and len(cuts) == len(ordered):
        findings.warnings.append(f"{where}: {unused} frames belong to no episode")
    return cuts
