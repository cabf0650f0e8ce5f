"""Episodes worth less than others: repeats, a score of each, and a curation without them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from textwrap import indent
from typing import Any

import numpy as np
import yaml

from gr00t_assets.core.finding import MAX_PER_CODE, Finding
from gr00t_assets.datasets.curation import Curated, spans
from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import EpisodeScore, Quality, Repeat
from gr00t_assets.datasets.quality.motion import EpisodeFigures
from gr00t_assets.datasets.quality.table import is_meant

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


def find_repeats(episodes: Sequence[Episode], parts: list[EpisodeFigures]) -> tuple[Repeat, ...]:
    """Each episode that repeats another, with the first that it repeats.

    A copy that is cut or shifted in time is not seen.
    """
    first: dict[bytes, int] = {}
    originals = [first.setdefault(item.digest, place) for place, item in enumerate(parts)]
    repeats = {place: (of, 0.0) for place, of in enumerate(originals) if of != place}
    places = list(first.values())
    points = np.array([parts[place].points for place in places])
    lengths = np.array([episodes[place].length for place in places])
    for left, right, distance in near_pairs(points, lengths):
        original, place = places[left], places[right]
        if place not in repeats or original < repeats[place][0]:
            repeats[place] = (original, max(distance, 1e-9))
    return tuple(
        Repeat(episode=episodes[place].index, original=episodes[original].index, distance=distance)
        for place, (original, distance) in sorted(repeats.items())
    )


def near_pairs(points: np.ndarray, lengths: np.ndarray) -> list[tuple[int, int, float]]:
    """Pairs, the lesser first, of episodes within ``REPEAT_DISTANCE`` and alike in length.

    Points are ``(episodes, numbers)``, as shares of the ranges. Those that are near are so, too, in
    the few directions in which all differ most, where a tree finds them.
    """
    from scipy.spatial import KDTree

    if not points.size:
        return []
    spread = points - points.mean(axis=0)
    axes = np.linalg.eigh(spread.T @ spread)[1][:, -8:]
    reach = limits.REPEAT_DISTANCE * points.shape[1] ** 0.5
    pairs = KDTree(spread @ axes).query_pairs(reach, output_type="ndarray")
    near = []
    for left, right in pairs.tolist():
        distance = float(np.sqrt(np.mean((points[left] - points[right]) ** 2)))
        difference, longer = abs(lengths[left] - lengths[right]), max(lengths[left], lengths[right])
        if distance < limits.REPEAT_DISTANCE and difference <= limits.REPEAT_LENGTHS * longer:
            near.append((left, right, distance))
    return near


def episode_scores(quality: Quality, episodes: Sequence[int]) -> tuple[EpisodeScore, ...]:
    """100 less the points of ``PENALTIES`` for each kind of fault; ``episodes`` are all indices."""
    lost: dict[int, dict[str, tuple[int, str]]] = {index: {} for index in episodes}
    for index, kind, reason, share in _faults(quality, episodes):
        points, text = lost[index].get(kind, (0, ""))
        points = max(points, round(limits.PENALTIES[kind] * share))
        lost[index][kind] = points, f"{text}, {reason}" if text else reason
    return tuple(
        EpisodeScore(
            episode=index,
            score=max(100 - sum(points for points, _ in faults.values()), 0),
            reasons=tuple(
                f"{text} (-{points})" for points, text in sorted(faults.values(), reverse=True)
            ),
        )
        for index, faults in lost.items()
    )


def _faults(quality: Quality, episodes: Sequence[int]) -> Iterator[tuple[int, str, str, float]]:
    """Episode, kind, what it is in words, and the share of the kind's points."""
    for repeat in quality.repeats:
        kind = "near repeat" if repeat.distance else "repeat"
        text = f"{'nearly ' if repeat.distance else ''}repeats episode {repeat.original}"
        yield repeat.episode, kind, text, 1.0
    for label, indices in quality.motion.stuck.items():
        yield from ((index, "stuck", f"{label} is stuck", 1.0) for index in indices)
    for camera in quality.cameras:
        name = camera.camera.rsplit(".", 1)[-1]
        for freeze in camera.freezes:
            text = f"{name} frozen for {freeze.seconds:.1f} s from row {freeze.row}"
            yield freeze.episode, "freeze", text, 1.0
        for index, share in camera.black.items():
            yield index, "black", f"{share:.0%} of {name} is black", 1.0
    for vector in quality.vectors:
        for index, count in vector.jumps_by_episode.items():
            text = f"{count} jump{'s' * (count > 1)} in {vector.column}"
            yield index, "jumps", text, 1.0
    for limit in quality.motion.limits:
        for label, above in zip(limit.labels, limit.episodes, strict=True):
            text = f"{label} of {limit.column} at its limit"
            yield from ((index, "limit", text, 1.0) for index in above if not is_meant(label))
    motion, rows = quality.motion, quality.lengths.rows
    for place, index in enumerate(episodes):
        if index in motion.jerk_outliers:
            text = f"jerk {motion.jerk[place] / motion.jerk_median:.1f} times the median"
            yield index, "jerk", text, 1.0
        if index in quality.lengths.outliers:
            text = f"{rows[place]} rows, where the median is {quality.lengths.median:g}"
            yield index, "length", text, 1.0
        if quality.idle is not None:
            still = quality.idle.start[place] + quality.idle.end[place]
            rest = min(still / max(rows[place], 1), 1.0)
            if rest > limits.IDLE_SHARE:
                yield index, "rest", f"at rest in {rest:.0%} of its rows", rest


def proposed_curation(
    findings: Iterable[Finding], quality: Quality | None = None, curated: Curated | None = None
) -> str:
    """YAML for an entry of ``data/datasets.yaml``; empty where nothing is to be left out.

    Proposed are: episodes that are damaged, empty, of one row, that repeat another one or in which
    a camera is frozen; rest that is cut off; and tasks that differ from a commoner one in case or
    spaces alone.

    The findings number episodes as the source does; ``curated`` says how the dataset that the
    quality is of differs from it.
    """
    excluded = _damaged_episodes(findings)
    content: dict[str, Any] = {}
    if quality is not None:
        poor = {repeat.episode for repeat in quality.repeats}
        poor |= {freeze.episode for camera in quality.cameras for freeze in camera.freezes}
        episodes = zip(quality.scores, quality.lengths.rows, strict=True)
        poor |= {score.episode for score, rows in episodes if rows < 2}
        excluded |= {curated.episodes[index] for index in poor} if curated else poor
    if excluded:
        also = curated.left_out if curated else ()
        content["episodes"] = {"exclude": list(spans({*excluded, *also}))}
    if quality is not None and (idle := quality.idle):
        ends = ("start", idle.start, idle.start_share), ("end", idle.end, idle.end_share)
        seconds = {
            name: ceil(max(rows) / quality.fps * 10) / 10
            for name, rows, share in ends
            if share > limits.IDLE_SHARE
        }
        content |= {"trim_idle": seconds | {"threshold": limits.IDLE_MOVE}} if seconds else {}
    if quality is not None and quality.language is not None:
        renamed = _renamed(quality.language.shares)
        content |= {"tasks": {"rename": renamed}} if renamed else {}
    if not content:
        return ""
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=96)
    return indent(text, "  ")


def _damaged_episodes(findings: Iterable[Finding]) -> set[int]:
    """Episodes of which a file or a line cannot be used; a fault of most episodes is of none."""
    items = [item for item in findings if item.severity == "error" or item.code == _COPIED]
    counts = Counter(item.code for item in items)
    return {
        int(match[1])
        for item in items
        if (match := _FILE.search(item.subject or "") or _FOUND.match(item.found))
        and item.code in _OF_EPISODES
        and counts[item.code] <= MAX_PER_CODE
    }


def _renamed(shares: Iterable[str]) -> dict[str, str]:
    """Tasks that differ from a commoner one in case or spaces; the commonest is first."""
    commonest: dict[str, str] = {}
    kept = {text: commonest.setdefault(" ".join(text.split()).casefold(), text) for text in shares}
    return {text: other for text, other in kept.items() if other != text}
