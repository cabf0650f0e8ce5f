"""Counts and splits in ``meta/info.json`` held against the files."""

import re
from typing import Any

from gr00t_assets.core.finding import Collector, short
from gr00t_assets.datasets.checks.info import FILE, Info
from gr00t_assets.datasets.checks.lists import Listed

_SPLIT = re.compile(r"(\d{1,9}):(\d{1,9})")


def check_totals(
    collector: Collector,
    info: Info,
    episodes: list[Listed],
    tasks: int | None,
    cameras: int,
    rows: int,
) -> None:
    """Report totals that are wrong.

    Fewer episodes or rows than declared are errors, since a part is missing; other totals are
    read by nothing that trains.
    """
    raw = info.raw
    listed = len(episodes)
    if _differs(raw, "total_episodes", {listed}):
        collector.error(
            "episode-count",
            FILE,
            f"total_episodes {short(raw['total_episodes'])}",
            f"{listed}, the episodes of meta/episodes.jsonl",
            "bring the missing episodes, or correct total_episodes",
        )
    lengths = sum(one.length for one in episodes)
    if _differs(raw, "total_frames", {lengths, rows}):
        collector.error(
            "frame-count",
            FILE,
            f"total_frames {short(raw['total_frames'])}",
            f"{lengths}, the sum of the lengths in meta/episodes.jsonl",
            "bring the missing rows, or correct total_frames",
        )
    chunks = len({one.index // info.chunks_size for one in episodes}) if info.chunks_size else None
    expected = {
        "total_tasks": tasks,
        "total_videos": listed * cameras,
        "total_chunks": chunks,
    }
    for name, count in expected.items():
        if count is not None and _differs(raw, name, {count}):
            collector.warn(
                "info-total", FILE, f"{name} {short(raw[name])}", str(count), f"correct {name}"
            )
    _splits(collector, raw.get("splits"), listed)


def _differs(raw: Any, name: str, right: set[int]) -> bool:
    return name in raw and raw[name] not in list(right)


def _splits(collector: Collector, splits: Any, episodes: int) -> None:
    if splits is None:
        return
    for name, value in splits.items() if isinstance(splits, dict) else (("splits", splits),):
        found = _SPLIT.fullmatch(value) if isinstance(value, str) else None
        if found and int(found[1]) <= int(found[2]) <= episodes:
            continue
        collector.warn(
            "info-splits",
            FILE,
            f"split {short(name)} is {short(value)}",
            f"episodes 0:{episodes} at most",
            "correct the split; the split of the catalog is used in training",
        )
