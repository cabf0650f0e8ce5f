"""Tasks, episodes, counts and splits of the meta files, held against each other and the files."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

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
    _check_order(collector, listed.episodes)
    instructions = set((metadata.tasks or {}).values())
    for episode in listed.episodes if metadata.tasks is not None else ():
        for text in episode.tasks:
            if text not in instructions:
                collector.report(
                    "episode-task-unknown", EPISODES, f"episode {episode.index}: {short(text)}"
                )
    return listed.complete and not _has_gaps(collector, {item.index for item in listed.episodes})


def check_unlisted_files(metadata: Metadata) -> None:
    """Report files of rows of episodes that are not listed."""
    folder, listed = metadata.folder, set(metadata.data_files())
    roots = {PurePosixPath(file).parts[0] for file in listed if "/" in file}
    for root in sorted(root for root in roots if folder.holds(root)):
        for parent, _, names in os.walk(folder.directory / root):
            for name in names:
                file = folder.relative(Path(parent, name))
                if name.endswith(".parquet") and file not in listed:
                    folder.collector.report(
                        "episode-unlisted", file, "rows of an episode that is not listed"
                    )


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
        collector: Takes the findings.
        info: Of the dataset.
        episodes: All of them.
        tasks: How many are listed; none where the list cannot be had.
        cameras: How many have videos.
        rows: Of all episodes, counted in their files.
    """
    raw, count = info.raw, len(episodes)
    if _differs(raw, "total_episodes", count):
        collector.report(
            "episode-count", INFO, f"total_episodes {short(raw['total_episodes'])}", count=count
        )
    lengths = sum(episode.length for episode in episodes)
    if _differs(raw, "total_frames", lengths, rows):
        collector.report(
            "frame-count", INFO, f"total_frames {short(raw['total_frames'])}", lengths=lengths
        )
    size = info.chunks_size
    expected = {
        "total_tasks": tasks,
        "total_videos": count * cameras,
        "total_chunks": len({item.index // size for item in episodes}) if size else None,
    }
    for name, total in expected.items():
        if total is not None and _differs(raw, name, total):
            collector.report(
                "info-total", INFO, f"{name} {short(raw[name])}", name=name, total=str(total)
            )
    _check_splits(collector, raw.get("splits"), count)


def _check_order(collector: Collector, episodes: Collection[Episode]) -> None:
    last = -1
    for episode in episodes:
        if episode.index < last:
            collector.report(
                "episode-order", EPISODES, f"episode {episode.index} after episode {last}"
            )
            return
        last = episode.index


def _has_gaps(collector: Collector, indices: set[int]) -> bool:
    last = max(indices, default=-1)
    absent = last + 1 - len(indices)
    if absent <= 0:
        return False
    first = next(index for index in range(last + 1) if index not in indices)
    collector.report(
        "episode-missing",
        EPISODES,
        f"{absent} of the episodes 0 to {last} are not listed, first {first}",
        first=first,
    )
    return True


def _differs(raw: Mapping[str, Any], name: str, *right: int) -> bool:
    return name in raw and raw[name] not in right


def _check_splits(collector: Collector, splits: Any, episodes: int) -> None:
    if splits is None:
        return
    for name, value in splits.items() if isinstance(splits, dict) else (("splits", splits),):
        bounds = _SPLIT.fullmatch(value) if isinstance(value, str) else None
        if bounds and int(bounds[1]) <= int(bounds[2]) <= episodes:
            continue
        collector.report(
            "info-splits", INFO, f"split {short(name)} is {short(value)}", episodes=episodes
        )
