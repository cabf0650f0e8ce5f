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
        collector.error(
            "video-size",
            file,
            f"{video.height} x {video.width} (height x width)",
            f"{camera.size[0]} x {camera.size[1]}, as meta/info.json declares {camera.name}",
            "correct the shape in meta/info.json, or encode the video again",
        )
    _check_codec(collector, file, video.codec, camera, backend)
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
    times = video.times
    off = np.abs(times - times[0] - np.arange(len(times)) / fps)
    if off.max() > 0.5 / fps:
        frame = int((off > 0.5 / fps).argmax())
        collector.error(
            "video-frame-times",
            file,
            f"frame {frame} is shown {off[frame] * fps:.2f} frames from its place",
            f"frame i at i / {fps:g} s, at most half a frame more or less",
            "encode the video with a constant rate",
        )
    elif abs(times[0]) > 0.5 / fps:
        collector.warn(
            "video-start",
            file,
            f"the first frame is shown at {times[0]:.4g} s",
            "0 s",
            "frames are looked up by time: encode the video from 0 s on",
        )


def check_camera_rates(collector: Collector, info: Info) -> None:
    """Report cameras that are declared with another rate than the dataset."""
    for camera in info.cameras:
        rate = camera.video_fps
        if rate is not None and info.fps is not None and abs(rate - info.fps) > 0.01 * info.fps:
            collector.warn(
                "camera-fps",
                INFO,
                f"{camera.name} is declared with {rate:g} frames a second",
                f"{info.fps:g}, the fps of the dataset",
                "make video.fps of the feature and fps agree with the recording",
            )


def _check_codec(
    collector: Collector, file: str, codec: str, camera: Feature, backend: str
) -> None:
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
