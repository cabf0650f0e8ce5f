"""Every frame of a dataset decoded once, in order, to a memory map, and found by its timestamp.

One folder a camera, each published on its own: ``frames.npy``, which ``numpy.load`` maps, and
``index.json`` with the presentation times of every episode's frames.
"""

import json
import mmap
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gr00t_assets.datasets.frames import VideoError, decode, nearest_rows
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.errors import DatasetError
from gr00t_assets.files import published_directory, write_json

INDEX = "index.json"
FRAMES = "frames.npy"

MAPPED_FRAMES = 512
"""Frames of a camera that are read before their pages are given back: a process stays small, and
the operating system still holds the file in its cache."""

Progress = Callable[[int, int], None]
"""Told the frames done and the frames in all."""


@dataclass(frozen=True)
class FrameCacheInfo:
    """What a frame cache holds.

    Attributes:
        frames: Frames of all cameras.
        size_bytes: Bytes of all frames.
        cameras: Frames, height and width by camera.
    """

    frames: int
    size_bytes: int
    cameras: dict[str, tuple[int, int, int]]


class FrameCache:
    """Decoded frames; made by :meth:`open`.

    Attributes:
        cameras: Feature names of the cameras that it holds.
    """

    def __init__(self, directory: Path, indices: dict[str, dict[str, Any]]) -> None:
        self._directory = directory
        self._frames: dict[str, np.ndarray] = {}
        self._touched: dict[str, int] = {}
        self._start: dict[tuple[str, int], int] = {}
        self._shown: dict[tuple[str, int], np.ndarray] = {}
        for camera, index in indices.items():
            self._frames[camera] = np.load(directory / camera / FRAMES, mmap_mode="r")
            self._touched[camera] = 0
            for episode in index["episodes"]:
                key = camera, episode["episode"]
                self._start[key] = episode["first_row"]
                self._shown[key] = np.asarray(episode["timestamps"], dtype=np.float64)
        self.cameras = tuple(indices)

    @classmethod
    def open(cls, directory: Path) -> "FrameCache":
        """Map a frame cache into memory; no frame is read before it is asked for.

        Raises:
            DatasetError: There is no frame cache, or it is damaged.
        """
        indices = _read_indices(directory)
        if not indices:
            raise DatasetError(
                directory.parent.name,
                "this dataset version has no frame cache.",
                [
                    "run: dagster asset materialize -m gr00t_assets.definitions "
                    f"--select frame_cache --partition {directory.parent.name}"
                ],
            )
        damaged = [camera for camera, index in indices.items() if index is None]
        if damaged:
            raise DatasetError(
                directory.parent.name,
                "its frame cache is damaged.",
                [*damaged, "materialise frame_cache again: it is decoded anew"],
            )
        return cls(directory, {name: index for name, index in indices.items() if index})

    def rows(self, episode: int, camera: str, timestamps: np.ndarray) -> np.ndarray:
        """Row of the frame that is nearest to each timestamp, by NVIDIA's rule.

        Args:
            episode: Episode index.
            camera: Feature name of the camera.
            timestamps: Seconds, shape ``(n,)``.

        Returns:
            Rows for :meth:`frames`, shape ``(n,)``, int64.

        Raises:
            DatasetError: The cache has no such camera or episode.
        """
        key = camera, episode
        if key not in self._start:
            problem = f"its frame cache has no episode {episode} of camera {camera}."
            details = [f"cameras in it: {', '.join(self.cameras)}"]
            raise DatasetError(self._directory.parent.name, problem, details)
        return self._start[key] + nearest_rows(self._shown[key], timestamps)

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Frames by row, shape ``(n, height, width, 3)``, uint8 RGB, copied out of the map."""
        chosen = np.asarray(self._frames[camera])[rows]
        self._touched[camera] += len(chosen)
        if self._touched[camera] >= MAPPED_FRAMES:
            self._touched[camera] = 0
            self._pages(camera).madvise(mmap.MADV_DONTNEED)
        return chosen

    def _pages(self, camera: str) -> mmap.mmap:
        """The map behind a camera's frames; NumPy keeps it under a private name."""
        return self._frames[camera]._mmap  # pyright: ignore[reportAttributeAccessIssue]

    def frame(self, episode: int, camera: str, timestamp: float) -> np.ndarray:
        """The frame nearest to a timestamp in seconds, shape ``(height, width, 3)``, uint8 RGB."""
        return self.frames(camera, self.rows(episode, camera, np.array([timestamp])))[0]


def build_frame_cache(
    dataset: LeRobotDataset,
    cameras: Sequence[str],
    directory: Path,
    progress: Progress | None = None,
) -> FrameCacheInfo:
    """Decode every frame of some cameras, once; a camera that is there already is left alone.

    Args:
        dataset: The dataset.
        cameras: Feature names of cameras.
        directory: Where the frames go; each camera appears whole or not at all.
        progress: Told the frames done and the frames in all, after each episode.

    Raises:
        DatasetError: A camera has no videos, a video cannot be decoded, its frames differ in
            size, or are not one for each row; all of them are listed.
        StoreError: The disk is full.
    """
    unknown = [camera for camera in cameras if camera not in dataset.cameras]
    if unknown:
        raise DatasetError(
            dataset.name,
            f"it has no videos of {', '.join(unknown)}.",
            [f"it has: {', '.join(dataset.cameras) or 'none'}"],
        )
    present = _read_indices(directory)
    missing = [camera for camera in cameras if not _fits(present.get(camera), dataset)]
    total = dataset.frame_count * len(missing)
    problems: list[str] = []
    for number, camera in enumerate(missing):
        done = dataset.frame_count * number
        shutil.rmtree(directory / camera, ignore_errors=True)
        try:
            with published_directory(directory / camera) as partial:
                _decode_camera(dataset, camera, partial, _counted(progress, done, total))
        except _UnusableError as error:
            problems += error.problems
    if problems:
        raise DatasetError(dataset.name, "its videos do not fit its rows.", problems)
    return describe(directory)


def describe(directory: Path) -> FrameCacheInfo:
    """What the frame cache in a folder holds."""
    shapes = {
        camera: (index["frames"], index["height"], index["width"])
        for camera, index in _read_indices(directory).items()
        if index is not None
    }
    return FrameCacheInfo(
        frames=sum(frames for frames, _, _ in shapes.values()),
        size_bytes=sum(frames * height * width * 3 for frames, height, width in shapes.values()),
        cameras=shapes,
    )


class _UnusableError(Exception):
    """A camera's videos cannot be cached."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(*problems)
        self.problems = problems


def _counted(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(before + done, total) if progress is not None else None


def _decode_camera(
    dataset: LeRobotDataset, camera: str, directory: Path, progress: Callable[[int], None]
) -> None:
    problems: list[str] = []
    episodes: list[dict[str, Any]] = []
    shape: tuple[int, ...] | None = None
    row = 0
    with (directory / FRAMES).open("wb") as output:
        for episode in dataset.episodes:
            path = dataset.video_path(episode.index, camera)
            shown = path.relative_to(dataset.directory)
            timestamps: list[float] = []
            try:
                for timestamp, frame in decode(path):
                    assert frame is not None
                    if shape is None:
                        shape = frame.shape
                        _write_header(output, (dataset.frame_count, *shape))
                    if frame.shape != shape:
                        raise VideoError(
                            f"frame {len(timestamps)} is {frame.shape[1]} x {frame.shape[0]}, "
                            f"others of {camera} are {shape[1]} x {shape[0]}"
                        )
                    timestamps.append(timestamp)
                    output.write(frame.data)
            except VideoError as error:
                problems.append(f"{shown}: {error}")
            else:
                if len(timestamps) != episode.length:
                    problems.append(
                        f"{shown} has {len(timestamps)} frames, "
                        f"episode {episode.index} has {episode.length} rows"
                    )
            episodes.append({"episode": episode.index, "first_row": row, "timestamps": timestamps})
            row += len(timestamps)
            progress(row)
    if problems or shape is None:
        raise _UnusableError(problems)
    height, width, _ = shape
    index = {"frames": row, "height": height, "width": width, "episodes": episodes}
    write_json(directory / INDEX, index)


def _write_header(output: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(output, header)


def _read_indices(directory: Path) -> dict[str, dict[str, Any] | None]:
    """Index by camera; None where it is damaged or the frames do not fit it."""
    found = {}
    for path in sorted(directory.glob(f"[!.]*/{INDEX}")):
        try:
            index = json.loads(path.read_text())
            frames = np.load(path.parent / FRAMES, mmap_mode="r")
            expected = (index["frames"], index["height"], index["width"], 3)
            found[path.parent.name] = index if frames.shape == expected else None
        except (OSError, ValueError, KeyError):
            found[path.parent.name] = None
    return found


def _fits(index: dict[str, Any] | None, dataset: LeRobotDataset) -> bool:
    if index is None:
        return False
    cached = [(item["episode"], len(item["timestamps"])) for item in index["episodes"]]
    return cached == [(episode.index, episode.length) for episode in dataset.episodes]
