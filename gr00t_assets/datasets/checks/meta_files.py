"""Tasks, episodes, counts and splits of the meta files, held against each other and the files."""

import os
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path, PurePosixPath

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.lerobot.episodes import EPISODES, Episode
from gr00t_assets.datasets.lerobot.features import INFO
from gr00t_assets.datasets.lerobot.info import Info
from gr00t_assets.datasets.lerobot.metadata import TASKS, Metadata

_SPLIT = re.compile(r"(\d{1,9}):(\d{1,9})")


def check_tasks(collector: Collector, tasks: Mapping[int, str]) -> None:
    """Report tasks that are no instruction."""
    for index, text in tasks.items():
        if not text.strip():
            collector.report("task-empty", TASKS, f"task {index}: an empty text")
        elif len(text.split()) < 2:
            collector.report("task-not-instruction", TASKS, f"task {index} is {short(text)}")


def check_episodes(metadata: Metadata) -> bool:
    """Report gaps, disorder and unknown instructions in the list of episodes.

    Returns:
        Whether every episode up to the last one is listed and nothing of the list is damaged.
    """
    listed = metadata.listed
    if listed is None:
        return False
    collector = metadata.folder.collector
    for before, episode in pairwise(listed):
        if episode.index < before.index:
            found = f"episode {episode.index} after episode {before.index}"
            collector.report("episode-order", EPISODES, found)
            break
    instructions = set((metadata.tasks or {}).values())
    for episode in listed if metadata.tasks is not None else ():
        for text in episode.tasks:
            if text not in instructions:
                found = f"episode {episode.index}: {short(text)}"
                collector.report("episode-task-unknown", EPISODES, found)
    indices = {episode.index for episode in listed}
    last = max(indices, default=-1)
    absent = last + 1 - len(indices)
    if metadata.complete and absent > 0:
        first = next(index for index in range(last + 1) if index not in indices)
        found = f"{absent} of the episodes 0 to {last} are not listed, first {first}"
        collector.report("episode-missing", EPISODES, found, first=first)
    return metadata.complete and absent <= 0


def check_unlisted_files(metadata: Metadata) -> None:
    """Report files of rows of episodes that are not listed."""
    folder, listed = metadata.folder, set(metadata.data_files())
    roots = {PurePosixPath(file).parts[0] for file in listed if "/" in file}
    for root in sorted(root for root in roots if folder.holds(root)):
        for parent, _, names in os.walk(folder.directory / root):
            for name in names:
                file = folder.relative(Path(parent, name))
                if name.endswith(".parquet") and file not in listed:
                    found = "rows of an episode that is not listed"
                    folder.collector.report("episode-unlisted", file, found)


def check_totals(
    collector: Collector,
    info: Info,
    episodes: list[Episode],
    tasks: int | None,
    cameras: int,
    rows: int,
) -> None:
    """Report totals of ``info.json`` that are wrong.

    Fewer episodes or rows than declared are errors, since a part is missing; other totals are
    read by nothing that trains.

    Args:
        tasks: How many are listed; none where the list cannot be had.
        cameras: How many have videos.
        rows: Of all episodes, counted in their files.
    """
    count, size = len(episodes), info.chunks_size
    lengths = sum(episode.length for episode in episodes)
    chunks = len({episode.index // size for episode in episodes}) if size else None
    totals: tuple[tuple[str, str, tuple[int | None, ...]], ...] = (
        ("total_episodes", "episode-count", (count,)),
        ("total_frames", "frame-count", (lengths, rows)),
        ("total_tasks", "info-total", (tasks,)),
        ("total_videos", "info-total", (count * cameras,)),
        ("total_chunks", "info-total", (chunks,)),
    )
    for name, fault, right in totals:
        if right[0] is not None and name in info.raw and info.raw[name] not in right:
            found = f"{name} {short(info.raw[name])}"
            collector.report(fault, INFO, found, name=name, total=right[0])
    splits = info.raw.get("splits")
    if splits is None:
        return
    for name, value in splits.items() if isinstance(splits, dict) else (("splits", splits),):
        bounds = _SPLIT.fullmatch(value) if isinstance(value, str) else None
        if not bounds or not int(bounds[1]) <= int(bounds[2]) <= count:
            found = f"split {short(name)} is {short(value)}"
            collector.report("info-splits", INFO, found, episodes=count)
