"""From LeRobot v3.0, many episodes in a file, to v2.1, one file for each.

v2.1 is what Isaac-GR00T N1.5 and this package train on. Rows are written as they are, frames are
shown as they are, and the source is never written to.
"""

import copy
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import published_directory, write_json
from gr00t_assets.datasets.lerobot.dataset import MODALITY, LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import BATCH_ROWS, V30_EPISODES, v30_episode_files
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import (
    CHUNK_EPISODES,
    DATA_PATH,
    V30,
    VIDEO_PATH,
    episode_path,
)
from gr00t_assets.datasets.lerobot.rows import report_unreadable
from gr00t_assets.datasets.lerobot.shared_rows import episode_names
from gr00t_assets.datasets.lerobot.v3.cut_rows import cut_rows
from gr00t_assets.datasets.lerobot.v3.cut_videos import cut_video
from gr00t_assets.datasets.lerobot.video_packets import report_video
from gr00t_assets.datasets.lerobot.video_segments import VideoFiles, find_frames
from gr00t_assets.datasets.video_decoding import VideoError

CONVERTER_VERSION = 1
"""Raised when the same source begins to give other files."""

_PROBLEM = "this LeRobot v3.0 dataset cannot be converted to v2.1."
_ONLY_V30 = ("data_files_size_in_mb", "video_files_size_in_mb")
_STATISTICS = "stats/"
"""What the columns of an episode's statistics begin with: ``stats/action/mean``."""


def convert_in_place(directory: Path, name: str) -> list[str]:
    """Replace a working copy by its v2.1 form.

    Its files may be links to those of a download: none is opened for writing.

    Args:
        directory: A v3.0 dataset that may be removed, such as a scratch copy; never a source.

    Returns:
        What is odd, and yet converted, the conversion itself first.

    Raises:
        DatasetError: It cannot be converted; it is as it was.
        StoreError: The disk is full; it is as it was.
    """
    converted = directory.with_name(f"{directory.name}.v21")
    warnings = convert_to_v21(directory, converted, name=name)
    shutil.rmtree(directory)
    converted.rename(directory)
    return ["converted from LeRobot v3.0 to v2.1; every frame was compared", *warnings]


def convert_to_v21(
    source: Path, destination: Path, *, name: str | None = None, verify: bool = True
) -> list[str]:
    """Write a v3.0 dataset as a v2.1 dataset with equal rows and equal frames.

    Everything is looked at before anything is written. Memory does not grow with the size of the
    dataset, but for 50 bytes a frame of the longest video file.

    Args:
        source: Folder of the v3.0 dataset; only read.
        destination: Folder to make; it may be there and be empty.
        name: What errors call the dataset; the folder's name by default.
        verify: Decode what was written and compare every frame with the source's.

    Returns:
        What is odd, and yet converted.

    Raises:
        DatasetError: All that is missing, unreadable or contradictory, at once; ``destination``
            is as it was.
        StoreError: The disk is full.
    """
    name = name or source.name
    if destination.resolve().is_relative_to(source.resolve()):
        problem = f"{destination} is inside of the source, which is never written"
        raise DatasetError(name, _PROBLEM, [problem])
    if destination.is_dir() and not any(destination.iterdir()):
        destination.rmdir()
    elif destination.exists():
        problem = f"{destination} is there already: name a new folder"
        raise DatasetError(name, _PROBLEM, [problem])
    folder = Folder(source, confined=False)
    dataset = LeRobotDataset.read(folder, name, (V30,))
    videos = find_frames(folder, dataset.episodes, dataset.video_cameras, dataset.fps)
    folder.raise_errors(name, _PROBLEM)
    with published_directory(destination) as target:
        ranges = list(dataset.ranges.values())
        cut_rows(folder, ranges, lambda episode: target / episode_path(DATA_PATH, episode))
        folder.raise_errors(name, _PROBLEM)
        codecs = _write_videos(folder, videos, target, verify)
        with report_unreadable(folder.collector, V30_EPISODES):
            _write_meta(folder, dataset, target, codecs)
        folder.raise_errors(name, _PROBLEM)
    return list(folder.warnings())


def _write_videos(
    folder: Folder, videos: Mapping[str, VideoFiles], target: Path, verify: bool
) -> dict[str, set[str]]:
    """Write a file for each episode and camera.

    Returns:
        By camera that was encoded anew, the codecs that its files now have.
    """
    codecs: dict[str, set[str]] = {}
    for camera, files in videos.items():
        encoded, unchanged = [], set()

        def path_of(episode: int, camera: str = camera) -> Path:
            return target / episode_path(VIDEO_PATH, episode, camera)

        for file, (table, cuts) in files.items():
            changed: list[int] = []
            try:
                changed = cut_video(folder.directory / file, table, cuts, path_of, verify)
            except VideoError as error:
                report_video(folder.collector, file, str(error))
            encoded += changed
            if len(changed) < len(cuts):
                unchanged.add(table.codec)
        if encoded:
            codecs[camera] = unchanged | {"h264"}
            size = sum(path_of(episode).stat().st_size for episode in encoded)
            total = sum(len(cuts) for _, cuts in files.values())
            found = f"{episode_names(sorted(encoded))} of {total} cannot be cut out as they are "
            found += "(no clean key frame at the border); encoded anew as H.264 without loss, "
            folder.collector.report("video-encoded", camera, f"{found}{size / 1e6:.1f} MB")
    return codecs


def _write_meta(
    folder: Folder, dataset: LeRobotDataset, target: Path, codecs: Mapping[str, set[str]]
) -> None:
    """Write ``meta`` of a v2.1 dataset.

    ``modality.json`` is copied where the source has it. ``stats.json`` is left out, since LeRobot's
    quantiles are not those of the rows: statistics are computed where there is none. Those of each
    episode go to ``episodes_stats.jsonl``.
    """
    meta = target / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    if (dataset.directory / MODALITY).is_file():
        shutil.copyfile(dataset.directory / MODALITY, target / MODALITY)
    write_json(meta / "info.json", _v21_info(dataset, codecs))
    lines = {
        "tasks.jsonl": (
            {"task_index": index, "task": task} for index, task in dataset.tasks.items()
        ),
        "episodes.jsonl": (
            {"episode_index": item.index, "tasks": list(item.tasks), "length": item.length}
            for item in dataset.episodes
        ),
        "episodes_stats.jsonl": _episode_statistics(folder),
    }
    for name, items in lines.items():
        with (meta / name).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    if not (meta / "episodes_stats.jsonl").stat().st_size:
        (meta / "episodes_stats.jsonl").unlink()


def _v21_info(dataset: LeRobotDataset, codecs: Mapping[str, set[str]]) -> dict[str, Any]:
    info = {key: value for key, value in dataset.info.raw.items() if key not in _ONLY_V30}
    features = copy.deepcopy(info["features"])
    for key, feature in features.items():
        if feature.get("dtype") != "video":
            feature.pop("fps", None)
        for described in (feature.get("info"), feature.get("video_info")):
            if isinstance(described, dict) and len(codecs.get(key, ())) == 1:
                described["video.codec"] = next(iter(codecs[key]))
    return info | {
        "codebase_version": "v2.1",
        "total_episodes": len(dataset.episodes),
        "total_frames": dataset.frame_count,
        "total_tasks": len(dataset.tasks),
        "total_videos": len(dataset.episodes) * len(dataset.video_cameras),
        "total_chunks": dataset.episodes[-1].index // CHUNK_EPISODES + 1,
        "chunks_size": CHUNK_EPISODES,
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if dataset.video_cameras else None,
        "features": features,
    }


def _episode_statistics(folder: Folder) -> Iterator[dict[str, Any]]:
    """Episode index and statistics by feature, a few episodes in memory at a time."""
    for path in v30_episode_files(folder):
        file = pq.ParquetFile(path)
        names = [name for name in file.schema_arrow.names if name.startswith(_STATISTICS)]
        if not names:
            continue
        for batch in file.iter_batches(BATCH_ROWS, columns=["episode_index", *names]):
            for row in batch.to_pylist():
                statistics: dict[str, dict[str, Any]] = {}
                for name in names:
                    feature, _, statistic = name.removeprefix(_STATISTICS).rpartition("/")
                    if row[name] is not None:
                        statistics.setdefault(feature, {})[statistic] = row[name]
                yield {"episode_index": row["episode_index"], "stats": statistics}
