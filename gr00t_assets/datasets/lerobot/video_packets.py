"""What a video file holds, packet by packet, and in v3.0 which of its frames are whose."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isinf
from pathlib import Path

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.episodes import Episode, VideoSegment
from gr00t_assets.datasets.lerobot.folder import Folder, episode_names
from gr00t_assets.datasets.videos import VideoError, nearest_rows, opened_video

MOST_FRAMES = 10_000_000
"""Of a video file of many episodes."""

HALF_FRAME, DRIFT_FRAMES = 0.5, 2.0
"""By which given times may be off: in doubt, and where the counts of frames leave none.

LeRobot adds up durations in floating point, so that the times drift with every episode
(huggingface/lerobot issue 3177).
"""

LOSSLESS_FORMATS = frozenset(
    name.format(layout)
    for name in ("yuv{}p", "yuv{}p10le", "yuvj{}p", "gray")
    for layout in (420, 422, 444)
)
"""Pixel formats that libx264 takes as they are."""


@dataclass(frozen=True)
class VideoPackets:
    """The packets of a video in the order in which they are decoded.

    Attributes:
        pts: Presentation time of each in units of ``time_base``, int64, shape ``(packets,)``.
        key: Whether decoding can begin with it, shape ``(packets,)``.
        order: Positions of those that are shown, in order of presentation, shape ``(frames,)``.
        time_base: Seconds of one unit.
        fps: Frames a second, the average; none where the container does not say.
        codec: As FFmpeg names it, like the pixel format: h264, hevc, av1, vp9.
    """

    pts: np.ndarray
    key: np.ndarray
    order: np.ndarray
    time_base: Fraction
    height: int
    width: int
    fps: float | None
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


def read_packets(
    collector: Collector, path: Path, file: str, most_frames: int = MOST_FRAMES
) -> VideoPackets | None:
    """Walk through the packets of a video; ``None`` where it cannot be read to its end.

    A file of more than ``most_frames`` is not read.
    """
    try:
        with opened_video(path) as (container, stream):
            context = stream.codec_context
            pts, key, shown, corrupt = [], [], [], 0
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                pts.append(packet.pts if packet.pts is not None else len(pts))
                key.append(packet.is_keyframe)
                shown.append(not packet.is_discard)
                corrupt += packet.is_corrupt
                if len(pts) > most_frames:
                    return report_video(collector, file, f"more than {most_frames:,} frames")
            if corrupt or len(pts) < stream.frames:
                found, frames = f"{len(pts) - corrupt} whole frames", max(stream.frames, len(pts))
                collector.report("video-truncated", file, found, frames=frames)
                return None
            times, visible = np.array(pts, dtype=np.int64), np.flatnonzero(shown)
            return VideoPackets(
                pts=times,
                key=np.array(key, dtype=bool),
                order=visible[np.argsort(times[visible], kind="stable")],
                time_base=stream.time_base or Fraction(0),
                height=context.height,
                width=context.width,
                fps=float(stream.average_rate) if stream.average_rate else None,
                codec=context.codec.canonical_name,
                pixel_format=context.pix_fmt or "unknown",
            )
    except VideoError as error:
        return report_video(collector, file, str(error))


def report_video(collector: Collector, file: str, reason: str) -> None:
    """Report a video that cannot be read."""
    collector.report("video-unreadable", file, reason[:1].lower() + reason[1:])


@dataclass(frozen=True)
class Cut:
    """The frames of one episode in a video of many, in order of presentation.

    ``packet`` is the position in decoding order of its first packet where the packets can be taken
    as they are; None where the frames have to be encoded anew.
    """

    episode: int
    start: int
    length: int
    packet: int | None


@dataclass(frozen=True)
class SharedVideo:
    """A video file of a camera, its packets, and which frames are whose."""

    camera: str
    file: str
    packets: VideoPackets
    cuts: Sequence[Cut]


def find_frames(
    folder: Folder, episodes: Sequence[Episode], cameras: Iterable[str], fps: float
) -> list[SharedVideo]:
    """The video files of cameras, one after the other; ``fps`` are rows a second."""
    collector, videos = folder.collector, []
    for camera in cameras:
        segments: dict[str, list[tuple[Episode, VideoSegment]]] = defaultdict(list)
        for episode in (*episodes, *folder.left_out.values()):
            if segment := episode.videos.get(camera):
                segments[segment.file].append((episode, segment))
        for file in sorted(segments):
            parts = [item for item in segments[file] if not folder.leaves_out(item[0].index)]
            path = folder.opened(file) if parts else None
            if path is None or (table := read_packets(collector, path, file)) is None:
                continue
            if not table.frames or len(np.unique(table.times)) < table.frames:
                report_video(collector, file, "no frame, or several frames at one time")
                continue
            if sum(episode.length for episode, _ in segments[file]) == table.frames:
                parts = segments[file]
            cuts = _place_episodes(collector, file, table, parts, fps)
            cuts = [cut for cut in cuts if not folder.leaves_out(cut.episode)]
            pixels = table.pixel_format
            encoded = [cut.episode for cut in cuts if cut.packet is None]
            if encoded and pixels not in LOSSLESS_FORMATS:
                found = f"{episode_names(encoded)} cannot be cut out: no key frame at the border, "
                found += f"and pixel format {pixels} cannot be encoded anew without loss"
                collector.report("video-not-lossless", file, found)
            videos.append(SharedVideo(camera, file, table, cuts))
    return videos


def copied_from(table: VideoPackets, start: int, length: int) -> int | None:
    """First packet of a stretch of frames that can be taken out as it is, or None.

    It can where it begins with a key frame and its packets follow each other without one of
    another stretch between them: a frame depends on nothing that is decoded after it.
    """
    first = int(table.order[start])
    packets = np.sort(table.order[start : start + length])
    if table.key[first] and np.array_equal(packets, np.arange(first, first + length)):
        return first
    return None


def _place_episodes(
    collector: Collector,
    file: str,
    table: VideoPackets,
    segments: Sequence[tuple[Episode, VideoSegment]],
    fps: float,
) -> list[Cut]:
    """The frames of every episode of one video file, of which each is said to lie in a segment.

    Where the video has exactly as many frames as its episodes together, they are counted off in
    the order of the given times. Else each begins with the frame nearest to its given time.
    """
    ordered = sorted(segments, key=lambda item: (item[1].start, item[0].index))
    lengths = np.array([episode.length for episode, _ in ordered])
    given = np.array([segment.start for _, segment in ordered])
    times, is_counted = table.times, int(lengths.sum()) == table.frames
    starts = np.cumsum(lengths) - lengths if is_counted else nearest_rows(times, given)
    off = np.abs(times[starts] - given) * fps
    cuts, drifted, end, previous = [], [], 0, -1
    for position, (episode, segment) in enumerate(ordered):
        start, length, problem = int(starts[position]), episode.length, None
        since, until = segment.start, segment.end
        if off[position] > (DRIFT_FRAMES if is_counted else HALF_FRAME):
            problem = (
                f"begins at {since:.3f} s, the frame for it is shown at {times[start]:.3f} s "
                f"(the video: {times[0]:.3f} to {times[-1]:.3f} s)"
            )
        elif not (is_counted or isinf(until)) and abs((until - since) * fps - length) > HALF_FRAME:
            problem = (
                f"lies from {since:.3f} to {until:.3f} s, {(until - since) * fps:.1f} frames at "
                f"{fps:g} a second; its length is {length}"
            )
        elif start + length > table.frames:
            problem = f"takes frames {start} to {start + length - 1}; there are {table.frames}"
        elif start < end:
            problem = f"begins {end - start} frames before episode {previous} ends"
        if problem:
            collector.report("video-segment", file, f"episode {episode.index} {problem}")
            continue
        if off[position] > HALF_FRAME:
            drifted.append(episode.index)
        end, previous = start + length, episode.index
        cuts.append(Cut(episode.index, start, length, copied_from(table, start, length)))
    if drifted:
        found = f"the given times of {episode_names(drifted)} are up to {off.max():.1f} frames off"
        collector.report("video-times-drift", file, f"{found}; cut by counting frames")
    unused = table.frames - int(lengths.sum())
    if unused > 0 and len(cuts) == len(ordered):
        collector.report("video-frames-unused", file, f"{unused} frames belong to no episode")
    return cuts
