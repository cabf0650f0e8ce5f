"""Writing a dataset as LeRobot v2.1 or v3.0, one episode after another."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.files import write_bytes, write_json
from gr00t_assets.datasets.lerobot.info import (
    CHUNK_EPISODES,
    DATA_PATH,
    V30,
    V30_DATA_PATH,
    V30_EPISODES,
    V30_TASKS,
    V30_VIDEO_PATH,
    VIDEO_PATH,
    episode_path,
)
from gr00t_assets.datasets.lerobot.statistics import RunningStatistics
from gr00t_assets.datasets.videos import VideoFile, write_video
from gr00t_assets.modality.modality_json import MODALITY

V21 = "v2.1"
_FIRST_FILE = {"chunk_index": 0, "file_index": 0}
_MOST_IMAGES = 50
"""Of an episode and camera, for its statistics."""


class EpisodeRows(NamedTuple):
    """One episode of T rows.

    Attributes:
        numbers: Columns by name, ``(T, numbers)`` each: ``observation.state``, ``action``.
        images: T images by camera, ``(height, width, 3)`` uint8 each.
        task: The instruction.
    """

    numbers: Mapping[str, np.ndarray]
    images: Mapping[str, Sequence[np.ndarray]]
    task: str


class DatasetWriter:
    """A new dataset; its meta files are written where a ``with`` statement ends without an error.

    In v3.0 all episodes share one file of rows and one of video for each camera. ``stats.json`` is
    written in v2.1 too: LeRobot does without, Isaac-GR00T reads it.

    Args:
        directory: Filled with ``meta``, ``data`` and ``videos``.
        version: ``v2.1`` or ``v3.0``.
        fps: Rows per second.
        names: Of the numbers of each column.
        modality: What ``modality.json`` is to hold.
    """

    def __init__(
        self,
        directory: Path,
        version: str,
        fps: float,
        robot_type: str,
        names: Mapping[str, Sequence[str]],
        modality: Mapping[str, Any],
    ) -> None:
        self._directory, self._is_shared, self._fps = directory, version == V30, fps
        self._robot_type, self._names, self._modality = robot_type, names, modality
        self._tasks: dict[str, int] = {}
        self._tables: list[pa.Table] = []
        self._episodes: list[dict[str, Any]] = []
        self._statistics: list[dict[str, dict[str, Any]]] = []
        self._totals: dict[str, RunningStatistics] = {}
        self._videos: dict[str, VideoFile] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._open = ExitStack()
        self.rows = 0

    def add(self, episode: EpisodeRows) -> None:
        """Write an episode behind those before."""
        index, task = len(self._episodes), self._tasks.setdefault(episode.task, len(self._tasks))
        length = len(next(iter(episode.numbers.values())))
        frames = np.arange(length)
        columns = {name: values.astype(np.float32) for name, values in episode.numbers.items()}
        columns |= {
            "timestamp": (frames / self._fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(length, index),
            "index": frames + self.rows,
            "task_index": np.full(length, task),
        }
        self._shapes |= {name: values.shape[1:] or (1,) for name, values in columns.items()}
        table = pa.table({name: _cells(values) for name, values in columns.items()})
        self._tables.append(table)
        if not self._is_shared:
            path = self._directory / episode_path(DATA_PATH, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path)
        for camera, images in episode.images.items():
            key = f"observation.images.{camera}"
            self._shapes[key] = images[0].shape
            self._write_images(index, key, images)
        rows = {name: values.reshape(length, -1) for name, values in columns.items()}
        rows |= {
            f"observation.images.{camera}": _colours(images)
            for camera, images in episode.images.items()
        }
        own = {name: RunningStatistics(values.shape[1]) for name, values in rows.items()}
        for name, values in rows.items():
            own[name].add(values)
            self._totals.setdefault(name, RunningStatistics(values.shape[1])).add(values)
        self._statistics.append(self._figures(own))
        self._episodes.append({"episode_index": index, "tasks": [episode.task], "length": length})
        self.rows += length

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._open.close()
        if kind is None:
            self._write_meta()

    def _write_images(self, index: int, key: str, images: Sequence[np.ndarray]) -> None:
        if not self._is_shared:
            write_video(self._directory / episode_path(VIDEO_PATH, index, key), images, self._fps)
            return
        if key not in self._videos:
            path = self._directory / V30_VIDEO_PATH.format(video_key=key, **_FIRST_FILE)
            self._videos[key] = self._open.enter_context(VideoFile(path, self._fps))
        self._videos[key].add(images)

    def _write_meta(self) -> None:
        meta = self._directory / "meta"
        write_json(meta / "info.json", self._info())
        write_json(self._directory / MODALITY, self._modality)
        write_json(meta / "stats.json", self._figures(self._totals))
        if self._is_shared:
            self._write_shared_meta(pa.concat_tables(self._tables))
            return
        per_episode = [
            {"episode_index": index, "stats": found} for index, found in enumerate(self._statistics)
        ]
        tasks = [{"task_index": index, "task": task} for task, index in self._tasks.items()]
        files = ("tasks", tasks), ("episodes", self._episodes), ("episodes_stats", per_episode)
        for name, items in files:
            lines = "".join(json.dumps(item) + "\n" for item in items)
            write_bytes(meta / f"{name}.jsonl", lines.encode())

    def _write_shared_meta(self, table: pa.Table) -> None:
        import pandas as pd

        path = self._directory / V30_DATA_PATH.format(**_FIRST_FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        tasks = pd.DataFrame({"task_index": list(self._tasks.values())}, index=list(self._tasks))
        tasks.to_parquet(self._directory / V30_TASKS)
        rows, first = [], 0
        for episode, found in zip(self._episodes, self._statistics, strict=True):
            last = first + episode["length"]
            row = episode | {"dataset_from_index": first, "dataset_to_index": last}
            for place, value in _FIRST_FILE.items():
                row |= {f"{part}/{place}": value for part in ("data", "meta/episodes")}
                row |= {f"videos/{key}/{place}": value for key in self._videos}
            for key in self._videos:
                row[f"videos/{key}/from_timestamp"] = first / self._fps
                row[f"videos/{key}/to_timestamp"] = last / self._fps
            for feature, figures in found.items():
                row |= {f"stats/{feature}/{name}": value for name, value in figures.items()}
            rows.append(row)
            first = last
        path = self._directory / V30_EPISODES / "chunk-000" / "file-000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), path)

    def _figures(self, statistics: Mapping[str, RunningStatistics]) -> dict[str, dict[str, Any]]:
        """As LeRobot has them: of a camera by channel, ``(3, 1, 1)``, and counted in images."""
        listed: dict[str, dict[str, Any]] = {}
        for key, running in statistics.items():
            is_camera = key.startswith("observation.images.")
            shape, of_one = ((-1, 1, 1), math.prod(self._shapes[key][:2])) if is_camera else (-1, 1)
            figures = {name: value.reshape(shape) for name, value in running.result().items()}
            listed[key] = {name: value.tolist() for name, value in figures.items()}
            listed[key]["count"] = [running.count // of_one]
        return listed

    def _info(self) -> dict[str, Any]:
        fps = int(self._fps) if self._fps == int(self._fps) else self._fps
        features: dict[str, Any] = {}
        for key, shape in self._shapes.items():
            if key.startswith("observation.images."):
                features[key] = _video_feature(shape, fps)
                continue
            kind = "int64" if key.endswith("index") else "float32"
            features[key] = {"dtype": kind, "shape": list(shape), "names": None}
            if key in self._names:
                features[key]["names"] = list(self._names[key])
        version, counts = V30 if self._is_shared else V21, (self.rows, len(self._tasks))
        return new_info(version, self._robot_type, fps, len(self._episodes), *counts, features)


def new_info(
    version: str,
    robot_type: str,
    fps: float,
    episodes: int,
    rows: int,
    tasks: int,
    features: Mapping[str, Any],
) -> dict[str, Any]:
    """``info.json`` of a new dataset, with all that it counts."""
    if version == V30:
        sizes = {"data_files_size_in_mb": 100, "video_files_size_in_mb": 200}
        paths = V30_DATA_PATH, V30_VIDEO_PATH
    else:
        cameras = sum(feature["dtype"] == "video" for feature in features.values())
        chunks = (episodes - 1) // CHUNK_EPISODES + 1
        sizes = {"total_videos": cameras * episodes, "total_chunks": chunks}
        paths = DATA_PATH, VIDEO_PATH
    return {
        "codebase_version": version,
        "robot_type": robot_type,
        "total_episodes": episodes,
        "total_frames": rows,
        "total_tasks": tasks,
        **sizes,
        "chunks_size": CHUNK_EPISODES,
        "fps": fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": paths[0],
        "video_path": paths[1],
        "features": features,
    }


def _cells(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _video_feature(shape: tuple[int, ...], fps: float) -> dict[str, Any]:
    height, width, channels = shape
    info = {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": channels,
        "has_audio": False,
    }
    names = ["height", "width", "channels"]
    return {"dtype": "video", "shape": list(shape), "names": names, "info": info}


def _colours(images: Sequence[np.ndarray]) -> np.ndarray:
    """The pixels of some of the images, ``(pixels, 3)``, from 0 to 1."""
    return np.stack(images[:: -(-len(images) // _MOST_IMAGES)]).reshape(-1, 3) / 255
