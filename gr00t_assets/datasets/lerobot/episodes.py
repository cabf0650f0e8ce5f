"""The episodes of a dataset, as its meta files list them.

v2.x has ``meta/episodes.jsonl``, v3.0 ``meta/episodes/chunk-*/file-*.parquet`` with a row for each,
as ``src/lerobot/datasets/utils.py`` in huggingface/lerobot writes it, releases 0.4 to 0.6.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import Any, TypeGuard

import pyarrow.parquet as pq

from gr00t_assets.core.files import parquet_rows
from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.lerobot.columns import LONGEST_EPISODE, report_unreadable
from gr00t_assets.datasets.lerobot.folder import (
    FAULTS,
    LARGEST_META_BYTES,
    MOST_LINES,
    Folder,
    read_lines,
)
from gr00t_assets.datasets.lerobot.info import EPISODES, V30, V30_EPISODES, Info

LARGEST_INDEX = 10_000_000

BATCH_ROWS = 256
"""Rows of ``meta/episodes`` that are in memory at once; each has statistics of every feature."""

DAMAGED = (
    *("line-not-json", "text-not-unicode", "field", "too-many-lines"),
    *("meta-missing", "parquet-unreadable", "file-unreadable", "file-too-large"),
    *("empty-file", "lfs-pointer", "not-a-file"),
)
_SEGMENT = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
_OPTIONAL = (
    *("data/chunk_index", "data/file_index"),
    *("dataset_from_index", "dataset_to_index", "tasks"),
)


@dataclass(frozen=True, slots=True)
class VideoSegment:
    """Where an episode lies in a video file, whose path is relative to the dataset.

    From the second at which its first frame is shown to that at which one after its last would be;
    infinity where the file is the episode's own.
    """

    file: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Episode:
    """One demonstration, as the list of episodes has it.

    Its length is in rows, one a frame; 0 where it could not be read. ``data_file`` should have
    them, in v3.0 numbered over the whole dataset as ``rows``, first and one past the last, say.
    ``videos`` are by camera.
    """

    index: int
    length: int
    tasks: tuple[str, ...] = ()
    data_file: str | None = None
    videos: Mapping[str, VideoSegment] = field(default_factory=dict)
    rows: tuple[int, int] | None = None


def read_episodes(folder: Folder, info: Info) -> tuple[tuple[Episode, ...] | None, bool]:
    """The episodes in the order of the list, and whether nothing of the list was damaged.

    ``None`` where there is no list. An episode that cannot be read, or is listed twice, is a
    finding and is passed over.
    """
    collector, file = folder.collector, info.episodes_file
    before = collector.count(*DAMAGED)
    if info.version == V30:
        listed = _v30_episodes(folder, info)
    elif (lines := read_lines(folder, file)) is not None:
        listed = _v2_episodes(folder, info, lines)
    else:
        return None, False
    episodes: dict[int, Episode] = {}
    for where, episode in listed:
        if episodes.setdefault(episode.index, episode) is not episode:
            collector.report("episode-duplicate", file, f"{where}: episode {episode.index} again")
    complete = collector.count(*DAMAGED) == before
    if not episodes and complete:
        collector.report("no-episodes", file, "no episode")
    return tuple(episodes.values()), complete and not folder.is_partial


def _v2_episodes(
    folder: Folder, info: Info, lines: Iterator[tuple[int, dict[str, Any]]]
) -> Iterator[tuple[str, Episode]]:
    collector, cameras = folder.collector, [camera.name for camera in info.video_cameras]
    for number, item in lines:
        where = f"line {number}"
        index = whole_number(collector, EPISODES, where, item, "episode_index", 0, LARGEST_INDEX)
        if index is not None and folder.leaves_out(index):
            folder.left_out[index] = Episode(index, 0)
            continue
        where += "" if index is None else f" (episode {index})"
        length = whole_number(collector, EPISODES, where, item, "length", 1, LONGEST_EPISODE)
        tasks = item.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            collector.report("episode-tasks", EPISODES, f"{where}: tasks is {short(tasks)}")
            tasks = []
        if index is not None:
            paths = {camera: info.own_file(index, camera) for camera in cameras}
            videos = {name: VideoSegment(path, 0.0, inf) for name, path in paths.items() if path}
            yield where, Episode(index, length or 0, tuple(tasks), info.own_file(index), videos)


def v30_episode_files(folder: Folder) -> list[Path]:
    """The files of ``meta/episodes``, in LeRobot's order."""
    return sorted((folder.directory / V30_EPISODES).glob("*/*.parquet"))


def _v30_episodes(folder: Folder, info: Info) -> Iterator[tuple[str, Episode]]:
    """Where they lie in the videos of cameras is read of those that are named or have files."""
    paths, stored = v30_episode_files(folder), dict[Path, list[str]]()
    if not paths:
        file = f"{V30_EPISODES}/chunk-000/file-000.parquet"
        folder.collector.report("meta-missing", file, "no such file")
    for path in paths:
        file = folder.relative(path)
        with report_unreadable(folder.collector, file):
            if folder.opened(file):
                stored[path] = pq.read_schema(path).names
    cameras = [
        name
        for name in (camera.name for camera in info.video_cameras)
        if any(f"videos/{name}/from_timestamp" in names for names in stored.values())
        or info.shared_files(folder, name)
    ]
    count, needed = 0, ["episode_index", "length"]
    needed += [f"videos/{camera}/{part}" for camera in cameras for part in _SEGMENT]
    for path, names in stored.items():
        file = folder.relative(path)
        with report_unreadable(folder.collector, file):
            if missing := [name for name in needed if name not in names]:
                found = f"no column {', '.join(missing)}"
                folder.collector.report("field", file, found, expected="LeRobot's columns")
                continue
            columns = [*needed, *(name for name in _OPTIONAL if name in names)]
            limits = {"most_rows": MOST_LINES - count, "most_bytes": LARGEST_META_BYTES}
            for batch in parquet_rows(path, columns, **limits):
                count += batch.num_rows
                for row in batch.to_pylist():
                    episode = _v30_episode(folder, info, cameras, file, row)
                    if episode is not None and folder.leaves_out(episode.index):
                        folder.left_out[episode.index] = episode
                    elif episode is not None:
                        yield "a row", episode


def _v30_episode(
    folder: Folder, info: Info, cameras: Sequence[str], file: str, row: dict[str, Any]
) -> Episode | None:
    collector = folder.collector
    index = whole_number(collector, file, "a row", row, "episode_index", 0, LARGEST_INDEX)
    if index is None:
        return None
    if folder.leaves_out(index):
        collector = Collector(FAULTS)
    where, videos = f"episode {index}", {}
    length = whole_number(collector, file, where, row, "length", 1, LONGEST_EPISODE)
    for camera in cameras:
        chunk, number, start, end = (row[f"videos/{camera}/{part}"] for part in _SEGMENT)
        if not (_is_count(chunk) and _is_count(number)):
            found = f"{where}: {camera} is in no file ({chunk!r}, {number!r})"
            collector.report("field", file, found, expected="numbers of chunk and file")
        elif not all(isinstance(time, float | int) and isfinite(time) for time in (start, end)):
            found = f"{where}: {camera} goes from {start!r} to {end!r} seconds"
            collector.report("field", file, found, expected="two finite times")
        elif (video := info.shared_file(chunk, number, camera)) is not None:
            videos[camera] = VideoSegment(video, float(start), float(end))
    if length is None and not folder.leaves_out(index):
        return None
    chunk, number, first, last, tasks = (row.get(name) for name in _OPTIONAL)
    named = info.shared_file(chunk, number) if _is_count(chunk) and _is_count(number) else None
    rows = (first, last) if isinstance(first, int) and isinstance(last, int) else None
    texts = tasks if isinstance(tasks, list | tuple) else [tasks]
    tasks = tuple(str(text) for text in texts if text)
    return Episode(index, length or 0, tasks, named, videos, rows)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value <= LARGEST_INDEX


def whole_number(
    collector: Collector, file: str, where: str, item: Any, name: str, least: int, most: int
) -> int | None:
    """A whole number of an entry; ``None`` and a finding where it is none or out of bounds."""
    value = item.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    report_field(collector, file, where, item, name, f"a whole number, {least} to {most:,}")
    return None


def report_field(
    collector: Collector, file: str, where: str, item: Any, name: str, expected: str
) -> None:
    """Report a field of an entry of a list that is missing or wrong."""
    shown = f"{name} is {short(item[name])}" if name in item else f"no {name}"
    collector.report("field", file, f"{where}: {shown}", expected=f"{name}: {expected}")
