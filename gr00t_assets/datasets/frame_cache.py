"""Every frame of a dataset decoded once, in order, to a memory map, and found by its timestamp."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.errors import DatasetError
from gr00t_assets.files import published_directory, write_json

INDEX = "index.json"


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

    Args:
        directory: Folder that :func:`build_frame_cache` filled.
        index: Content of its index.
    """

    def __init__(self, directory: Path, index: dict) -> None:
        self._frames: dict[str, np.ndarray] = {}
        self._start: dict[tuple[str, int], int] = {}
        self._timestamps: dict[tuple[str, int], np.ndarray] = {}
        for camera, content in index["cameras"].items():
            shape = (content["frames"], content["height"], content["width"], 3)
            self._frames[camera] = np.memmap(
                directory / content["file"], dtype=np.uint8, mode="r", shape=shape
            )
            row = 0
            for episode in content["episodes"]:
                key = camera, episode["episode"]
                self._start[key] = row
                self._timestamps[key] = np.asarray(episode["timestamps"])
                row += len(episode["timestamps"])

    @classmethod
    def open(cls, directory: Path) -> "FrameCache":
        """Map a frame cache into memory; nothing is read before it is asked for.

        Raises:
            DatasetError: There is no frame cache.
        """
        path = directory / INDEX
        if not path.is_file():
            raise DatasetError(
                directory.parent.name,
                "this dataset version has no frame cache.",
                [
                    "run: dagster asset materialize -m gr00t_assets.definitions "
                    f"--select frame_cache --partition {directory.parent.name}"
                ],
            )
        return cls(directory, json.loads(path.read_text()))

    def rows(self, episode: int, camera: str, timestamps: np.ndarray) -> np.ndarray:
        """Row of the frame that is nearest to each timestamp, the first of two equally near.

        NVIDIA's rule, ``get_frames_by_timestamps`` in Isaac-GR00T's ``gr00t/utils/video.py``.

        Args:
            episode: Episode index.
            camera: Feature name of the camera.
            timestamps: Seconds, shape ``(n,)``.

        Returns:
            Rows for :meth:`frames`, shape ``(n,)``, int64.
        """
        shown = self._timestamps[camera, episode]
        distances = np.abs(shown[None, :] - np.asarray(timestamps, dtype=np.float64)[:, None])
        return self._start[camera, episode] + distances.argmin(axis=1)

    def frames(self, camera: str, rows: np.ndarray) -> np.ndarray:
        """Frames by row, shape ``(n, height, width, 3)``, uint8 RGB."""
        return self._frames[camera][rows]

    def frame(self, episode: int, camera: str, timestamp: float) -> np.ndarray:
        """The frame nearest to a timestamp in seconds, shape ``(height, width, 3)``, uint8 RGB."""
        return self.frames(camera, self.rows(episode, camera, np.array([timestamp])))[0]


def build_frame_cache(
    dataset: LeRobotDataset,
    cameras: Sequence[str],
    directory: Path,
    progress: Callable[[int, int], None] | None = None,
) -> FrameCacheInfo:
    """Decode every frame of some cameras, once, unless that is done already.

    Args:
        dataset: The dataset.
        cameras: Feature names of cameras.
        directory: Where the frames go; appears whole or not at all.
        progress: Told the frames done and the frames in all.

    Raises:
        DatasetError: A video cannot be read, or has not one frame for each row.
        StoreError: The disk is full.
    """
    if not _complete(directory, cameras):
        total = dataset.frame_count * len(cameras)
        done = 0
        problems: list[str] = []
        with published_directory(directory) as partial:
            index = {"cameras": {}}
            for number, camera in enumerate(cameras):
                file = f"{number}.frames"
                episodes, sizes = [], set()
                with (partial / file).open("wb") as output:
                    for episode in dataset.episodes:
                        path = dataset.video_path(episode.index, camera)
                        timestamps = []
                        try:
                            for timestamp, frame in decode(path):
                                timestamps.append(timestamp)
                                sizes.add(frame.shape)
                                output.write(frame.data)
                        except OSError as error:
                            shown = path.relative_to(dataset.directory)
                            problems.append(f"{shown} cannot be decoded: {error}")
                        if len(timestamps) != episode.length:
                            problems.append(
                                f"episode {episode.index}, {camera}: {len(timestamps)} frames for "
                                f"{episode.length} rows"
                            )
                        done += len(timestamps)
                        if progress is not None:
                            progress(done, total)
                        episodes.append({"episode": episode.index, "timestamps": timestamps})
                if len(sizes) > 1:
                    problems.append(f"{camera}: frames of different sizes: {sorted(sizes)}")
                height, width, _ = next(iter(sizes), (0, 0, 3))
                index["cameras"][camera] = {
                    "file": file,
                    "frames": sum(len(item["timestamps"]) for item in episodes),
                    "height": height,
                    "width": width,
                    "episodes": episodes,
                }
            if problems:
                raise DatasetError(dataset.name, "its videos do not match its rows.", problems)
            write_json(partial / INDEX, index)
    return describe(directory)


def describe(directory: Path) -> FrameCacheInfo:
    """What the frame cache in a folder holds."""
    cameras = json.loads((directory / INDEX).read_text())["cameras"]
    shapes = {name: (item["frames"], item["height"], item["width"]) for name, item in cameras.items()}
    return FrameCacheInfo(
        frames=sum(frames for frames, _, _ in shapes.values()),
        size_bytes=sum(frames * height * width * 3 for frames, height, width in shapes.values()),
        cameras=shapes,
    )


def decode(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Every frame of a video in order of presentation, with its time in seconds.

    Frames are ``(height, width, 3)`` uint8 RGB.
    """
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            yield float(frame.time or 0.0), np.ascontiguousarray(frame.to_ndarray(format="rgb24"))


def _complete(directory: Path, cameras: Sequence[str]) -> bool:
    path = directory / INDEX
    return path.is_file() and set(cameras) <= set(json.loads(path.read_text())["cameras"])
