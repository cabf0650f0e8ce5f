"""The meta files and paths of LeRobot v2.1, written from what a v3.0 dataset says."""

import copy
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gr00t_assets.core.files import write_json
from gr00t_assets.datasets.lerobot.v3.layout import V30Meta

CHUNK = 1000
"""Episodes in a folder."""

DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"

_KEPT = ("stats.json", "modality.json")
_ONLY_V30 = ("data_files_size_in_mb", "video_files_size_in_mb")


def data_path(episode: int) -> Path:
    """The file of an episode's rows, relative to the dataset.

    Example:
        >>> data_path(1004).as_posix()
        'data/chunk-001/episode_001004.parquet'
    """
    return Path(DATA_PATH.format(episode_chunk=episode // CHUNK, episode_index=episode))


def video_path(episode: int, camera: str) -> Path:
    """The file of an episode's video of one camera, relative to the dataset."""
    chunk = episode // CHUNK
    return Path(VIDEO_PATH.format(episode_chunk=chunk, episode_index=episode, video_key=camera))


def write_meta(meta: V30Meta, directory: Path, codecs: Mapping[str, set[str]]) -> None:
    """Write ``meta`` of a v2.1 dataset.

    ``stats.json`` and ``modality.json`` are copied where the source has them. The statistics of
    each episode go to ``episodes_stats.jsonl``.

    Args:
        meta: Of the source.
        directory: The new dataset.
        codecs: By camera that was encoded anew, the codecs that its files now have.
    """
    target = directory / "meta"
    target.mkdir(parents=True, exist_ok=True)
    for file in _KEPT:
        if (meta.directory / "meta" / file).is_file():
            shutil.copyfile(meta.directory / "meta" / file, target / file)
    write_json(target / "info.json", _info(meta, codecs))
    tasks = ({"task_index": index, "task": task} for index, task in meta.tasks.items())
    _write_lines(target / "tasks.jsonl", tasks)
    episodes = (
        {"episode_index": item.index, "tasks": list(item.tasks), "length": item.length}
        for item in meta.episodes
    )
    _write_lines(target / "episodes.jsonl", episodes)
    statistics = (
        {"episode_index": index, "stats": found} for index, found in meta.episode_statistics()
    )
    if not _write_lines(target / "episodes_stats.jsonl", statistics):
        (target / "episodes_stats.jsonl").unlink()


def _info(meta: V30Meta, codecs: Mapping[str, set[str]]) -> dict[str, Any]:
    info = {key: value for key, value in meta.info.items() if key not in _ONLY_V30}
    features = copy.deepcopy(info["features"])
    for key, feature in features.items():
        if not isinstance(feature, dict):
            continue
        if feature.get("dtype") != "video":
            feature.pop("fps", None)
        for described in (feature.get("info"), feature.get("video_info")):
            if isinstance(described, dict) and len(codecs.get(key, ())) == 1:
                described["video.codec"] = next(iter(codecs[key]))
    return info | {
        "codebase_version": "v2.1",
        "total_episodes": len(meta.episodes),
        "total_frames": sum(episode.length for episode in meta.episodes),
        "total_tasks": len(meta.tasks),
        "total_videos": len(meta.episodes) * len(meta.cameras),
        "total_chunks": max(episode.index for episode in meta.episodes) // CHUNK + 1,
        "chunks_size": CHUNK,
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if meta.cameras else None,
        "features": features,
    }


def _write_lines(path: Path, items: Iterable[dict[str, Any]]) -> int:
    """One JSON object a line; gives how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(item, ensure_ascii=False) + "\n")
            count += 1
    return count
