"""Writing a dataset as LeRobot v2.1 or v3.0, one episode after another."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
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
    """One episode of T rows with its instruction.

    ``numbers`` are columns by name, ``(T, numbers)`` each: ``observation.state``, ``action``;
    ``images`` T images by camera, ``(height, width, 3)`` uint8 each.
    """

    numbers: Mapping[str, np.ndarray]
    images: Mapping[str, Sequence[np.ndarray]]
    task: str


@dataclass
class DatasetWriter:
    """A new dataset; its meta files are written where a ``with`` statement ends without an error.

    In v3.0 all episodes share one file of rows and one of video for each camera. ``stats.json`` is
    written in v2.1 too: LeRobot does without, Isaac-GR00T reads it. ``names`` are of the numbers of
    each column, ``modality`` is what ``modality.json`` is to hold.
    """

    directory: Path
    version: str
    fps: float
    robot_type: str
    names: Mapping[str, Sequence[str]]
    modality: Mapping[str, Any]
    rows: int = field(default=0, init=False)
    _tasks: dict[str, int] = field(default_factory=dict, init=False)
    _tables: list[pa.Table] = field(default_factory=list, init=False)
    _episodes: list[dict[str, Any]] = field(default_factory=list, init=False)
    _statistics: list[dict[str, dict[str, Any]]] = field(default_factory=list, init=False)
    _totals: dict[str, RunningStatistics] = field(default_factory=dict, init=False)
    _videos: dict[str, VideoFile] = field(default_factory=dict, init=False)
    _shapes: dict[str, tuple[int, ...]] = field(default_factory=dict, init=False)
    _open: ExitStack = field(default_factory=ExitStack, init=False)

    def add(self, episode: EpisodeRows) -> None:
        """Write an episode behind those before."""
        index, task = len(self._episodes), self._tasks.setdefault(episode.task, len(self._tasks))
        length = len(next(iter(episode.numbers.values())))
        frames = np.arange(length)
        columns = {name: values.astype(np.float32) for name, values in episode.numbers.items()}
        columns |= {
            "timestamp": (frames / self.fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(length, index),
            "index": frames + self.rows,
            "task_index": np.full(length, task),
        }
        images = {f"observation.images.{name}": shown for name, shown in episode.images.items()}
        self._shapes |= {name: values.shape[1:] or (1,) for name, values in columns.items()}
        self._shapes |= {name: shown[0].shape for name, shown in images.items()}
        self._tables.append(pa.table({name: _cells(values) for name, values in columns.items()}))
        if self.version != V30:
            path = self.directory / episode_path(DATA_PATH, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(self._tables[-1], path)
        for name, shown in images.items():
            self._write_images(index, name, shown)
        rows = {name: values.reshape(length, -1) for name, values in columns.items()}
        rows |= {name: _colours(shown) for name, shown in images.items()}
        own = {name: RunningStatistics() for name in rows}
        for name, values in rows.items():
            own[name].add(values)
            self._totals.setdefault(name, RunningStatistics()).add(values)
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
        if self.version != V30:
            write_video(self.directory / episode_path(VIDEO_PATH, index, key), images, self.fps)
            return
        if key not in self._videos:
            path = self.directory / V30_VIDEO_PATH.format(video_key=key, **_FIRST_FILE)
            self._videos[key] = self._open.enter_context(VideoFile(path, self.fps))
        self._videos[key].add(images)

    def _write_meta(self) -> None:
        meta = self.directory / "meta"
        write_json(meta / "info.json", self._info())
        write_json(self.directory / MODALITY, self.modality)
        write_json(meta / "stats.json", self._figures(self._totals))
        if self.version == V30:
            self._write_shared_meta()
            return
        tasks = [{"task_index": index, "task": task} for task, index in self._tasks.items()]
        own = [{"episode_index": index, "stats": own} for index, own in enumerate(self._statistics)]
        write_lists(meta, {"tasks": tasks, "episodes": self._episodes, "episodes_stats": own})

    def _write_shared_meta(self) -> None:
        import pandas as pd

        path = self.directory / V30_DATA_PATH.format(**_FIRST_FILE)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.concat_tables(self._tables), path)
        tasks = pd.DataFrame({"task_index": list(self._tasks.values())}, index=list(self._tasks))
        tasks.to_parquet(self.directory / V30_TASKS)
        rows, first = [], 0
        for episode, statistics in zip(self._episodes, self._statistics, strict=True):
            last = first + episode["length"]
            row = episode | {"dataset_from_index": first, "dataset_to_index": last}
            for place, value in _FIRST_FILE.items():
                row |= {f"{part}/{place}": value for part in ("data", "meta/episodes")}
                row |= {f"videos/{key}/{place}": value for key in self._videos}
            for key in self._videos:
                row[f"videos/{key}/from_timestamp"] = first / self.fps
                row[f"videos/{key}/to_timestamp"] = last / self.fps
            for feature, figures in statistics.items():
                row |= {f"stats/{feature}/{name}": value for name, value in figures.items()}
            rows.append(row)
            first = last
        path = self.directory / V30_EPISODES / "chunk-000" / "file-000.parquet"
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
        fps = int(self.fps) if self.fps == int(self.fps) else self.fps
        features: dict[str, Any] = {}
        for key, shape in self._shapes.items():
            if key.startswith("observation.images."):
                features[key] = _video_feature(shape, fps)
                continue
            kind, names = "int64" if key.endswith("index") else "float32", self.names.get(key)
            features[key] = {"dtype": kind, "shape": list(shape), "names": names and list(names)}
        counts = len(self._episodes), self.rows, len(self._tasks)
        return new_info(self.version, self.robot_type, fps, counts, features)


def new_info(
    version: str,
    robot_type: str,
    fps: float,
    counts: tuple[int, int, int],
    features: Mapping[str, Any],
) -> dict[str, Any]:
    """``info.json`` of a new dataset of so many episodes, rows and tasks."""
    episodes, rows, tasks = counts
    cameras = sum(feature["dtype"] == "video" for feature in features.values())
    sizes = {
        "total_videos": cameras * episodes,
        "total_chunks": (episodes - 1) // CHUNK_EPISODES + 1,
    }
    if version == V30:
        sizes = {"data_files_size_in_mb": 100, "video_files_size_in_mb": 200}
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
        "data_path": V30_DATA_PATH if version == V30 else DATA_PATH,
        "video_path": V30_VIDEO_PATH if version == V30 else VIDEO_PATH,
        "features": features,
    }


def write_lists(meta: Path, lists: Mapping[str, Iterable[Any]]) -> None:
    """Write ``NAME.jsonl`` of some names into ``meta``, each an item a line."""
    for name, items in lists.items():
        lines = "".join(json.dumps(item) + "\n" for item in items)
        write_bytes(meta / f"{name}.jsonl", lines.encode())


def _cells(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def _video_feature(shape: tuple[int, ...], fps: float) -> dict[str, Any]:
    axes = ["height", "width", "channels"]
    info = {
        "video.height": shape[0],
        "video.width": shape[1],
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": shape[2],
        "has_audio": False,
    }
    return {"dtype": "video", "shape": list(shape), "names": axes, "info": info}


def _colours(images: Sequence[np.ndarray]) -> np.ndarray:
    """The pixels of some of the images, ``(pixels, 3)``, from 0 to 1."""
    return np.stack(images[:: -(-len(images) // _MOST_IMAGES)]).reshape(-1, 3) / 255
