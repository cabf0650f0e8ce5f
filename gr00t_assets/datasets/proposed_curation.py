"""The curation that would heal what was found in a dataset, to paste into its catalog entry."""

import re
from collections import Counter
from collections.abc import Iterable
from math import ceil
from textwrap import indent
from typing import Any

import yaml

from gr00t_assets.core.finding import MAX_PER_CODE, Finding
from gr00t_assets.datasets.curation import Curated, spans
from gr00t_assets.datasets.quality.figures import Idle, Quality
from gr00t_assets.datasets.quality.thresholds import IDLE_MOVE, IDLE_SHARE

_FILE = re.compile(r"episode_(\d+)\.\w+$")
_FOUND = re.compile(r"(?:line \d+ \()?episode (\d+)\b")
_COPIED = "episode-copied"
_OF_EPISODES = frozenset(
    {
        *("empty-file", "field", "file-unreadable", "frame-index", "lfs-pointer", "no-rows"),
        *("not-finite", "parquet-missing", "parquet-unreadable", "parquet-too-large", "row-count"),
        *("timestamp-order", "timestamp-step", "timestamp-start", "video-frame-times"),
        *("video-frames", "video-missing", "video-truncated", "video-unreadable"),
        _COPIED,
    }
)
"""Faults that go with the episode; any other is of the whole dataset, or is mended by hand."""


def proposed_curation(
    findings: Iterable[Finding], quality: Quality | None = None, curated: Curated | None = None
) -> str:
    """YAML for an entry of ``data/datasets.yaml``; empty where nothing is to be left out.

    Proposed are: episodes that are damaged, empty, of one row, that repeat another one or in which
    a camera is frozen; rest that is cut off; and tasks that differ from a commoner one in case or
    spaces alone.

    Args:
        findings: Of the check; episodes as the source numbers them.
        quality: Of the same dataset.
        curated: How the dataset that the quality is of differs from its source.
    """
    excluded, content = set(_damaged_episodes(findings)), {}
    if quality is not None:
        poor = _poor_episodes(quality)
        excluded |= {curated.episodes[index] for index in poor} if curated else poor
    if excluded:
        also = curated.left_out if curated else ()
        content["episodes"] = {"exclude": list(spans({*excluded, *also}))}
    if quality is not None and quality.idle is not None:
        content |= _trim(quality.idle, quality.fps)
    if quality is not None and quality.language is not None:
        content |= _renamed(quality.language.shares)
    if not content:
        return ""
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)
    return indent(text, "  ")


def _damaged_episodes(findings: Iterable[Finding]) -> set[int]:
    """Episodes of which a file or a line cannot be used; a fault of most episodes is of none."""
    items = [item for item in findings if item.severity == "error" or item.code == _COPIED]
    counts = Counter(item.code for item in items)
    damaged = set()
    for item in items:
        match = _FILE.search(item.subject or "") or _FOUND.match(item.found)
        if match and item.code in _OF_EPISODES and counts[item.code] <= MAX_PER_CODE:
            damaged.add(int(match[1]))
    return damaged


def _poor_episodes(quality: Quality) -> set[int]:
    """Episodes that repeat another one, have one row, or show a frozen camera; by index."""
    indices = [score.episode for score in quality.scores]
    rows = zip(indices, quality.lengths.rows, strict=True)
    return {
        *(repeat.episode for repeat in quality.repeats),
        *(index for index, count in rows if count < 2),
        *(freeze.episode for camera in quality.cameras for freeze in camera.freezes),
    }


def _trim(idle: Idle, fps: float) -> dict[str, Any]:
    ends = {"start": (idle.start, idle.start_share), "end": (idle.end, idle.end_share)}
    seconds = {
        name: ceil(max(rows) / fps * 10) / 10
        for name, (rows, share) in ends.items()
        if share > IDLE_SHARE
    }
    return {"trim_idle": seconds | {"threshold": IDLE_MOVE}} if seconds else {}


def _renamed(shares: Iterable[str]) -> dict[str, Any]:
    """Tasks that differ from a commoner one in case or spaces; the commonest is first."""
    commonest: dict[str, str] = {}
    rename = {}
    for text in shares:
        kept = commonest.setdefault(" ".join(text.split()).casefold(), text)
        if kept != text:
            rename[text] = kept
    return {"tasks": {"rename": rename}} if rename else {}
