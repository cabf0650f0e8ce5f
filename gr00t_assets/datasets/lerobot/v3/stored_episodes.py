"""Which rows and frames of a dataset its copy in the store has, and the copy's meta files."""

import copy
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from gr00t_assets.core.files import write_json
from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.dataset import MODALITY, LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import BATCH_ROWS, Episode, v30_episode_files
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import CHUNK_EPISODES, DATA_PATH, VIDEO_PATH
from gr00t_assets.datasets.lerobot.video_packets import (
    LOSSLESS_FORMATS,
    Cut,
    SharedVideo,
    VideoPackets,
    copied_from,
)

_NEAR_SECONDS = 0.25
"""How much of what is at rest is kept for a key frame to begin with."""

_ONLY_V30 = ("data_files_size_in_mb", "video_files_size_in_mb")

_STATISTICS = "stats/"
"""What the columns of an episode's statistics begin with: ``stats/action/mean``."""


@dataclass(frozen=True)
class StoredEpisode:
    """An episode of the copy, with its number there, and the episode that it is made from.

    ``start`` rows are cut off at its start and ``length`` are left; its first is row ``first`` of
    the copy.
    """

    index: int
    source: Episode
    start: int
    length: int
    first: int

    @property
    def is_trimmed(self) -> bool:
        """Whether it lacks rows of its source."""
        return self.length < self.source.length

    @property
    def is_changed(self) -> bool:
        """Whether its counting columns differ from those of its source."""
        return self.is_trimmed or self.index != self.source.index


def stored_episodes(
    dataset: LeRobotDataset, trimmed: Mapping[int, tuple[int, int]], videos: Sequence[SharedVideo]
) -> tuple[StoredEpisode, ...]:
    """The episodes of a copy, numbered from 0.

    ``trimmed`` are rows to cut off at start and end, by number in the source. An episode begins
    with a key frame before where one is near, so that its video need not be encoded anew.
    """
    places: dict[int, list[tuple[VideoPackets, Cut]]] = defaultdict(list)
    for video in videos:
        for cut in video.cuts:
            places[cut.episode].append((video.packets, cut))
    near, episodes, first = round(_NEAR_SECONDS * dataset.fps), [], 0
    for index, episode in enumerate(dataset.episodes):
        start, end = trimmed.get(episode.index, (0, 0))
        stop = episode.length - end
        for begin in range(start, max(start - near, 0) - 1, -1):
            spans = [(table, cut.start + begin) for table, cut in places[episode.index]]
            if all(copied_from(*span, stop - begin) is not None for span in spans):
                start = begin
                break
        episodes.append(StoredEpisode(index, episode, start, stop - start, first))
        first += stop - start
    return tuple(episodes)


def trimmed_videos(
    collector: Collector, videos: Sequence[SharedVideo], episodes: Sequence[StoredEpisode]
) -> list[SharedVideo]:
    """The frames that the copy has; those that can neither be copied nor encoded are findings."""
    trimmed = {item.source.index: item for item in episodes if item.is_trimmed}
    result = []
    for video in videos:
        cuts = []
        for cut in video.cuts:
            if item := trimmed.get(cut.episode):
                span = cut.start + item.start, item.length
                cut = Cut(cut.episode, *span, copied_from(video.packets, *span))
            cuts.append(cut)
        result.append(replace(video, cuts=cuts))
        pixels = video.packets.pixel_format
        lost = [cut.episode for cut in cuts if cut.packet is None]
        if lost and trimmed and pixels not in LOSSLESS_FORMATS:
            found = f"pixel format {pixels} cannot be encoded anew without loss, "
            found += f"and episode {lost[0]} has no key frame where it would begin"
            collector.report("video-not-trimmed", video.file, found)
    return result


def flattened_columns(dataset: LeRobotDataset) -> list[str]:
    """Columns of numbers in several axes, which Isaac-GR00T does not read."""
    return [feature.name for feature in dataset.features.values() if feature.is_flattened]


def write_meta(
    folder: Folder,
    dataset: LeRobotDataset,
    episodes: Sequence[StoredEpisode],
    renamed: Mapping[str, str],
    target: Path,
    codecs: Mapping[str, set[str]],
) -> None:
    """Write ``meta`` of a v2.1 dataset.

    ``stats.json`` is left out, since LeRobot's quantiles are not those of the rows: statistics are
    computed where there is none. Those of each episode go to ``episodes_stats.jsonl`` where v3.0
    has them and its episodes stay as they are.
    """
    meta = target / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    if (dataset.directory / MODALITY).is_file():
        shutil.copyfile(dataset.directory / MODALITY, target / MODALITY)
    write_json(meta / "info.json", _v21_info(dataset, episodes, codecs))
    is_changed = folder.is_partial or any(item.is_changed for item in episodes)
    lines = {
        "tasks": (
            {"task_index": index, "task": renamed.get(task, task)}
            for index, task in dataset.tasks.items()
        ),
        "episodes": (
            {
                "episode_index": item.index,
                "tasks": list(dict.fromkeys(renamed.get(task, task) for task in item.source.tasks)),
                "length": item.length,
            }
            for item in episodes
        ),
        "episodes_stats": () if is_changed else _episode_statistics(folder),
    }
    for name, items in lines.items():
        path = meta / f"{name}.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
        if name == "episodes_stats" and not path.stat().st_size:
            path.unlink()


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
