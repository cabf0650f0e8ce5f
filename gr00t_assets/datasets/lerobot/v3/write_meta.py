"""The meta files of a v2.1 dataset, made from those of v3.0 or of another v2.x."""

import copy
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gr00t_assets.core.files import write_json
from gr00t_assets.datasets.lerobot.dataset import MODALITY, LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import BATCH_ROWS, v30_episode_files
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import CHUNK_EPISODES, DATA_PATH, VIDEO_PATH
from gr00t_assets.datasets.lerobot.v3.stored_episodes import Changes, StoredEpisode

_ONLY_V30 = ("data_files_size_in_mb", "video_files_size_in_mb")
_STATISTICS = "stats/"
"""What the columns of an episode's statistics begin with: ``stats/action/mean``."""


def flattened_columns(dataset: LeRobotDataset) -> list[str]:
    """Columns of numbers in several axes, which Isaac-GR00T does not read."""
    return [feature.name for feature in dataset.features.values() if feature.is_flattened]


def write_meta(
    folder: Folder,
    dataset: LeRobotDataset,
    episodes: Sequence[StoredEpisode],
    changes: Changes,
    target: Path,
    codecs: Mapping[str, set[str]],
) -> None:
    """Write ``meta`` of a v2.1 dataset.

    ``modality.json`` is copied where the source has it. ``stats.json`` is left out, since LeRobot's
    quantiles are not those of the rows: statistics are computed where there is none. Those of each
    episode go to ``episodes_stats.jsonl`` where v3.0 has them and its episodes stay as they are.
    """
    meta = target / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    if (dataset.directory / MODALITY).is_file():
        shutil.copyfile(dataset.directory / MODALITY, target / MODALITY)
    write_json(meta / "info.json", _v21_info(dataset, episodes, codecs))
    renamed = changes.renamed
    is_changed = folder.is_partial or any(item.is_changed for item in episodes)
    lines = {
        "tasks.jsonl": (
            {"task_index": index, "task": renamed.get(task, task)}
            for index, task in dataset.tasks.items()
        ),
        "episodes.jsonl": (
            {
                "episode_index": item.index,
                "tasks": list(dict.fromkeys(renamed.get(task, task) for task in item.source.tasks)),
                "length": item.length,
            }
            for item in episodes
        ),
        "episodes_stats.jsonl": () if is_changed else _episode_statistics(folder),
    }
    for name, items in lines.items():
        with (meta / name).open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    if not (meta / "episodes_stats.jsonl").stat().st_size:
        (meta / "episodes_stats.jsonl").unlink()


def _v21_info(
    dataset: LeRobotDataset, episodes: Sequence[StoredEpisode], codecs: Mapping[str, set[str]]
) -> dict[str, Any]:
    info = {key: value for key, value in dataset.info.raw.items() if key not in _ONLY_V30}
    features = copy.deepcopy(info["features"])
    for key, feature in features.items():
        if feature.get("dtype") != "video":
            feature.pop("fps", None)
        for described in (feature.get("info"), feature.get("video_info")):
            if isinstance(described, dict) and len(codecs.get(key, ())) == 1:
                described["video.codec"] = next(iter(codecs[key]))
    for key in flattened_columns(dataset):
        declared = dataset.features[key]
        features[key] |= {"shape": [declared.width], "names": list(declared.names) or None}
    if len(episodes) != dataset.info.raw.get("total_episodes") and "splits" in info:
        info["splits"] = {"train": f"0:{len(episodes)}"}
    return info | {
        "codebase_version": "v2.1",
        "total_episodes": len(episodes),
        "total_frames": sum(item.length for item in episodes),
        "total_tasks": len(dataset.tasks),
        "total_videos": len(episodes) * len(dataset.video_cameras),
        "total_chunks": episodes[-1].index // CHUNK_EPISODES + 1,
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
