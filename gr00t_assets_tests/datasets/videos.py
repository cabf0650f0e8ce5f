"""Datasets of nothing but videos, of any codec and size, for the frame cache."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import Episode, VideoSegment
from gr00t_assets.datasets.lerobot.info import Info

FPS = 30
TEMPLATE = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"

ENCODERS = {
    "h264": ("libx264", {"preset": "ultrafast", "bf": "2"}),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "av1": ("libsvtav1", {"preset": "12"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
}


def moving(frames: int, size: tuple[int, int], seed: int = 0) -> Iterator[np.ndarray]:
    """Images of coarse noise that slides, no two alike; size is width and height."""
    width, height = size
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3))
    picture = coarse.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    for position in range(frames):
        yield np.roll(picture, 3 * position, axis=1)[:height, :width]


def encode(path: Path, images: Iterator[np.ndarray], codec: str = "h264") -> Path:
    """Write a video with B-frames where the codec has them."""
    encoder, options = ENCODERS[codec]
    try:
        av.Codec(encoder, "w")
    except ValueError:
        pytest.skip(f"this build of FFmpeg cannot write {codec}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(encoder, rate=FPS))
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 30
        stream.codec_context.thread_count = 1
        stream.options = dict(options)
        for position, image in enumerate(images):
            if position == 0:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = position, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def video_dataset(
    directory: Path, lengths: Sequence[int], cameras: Mapping[str, tuple[int, int]]
) -> LeRobotDataset:
    """A dataset whose videos may or may not be there yet; cameras by name, with their size."""
    info = Info(fps=FPS, chunks_size=1000, video_path=TEMPLATE)

    def videos(index: int) -> dict[str, VideoSegment]:
        return {name: VideoSegment(str(info.own_file(index, name)), 0.0, inf) for name in cameras}

    return LeRobotDataset(
        directory=directory,
        name=directory.name,
        info=info,
        modality=None,
        tasks={},
        episodes=tuple(
            Episode(index, length, videos=videos(index)) for index, length in enumerate(lengths)
        ),
        cameras=tuple(cameras),
        warnings=(),
    )


def encoded_dataset(
    directory: Path,
    lengths: Sequence[int],
    cameras: Mapping[str, tuple[int, int]],
    codec: str = "h264",
) -> LeRobotDataset:
    """A dataset whose every video is written."""
    dataset = video_dataset(directory, lengths, cameras)
    for number, (camera, size) in enumerate(cameras.items()):
        for episode in dataset.episodes:
            images = moving(episode.length, size, seed=1000 * number + episode.index)
            encode(dataset.video_path(episode.index, camera), images, codec)
    return dataset


def codec_of(path: Path) -> str:
    """As FFmpeg names it: h264, hevc, av1, vp9."""
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.codec.canonical_name


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
