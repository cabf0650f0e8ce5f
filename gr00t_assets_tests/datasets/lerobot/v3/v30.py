"""Writing LeRobot v3.0 datasets, as its converter does: many episodes in each file."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset

DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
FILES_IN_CHUNK = 2


def convert_to_v30(source: Path, destination: Path, episodes_per_file: int = 2) -> None:
    """Write a v2.x dataset as v3.0; a new data file after each ``episodes_per_file`` episodes and
    a new video file of a camera after one episode more, two files in a chunk."""
    dataset = LeRobotDataset.open(source)
    indices = [episode.index for episode in dataset.episodes]
    rows: list[dict[str, Any]] = []
    first = 0
    for episode in dataset.episodes:
        last = first + episode.length
        row: dict[str, Any] = {
            "episode_index": episode.index,
            "tasks": list(episode.tasks),
            "length": episode.length,
            "dataset_from_index": first,
            "dataset_to_index": last,
        }
        rows.append(row)
        first = last
    by_episode = {row["episode_index"]: row for row in rows}
    for number, group in enumerate(_groups(indices, episodes_per_file)):
        place = {"chunk_index": number // FILES_IN_CHUNK, "file_index": number % FILES_IN_CHUNK}
        path = destination / DATA.format(**place)
        path.parent.mkdir(parents=True, exist_ok=True)
        tables = map(dataset.read_episode, group)
        with pq.ParquetWriter(path, dataset.read_episode(group[0]).schema) as writer:
            for table in tables:
                writer.write_table(table)
        for index in group:
            by_episode[index] |= {f"data/{key}": value for key, value in place.items()}
    for camera in dataset.cameras:
        for number, group in enumerate(_groups(indices, episodes_per_file + 1)):
            place = {"chunk_index": number // FILES_IN_CHUNK, "file_index": number % FILES_IN_CHUNK}
            target = destination / VIDEO.format(video_key=camera, **place)
            borders = concatenate([dataset.video_path(index, camera) for index in group], target)
            for index, start, end in zip(group, borders, borders[1:], strict=False):
                by_episode[index] |= {f"videos/{camera}/{key}": v for key, v in place.items()}
                by_episode[index][f"videos/{camera}/from_timestamp"] = start
                by_episode[index][f"videos/{camera}/to_timestamp"] = end
    for row, found in zip(rows, _statistics(source), strict=True):
        row |= {f"stats/{feature}/{key}": v for feature, s in found.items() for key, v in s.items()}
    write_meta(destination, dict(dataset.info.raw), dataset.tasks, rows)
    for file in ("stats.json", "modality.json"):
        shutil.copyfile(source / "meta" / file, destination / "meta" / file)


def write_meta(
    directory: Path, info: dict[str, Any], tasks: dict[int, str], rows: Sequence[dict[str, Any]]
) -> None:
    """``meta`` as LeRobot 0.4 writes it: tasks by pandas, with the task as the index."""
    info = {
        key: value for key, value in info.items() if key not in ("total_chunks", "total_videos")
    }
    features = {
        key: feature if feature["dtype"] == "video" else feature | {"fps": info["fps"]}
        for key, feature in info["features"].items()
    }
    info |= {
        "codebase_version": "v3.0",
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 500,
        "data_path": DATA,
        "video_path": VIDEO,
        "features": features,
    }
    (directory / "meta").mkdir(parents=True, exist_ok=True)
    (directory / "meta" / "info.json").write_text(json.dumps(info, indent=4))
    frame = pd.DataFrame({"task_index": list(tasks)}, index=list(tasks.values()))
    frame.to_parquet(directory / "meta" / "tasks.parquet")
    rows = [row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0} for row in rows]
    write_table(directory / EPISODES, pa.Table.from_pylist(rows))


def write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=50)


def concatenate(paths: Sequence[Path], target: Path) -> list[float]:
    """Put videos one after another, packet by packet; seconds of the borders between them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    borders = [0.0]
    shift = 0
    with av.open(str(target), "w") as output:
        stream = None
        for path in paths:
            with av.open(str(path)) as source:
                template = source.streams.video[0]
                assert template.time_base is not None and template.duration is not None
                if stream is None:
                    stream = output.add_stream_from_template(template, opaque=True)
                    stream.time_base = template.time_base
                for packet in source.demux(template):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    output.mux(packet)
                shift += template.duration
                borders.append(float(shift * template.time_base))
    return borders


def _groups(indices: Sequence[int], size: int) -> list[Sequence[int]]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _statistics(source: Path) -> list[dict[str, dict[str, Any]]]:
    """Statistics of each episode; none for a source that keeps them for the whole dataset only."""
    path = source / "meta" / "episodes_stats.jsonl"
    if not path.is_file():
        episodes = (source / "meta" / "episodes.jsonl").read_text().strip().split("\n")
        return [{} for _ in episodes]
    return [json.loads(line)["stats"] for line in path.read_text().strip().split("\n")]
