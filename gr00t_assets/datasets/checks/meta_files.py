"""Tasks, episodes, counts and splits of the meta files, held against each other and the files."""

import os
import re
from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import Path, PurePosixPath

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.info import V30, Info
from gr00t_assets.datasets.lerobot.metadata import Metadata
from gr00t_assets.modality.special_tokens import special_tokens

_SPLIT = re.compile(r"(\d{1,9}):(\d{1,9})")


def check_features(collector: Collector, info: Info) -> None:
    """Report names that do not fit the shape, and numbers that are flattened."""
    for feature in info.features.values():
        names = info.raw["features"][feature.name].get("names")
        is_listed = isinstance(names, list) and names and isinstance(names[0], str)
        if is_listed and len(names) not in (feature.width, len(feature.shape)):
            found = f"{feature.name} has {len(names)} names for shape {list(feature.shape)}"
            collector.report("feature-names", INFO, found, count=feature.width)
        if feature.is_flattened:
            found = f"{feature.name} has the shape {list(feature.shape)}"
            collector.report("feature-flattened", INFO, found, count=feature.width)


def check_tasks(collector: Collector, tasks: Mapping[int, str], file: str) -> None:
    """Report tasks that are no instruction.

    Args:
        file: The list of tasks.
    """
    for index, text in tasks.items():
        if not text.strip():
            collector.report("task-empty", file, f"task {index}: an empty text")
        elif len(text.split()) < 2:
            collector.report("task-not-instruction", file, f"task {index} is {short(text)}")
        if tokens := special_tokens(text):
            found = f"task {index}: {', '.join(tokens[:4])} in {short(text)}"
            collector.report("task-special-token", file, found, file=file)


def check_episodes(metadata: Metadata) -> None:
    """Report gaps, disorder and unknown instructions in the list of episodes."""
    listed, file = metadata.listed or (), metadata.info.episodes_file
    collector = metadata.folder.collector
    for before, episode in pairwise(listed):
        if episode.index < before.index:
            found = f"episode {episode.index} after episode {before.index}"
            collector.report("episode-order", file, found)
            break
    instructions = set((metadata.tasks or {}).values())
    for episode in listed if metadata.tasks is not None else ():
        for text in episode.tasks:
            if text not in instructions:
                found = f"episode {episode.index}: {short(text)}"
                tasks = metadata.info.tasks_file
                collector.report("episode-task-unknown", file, found, file=tasks)
    indices = {episode.index for episode in listed}
    last = max(indices, default=-1)
    absent = last + 1 - len(indices)
    if metadata.complete and absent > 0:
        first = next(index for index in range(last + 1) if index not in indices)
        found = f"{absent} of the episodes 0 to {last} are not listed, first {first}"
        collector.report("episode-gap", file, found)


def check_unlisted_files(metadata: Metadata) -> None:
    """Report files of rows of v2.x whose episodes are not listed."""
    if metadata.info.version == V30 or metadata.folder.is_partial:
        return
    folder, listed = metadata.folder, set(metadata.data_files())
    roots = {PurePosixPath(file).parts[0] for file in listed if "/" in file}
    for root in sorted(root for root in roots if folder.holds(root)):
        for parent, _, names in os.walk(folder.directory / root):
            for name in names:
                file = folder.relative(Path(parent, name))
                if name.endswith(".parquet") and file not in listed:
                    found = "rows of an episode that is not listed"
                    folder.collector.report("episode-unlisted", file, found)


def check_totals(metadata: Metadata, cameras: Collection[Feature], rows: int) -> None:
    """Report totals of ``info.json`` that are wrong.

    Fewer episodes or rows than declared are errors, since a part is missing; other totals are
    read by nothing that trains.

    Args:
        cameras: Those that have frames. Where a declared one has none, it is that which is
            missing, and no total of videos is wrong.
        rows: Of all episodes, counted in their files.
    """
    info, episodes, collector = metadata.info, metadata.episodes, metadata.folder.collector
    count, size = len(episodes), info.chunks_size
    lengths = sum(episode.length for episode in episodes)
    chunks = len({episode.index // size for episode in episodes}) if size else None
    tasks = None if metadata.tasks is None else len(metadata.tasks)
    videos = count * sum(feature.dtype == "video" for feature in info.features.values())
    if info.version == V30 or len(cameras) < len(info.cameras):
        videos = None
    totals: tuple[tuple[str, str, tuple[int | None, ...]], ...] = (
        ("total_episodes", "episode-count", (count,)),
        ("total_frames", "frame-count", (lengths, rows)),
        ("total_tasks", "info-total", (tasks,)),
        ("total_videos", "info-total", (videos,)),
        ("total_chunks", "info-total", (chunks,)),
    )
    for name, fault, right in totals:
        if right[0] is not None and name in info.raw and info.raw[name] not in right:
            found = f"{name} {short(info.raw[name])}"
            texts = {"name": name, "total": right[0], "file": info.episodes_file}
            collector.report(fault, INFO, found, **texts)
    splits = info.raw.get("splits")
    if splits is None:
        return
    for name, value in splits.items() if isinstance(splits, dict) else (("splits", splits),):
        bounds = _SPLIT.fullmatch(value) if isinstance(value, str) else None
        if not bounds or not int(bounds[1]) <= int(bounds[2]) <= count:
            found = f"split {short(name)} is {short(value)}"
            collector.report("info-splits", INFO, found, episodes=count)
