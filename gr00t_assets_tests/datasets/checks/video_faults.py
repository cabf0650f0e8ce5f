"""One fault each in the videos of a good dataset."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gr00t_assets_tests.datasets.checks.edits import CAMERA, frame_count, video_file, write_video
from gr00t_assets_tests.datasets.checks.file_faults import cut
from gr00t_assets_tests.datasets.checks.meta_faults import (
    LFS_POINTER,
    Fault,
    feature,
    removed,
    text,
)

VIDEO = video_file(1)


def video(frames: int | None = None, **options: Any) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        path = directory / VIDEO
        write_video(path, frames or frame_count(path), **options)

    return make


def _cut_fast_start(directory: Path) -> None:
    path = directory / VIDEO
    write_video(path, frame_count(path), options={"movflags": "faststart"})
    cut(VIDEO, 0.6)(directory)


VIDEO_FAULTS = {
    "video missing": Fault("video-missing", VIDEO, removed(VIDEO), "again"),
    "video empty": Fault("empty-file", VIDEO, text(VIDEO, b""), "again"),
    "video is a pointer": Fault("lfs-pointer", VIDEO, text(VIDEO, LFS_POINTER), "git lfs pull"),
    "video truncated": Fault("video-unreadable", VIDEO, cut(VIDEO, 0.6), "again"),
    "video truncated behind its header": Fault("video-truncated", VIDEO, _cut_fast_start, "again"),
    "video is a playlist": Fault(
        "video-unreadable", VIDEO, text(VIDEO, b"#EXTM3U\n#EXTINF:1,\n/etc/hosts\n"), "again"
    ),
    "camera gone": Fault(
        "camera-missing",
        "meta/info.json",
        lambda directory: shutil.rmtree((directory / VIDEO).parent),
        "bring its videos",
    ),
    "video of another size": Fault("video-size", VIDEO, video(size=(64, 96)), "encode"),
    "video of another rate": Fault("video-fps", VIDEO, video(fps=30), "encode"),
    "video frames late": Fault(
        "video-frame-times", VIDEO, video(place=lambda i: i + 0.8 * (5 <= i < 15)), "constant rate"
    ),
    "video starts late": Fault(
        "video-start", VIDEO, video(place=lambda i: i + 3), "from 0 s", "warning"
    ),
    "video too short": Fault("video-frames", VIDEO, video(frames=30), "encode"),
    "video of another codec": Fault(
        "video-codec", VIDEO, video(codec="mpeg4"), "with this codec", "warning"
    ),
    "codec declared otherwise": Fault(
        "camera-codec",
        "meta/info.json",
        feature(CAMERA, info={"video.codec": "av1"}, video_info={}),
        "video.codec",
        "warning",
    ),
    "codec that decord does not read": Fault(
        "codec-unsupported", VIDEO, video(codec="libsvtav1"), "torchcodec", backend="decord"
    ),
    "codec that not every backend reads": Fault(
        "codec-support", VIDEO, video(codec="libsvtav1"), "torchcodec", "warning"
    ),
    "video declared otherwise": Fault(
        "camera-size", "meta/info.json", feature(CAMERA, shape=[90, 96, 3]), "correct its shape"
    ),
}
