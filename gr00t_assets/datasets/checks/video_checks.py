"""Video files held against their declaration and the dataset's rate, without decoding a frame."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.datasets.lerobot.video_packets import Cut, VideoPackets

BACKENDS = ("frame-cache", "decord", "torchvision_av", "torchcodec")
"""What turns videos into frames: the native trainer's frame cache, and Isaac-GR00T's choices."""

CANNOT_READ = {"decord": {"av1"}}
"""Codecs that a backend fails on; measured with the June release."""

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


class VideoFormat(NamedTuple):
    """Height and width of a video in pixels, and its codec as FFmpeg names it."""

    height: int
    width: int
    codec: str


def check_video(
    collector: Collector,
    file: str,
    video: VideoPackets,
    fps: float | None,
    episodes: Sequence[Cut] = (),
) -> None:
    """Hold a video against the dataset's rate.

    Args:
        episodes: Those whose frames it holds; of v2.x it holds one.
    """
    if fps is None or video.frames < 2:
        return
    if video.fps is not None and abs(video.fps - fps) > 0.01 * fps:
        collector.report("video-fps", file, f"{video.fps:.4g} frames a second", fps=fps)
        return
    times = video.times
    for cut in episodes or [Cut(0, 0, video.frames, None)]:
        shown = times[cut.start : cut.start + cut.length]
        off = np.abs(shown - shown[0] - np.arange(cut.length) / fps)
        if off.max() > 0.5 / fps:
            frame = int((off > 0.5 / fps).argmax())
            found = f"frame {frame} is shown {off[frame] * fps:.2f} frames from its place"
            place = f"episode {cut.episode}: " if episodes else ""
            collector.report("video-frame-times", file, place + found, fps=fps)
        elif not episodes and abs(times[0]) > 0.5 / fps:
            found = f"the first frame is shown at {times[0]:.4g} s"
            collector.report("video-start", file, found)


def check_camera_rates(collector: Collector, info: Info) -> None:
    """Report cameras that are declared with another rate than the dataset."""
    for camera in info.video_cameras:
        rate = camera.video_fps
        if rate is not None and info.fps is not None and abs(rate - info.fps) > 0.01 * info.fps:
            found = f"{camera.name} is declared with {rate:g} frames a second"
            collector.report("camera-fps", INFO, found, fps=info.fps)


def check_declaration(
    collector: Collector, camera: Feature, videos: Mapping[str, VideoFormat], backend: str
) -> None:
    """Hold the sizes and codecs of a camera's videos against what is declared of it.

    Where all videos are alike it is the declaration that is wrong, else the videos that differ.

    Args:
        videos: By file.
    """
    sizes = {file: f"{video.height} x {video.width}" for file, video in videos.items()}
    codecs = {file: video.codec for file, video in videos.items()}
    size, codec = camera.size, (camera.video_codec or "").lower()
    for of_all, of_one, declared, values in (
        ("camera-size", "video-size", f"{size[0]} x {size[1]}" if size else "", sizes),
        ("camera-codec", "video-codec", _CODECS.get(codec, codec), codecs),
    ):
        wrong = {file: value for file, value in values.items() if declared not in ("", value)}
        if wrong and len(set(values.values())) == 1:
            found = f"{camera.name} is declared as {declared}"
            collector.report(of_all, INFO, found, value=next(iter(wrong.values())))
            continue
        for file, value in wrong.items():
            collector.report(of_one, file, value, declared=declared, name=camera.name)
    for used in dict.fromkeys(codecs.values()):
        file, *others = (file for file, value in codecs.items() if value == used)
        found = f"{used}, and {len(others)} more videos of {camera.name}" if others else used
        if used in CANNOT_READ.get(backend, ()):
            collector.report("codec-unsupported", file, found, backend=backend)
        elif backend == "frame-cache" and any(used in bad for bad in CANNOT_READ.values()):
            names = ", ".join(name for name, bad in CANNOT_READ.items() if used in bad)
            collector.report("codec-support", file, found, names=names)
