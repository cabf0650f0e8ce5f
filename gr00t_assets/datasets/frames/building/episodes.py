"""One episode's frames put in their place: kept, copied from an earlier cache, or decoded."""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from gr00t_assets.datasets.frames.building.partial import PartialFrames
from gr00t_assets.datasets.frames.frame_index import (
    FRAMES,
    TIMES,
    FramePlan,
    Size,
    Span,
    cache_folder,
    read_indices,
)
from gr00t_assets.datasets.frames.frames import VideoError, decode

Way = Literal["kept", "reused", "decoded"]

_FLUSH_BYTES = 64 << 20


@dataclass(frozen=True)
class Cached:
    """An episode's frames in a finished cache."""

    folder: Path
    plan: FramePlan
    span: Span


class StoppedError(Exception):
    """The build was given up while an episode was being decoded."""


def cached_videos(directories: Sequence[Path], size: Size | None) -> dict[str, Cached]:
    """Episodes that finished caches hold, by the hash of their video."""
    found: dict[str, Cached] = {}
    for directory in directories:
        folder = cache_folder(directory, size)
        for camera, index in read_indices(folder).items():
            if index is not None:
                for span, video in zip(index.plan.spans, index.videos, strict=True):
                    found.setdefault(video.sha256, Cached(folder / camera, index.plan, span))
    return found


def fill_episode(
    path: Path,
    span: Span,
    partial: PartialFrames,
    reusable: Mapping[str, Cached],
    told: Callable[[int], None],
    stop: threading.Event,
) -> Way:
    """Put every frame of one video in its place and note that it is whole.

    Args:
        path: The video.
        span: Its rows.
        partial: Where the frames go.
        reusable: Frames that are there already, by hash of their video.
        told: Told how many of its frames are done.
        stop: Set when the build is given up.

    Raises:
        VideoError: It cannot be decoded, its frames have another size than the plan says, or are
            not one for each row.
        StoppedError: The build was given up.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VideoError(str(error.strerror or error).lower()) from error
    way: Way = "kept"
    if partial.done.get(span.episode) != sha256:
        way = "reused" if _copied(reusable.get(sha256), span, partial) else "decoded"
        if way == "decoded":
            _decoded(path, span, partial, told, stop)
        partial.finish(span, sha256)
    told(span.frames)
    return way


def _copied(source: Cached | None, span: Span, partial: PartialFrames) -> bool:
    """Whether another cache had the frames, made in the same way."""
    if source is None or source.span.frames != span.frames or not _alike(source.plan, partial.plan):
        return False
    with suppress(FileNotFoundError, EOFError, ValueError):
        times = np.load(source.folder / TIMES, mmap_mode="r")
        first = source.span.first_row
        offset = len(source.plan.frames_header()) + first * source.plan.frame_bytes
        descriptor = os.open(source.folder / FRAMES, os.O_RDONLY)
        try:
            partial.copy_frames(span, descriptor, offset)
        finally:
            os.close(descriptor)
        partial.write_times(span, np.array(times[first : first + span.frames]))
        return True
    return False


def _alike(one: FramePlan, other: FramePlan) -> bool:
    keys = "height", "width", "video_height", "video_width", "decoder"
    return all(getattr(one, key) == getattr(other, key) for key in keys)


def _decoded(
    path: Path,
    span: Span,
    partial: PartialFrames,
    told: Callable[[int], None],
    stop: threading.Event,
) -> None:
    plan = partial.plan
    shape = plan.video_height, plan.video_width, 3
    every = max(1, _FLUSH_BYTES // plan.frame_bytes)
    times: list[float] = []
    for position, (time, frame) in enumerate(decode(path, range(span.frames))):
        if stop.is_set():
            raise StoppedError
        times.append(time)
        if frame is None:
            continue
        if frame.shape != shape:
            raise VideoError(
                f"frame {position} is {frame.shape[1]} x {frame.shape[0]}, "
                f"others of this camera are {shape[1]} x {shape[0]}"
            )
        if plan.resized:
            frame = resized(frame, (plan.width, plan.height))
        partial.write_frame(span, position, frame)
        told(position + 1)
        if (position + 1) % every == 0:
            partial.flush()
    if len(times) != span.frames:
        raise VideoError(f"has {len(times)} frames, episode {span.episode} has {span.frames} rows")
    partial.write_times(span, np.asarray(times))


def resized(frame: np.ndarray, size: Size) -> np.ndarray:
    """A frame at another size, ``(height, width, 3)`` uint8 RGB.

    Pillow's bilinear filter, whose support grows as an image shrinks: what torchvision calls
    bilinear with antialias. GR00T crops before it resizes, so a cached frame that was resized
    gives an image that is close to NVIDIA's and not equal to it.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
