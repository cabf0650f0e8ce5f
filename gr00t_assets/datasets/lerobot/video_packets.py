"""What a video file holds, packet by packet: no frame is decoded."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.video_decoding import MOST_PIXELS

MOST_FRAMES = 10_000_000
"""Of a video file of many episodes."""

_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "protocol_whitelist": "file",
}
"""No playlist: its entries would name other files and addresses."""


@dataclass(frozen=True)
class VideoPackets:
    """The packets of a video in the order in which they are decoded.

    Attributes:
        pts: Presentation time of each in units of ``time_base``, int64, shape ``(packets,)``.
        key: Whether decoding can begin with it, shape ``(packets,)``.
        order: Positions of those that are shown, in order of presentation, shape ``(frames,)``.
        time_base: Seconds of one unit.
        height: Pixels.
        width: Pixels.
        fps: Frames a second, the average; none where the container does not say.
        codec: As FFmpeg names it: h264, hevc, av1, vp9.
        pixel_format: As FFmpeg names it: yuv420p.
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

    Args:
        most_frames: A file with more of them is not read.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path), container_options=_OPTIONS) as container:
            if not container.streams.video:
                return report_video(collector, file, "no video stream")
            stream = container.streams.video[0]
            context = stream.codec_context
            if context is None:
                return report_video(collector, file, "a codec that FFmpeg does not know")
            if context.width * context.height > MOST_PIXELS:
                found = f"frames of {context.width} x {context.height} pixels, which are too large"
                return report_video(collector, file, found)
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
    except (FFmpegError, OSError, ValueError) as error:
        return report_video(collector, file, getattr(error, "strerror", None) or str(error))


def report_video(collector: Collector, file: str, reason: str) -> None:
    """Report a video that cannot be read."""
    collector.report("video-unreadable", file, reason[:1].lower() + reason[1:])
