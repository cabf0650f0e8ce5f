"""Video files held against their declaration and the dataset's rate, without decoding a frame."""

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.datasets.lerobot.video_packets import VideoPackets

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


def check_video(
    collector: Collector,
    file: str,
    video: VideoPackets,
    camera: Feature,
    fps: float | None,
    backend: str,
) -> None:
    """Hold a video against its declaration and the dataset's rate."""
    if camera.size is not None and camera.size != (video.height, video.width):
        found = f"{video.height} x {video.width} (height x width)"
        collector.report("video-size", file, found, size=camera.size, name=camera.name)
    _check_codec(collector, file, video.codec, camera, backend)
    if fps is None or video.frames < 2:
        return
    if video.fps is not None and abs(video.fps - fps) > 0.01 * fps:
        collector.report("video-fps", file, f"{video.fps:.4g} frames a second", fps=fps)
        return
    times = video.times
    off = np.abs(times - times[0] - np.arange(len(times)) / fps)
    if off.max() > 0.5 / fps:
        frame = int((off > 0.5 / fps).argmax())
        found = f"frame {frame} is shown {off[frame] * fps:.2f} frames from its place"
        collector.report("video-frame-times", file, found, fps=fps)
    elif abs(times[0]) > 0.5 / fps:
        collector.report("video-start", file, f"the first frame is shown at {times[0]:.4g} s")


def check_camera_rates(collector: Collector, info: Info) -> None:
    """Report cameras that are declared with another rate than the dataset."""
    for camera in info.cameras:
        rate = camera.video_fps
        if rate is not None and info.fps is not None and abs(rate - info.fps) > 0.01 * info.fps:
            found = f"{camera.name} is declared with {rate:g} frames a second"
            collector.report("camera-fps", INFO, found, fps=info.fps)


def _check_codec(
    collector: Collector, file: str, codec: str, camera: Feature, backend: str
) -> None:
    declared = camera.video_codec
    if declared is not None and _CODECS.get(declared.lower(), declared.lower()) != codec:
        collector.report("video-codec", file, codec, declared=declared, name=camera.name)
    if codec in CANNOT_READ.get(backend, ()):
        collector.report("codec-unsupported", file, codec, backend=backend)
    elif backend == "frame-cache" and any(codec in bad for bad in CANNOT_READ.values()):
        names = ", ".join(name for name, bad in CANNOT_READ.items() if codec in bad)
        collector.report("codec-support", file, codec, names=names)
