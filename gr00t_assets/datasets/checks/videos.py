"""Video files by their container alone: no frame is decoded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.checks.features import Feature
from gr00t_assets.datasets.checks.lists import LONGEST_EPISODE

BACKENDS = ("frame-cache", "decord", "torchvision_av", "torchcodec")
"""What turns videos into frames: the native trainer's frame cache, and Isaac-GR00T's choices."""

CANNOT_READ = {"decord": {"av1"}}
"""Codecs that a backend fails on; measured with the June release."""

AGAIN = "copy or download it again"

_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi",
    "protocol_whitelist": "file",
}
"""No playlist: its entries would name other files and addresses."""

_CODECS = {
    "avc1": "h264",
    "avc": "h264",
    "libx264": "h264",
    "h265": "hevc",
    "hvc1": "hevc",
    "libx265": "hevc",
    "libsvtav1": "av1",
    "libaom-av1": "av1",
    "libvpx-vp9": "vp9",
}


@dataclass(frozen=True)
class Video:
    """What a container says.

    Attributes:
        frames: Packets that hold a frame.
        height: Pixels.
        width: Pixels.
        fps: Frames a second, the average; none where the container does not say.
        codec: As FFmpeg names it.
        times: Seconds of each frame in order of presentation, shape ``(frames,)``.
    """

    frames: int
    height: int
    width: int
    fps: float | None
    codec: str
    times: np.ndarray


def read_video(collector: Collector, path: Path, file: str) -> Video | None:
    """Walk through the packets of a video; ``None`` where it cannot be read to its end."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path), container_options=_OPTIONS) as container:
            if not container.streams.video:
                _unreadable(collector, file, "no video stream")
                return None
            stream = container.streams.video[0]
            if stream.codec_context is None:
                _unreadable(collector, file, "a codec that FFmpeg does not know")
                return None
            declared = stream.frames
            times, corrupt = _packets(container, stream)
            if len(times) > LONGEST_EPISODE:
                _unreadable(collector, file, f"more than {LONGEST_EPISODE:,} frames")
                return None
            if corrupt or len(times) < declared:
                collector.error(
                    "video-truncated",
                    file,
                    f"{len(times) - corrupt} whole frames",
                    f"{max(declared, len(times))} frames, as its header says",
                    f"the file ends too early: {AGAIN}",
                )
                return None
            context = stream.codec_context
            return Video(
                frames=len(times),
                height=context.height,
                width=context.width,
                fps=float(stream.average_rate) if stream.average_rate else None,
                codec=context.codec.canonical_name,
                times=np.sort(np.array(times, dtype=np.float64)) * float(stream.time_base or 0),
            )
    except (FFmpegError, OSError, ValueError) as error:
        _unreadable(collector, file, getattr(error, "strerror", None) or str(error))
        return None


def _packets(container: Any, stream: Any) -> tuple[list[int], int]:
    """Presentation times in the stream's units, and how many packets are cut short."""
    times, corrupt = [], 0
    for packet in container.demux(stream):
        if packet.size:
            times.append(packet.pts if packet.pts is not None else len(times))
            corrupt += packet.is_corrupt
        if len(times) > LONGEST_EPISODE:
            break
    return times, corrupt


def _unreadable(collector: Collector, file: str, reason: str) -> None:
    collector.error(
        "video-unreadable",
        file,
        reason[:1].lower() + reason[1:],
        "a whole video file",
        f"it is truncated, damaged or no video: {AGAIN}",
    )


def check_video(
    collector: Collector, file: str, video: Video, camera: Feature, fps: float | None, backend: str
) -> None:
    """Hold a video against its declaration and the dataset's rate."""
    if camera.size is not None and camera.size != (video.height, video.width):
        collector.error(
            "video-size",
            file,
            f"{video.height} x {video.width} (height x width)",
            f"{camera.size[0]} x {camera.size[1]}, as meta/info.json declares {camera.name}",
            "correct the shape in meta/info.json, or encode the video again",
        )
    _codec(collector, file, video.codec, camera, backend)
    if fps is None or video.frames < 2:
        return
    if video.fps is not None and abs(video.fps - fps) > 0.01 * fps:
        collector.error(
            "video-fps",
            file,
            f"{video.fps:.4g} frames a second",
            f"{fps:g}, the rate of the dataset",
            "encode the video with the rate of the rows",
        )
        return
    off = np.abs(video.times - video.times[0] - np.arange(video.frames) / fps)
    if off.max() > 0.5 / fps:
        frame = int((off > 0.5 / fps).argmax())
        collector.error(
            "video-frame-times",
            file,
            f"frame {frame} is shown {off[frame] * fps:.2f} frames from its place",
            f"frame i at i / {fps:g} s, at most half a frame more or less",
            "encode the video with a constant rate",
        )
    elif abs(video.times[0]) > 0.5 / fps:
        collector.warn(
            "video-start",
            file,
            f"the first frame is shown at {video.times[0]:.4g} s",
            "0 s",
            "frames are looked up by time: encode the video from 0 s on",
        )


def _codec(collector: Collector, file: str, codec: str, camera: Feature, backend: str) -> None:
    declared = camera.video_codec
    if declared is not None and _CODECS.get(declared.lower(), declared.lower()) != codec:
        collector.warn(
            "video-codec",
            file,
            codec,
            f"{declared}, as meta/info.json declares {camera.name}",
            "correct video.codec in meta/info.json",
        )
    if codec in CANNOT_READ.get(backend, ()):
        collector.error(
            "codec-unsupported",
            file,
            codec,
            f"a codec that the video backend {backend} reads, such as h264",
            "choose the video backend torchcodec, or encode the videos as h264",
        )
    elif backend == "frame-cache" and any(codec in bad for bad in CANNOT_READ.values()):
        names = ", ".join(name for name, bad in CANNOT_READ.items() if codec in bad)
        collector.warn(
            "codec-support",
            file,
            codec,
            f"a codec that every video backend reads; {names} does not",
            "train with the native trainer or the video backend torchcodec, or encode as h264",
        )
