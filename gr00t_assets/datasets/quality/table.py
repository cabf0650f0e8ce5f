"""The measures of a dataset's quality in words, with a warning past each threshold."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from gr00t_assets.datasets.lerobot.folder import episode_names, first_few
from gr00t_assets.datasets.quality import figures
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Measure, Quality, QualityWarning

COLUMNS = ("measure", "found", "warning")  # of ``quality_table``
SCORE_COLUMNS = ("episode", "score", "why")  # of ``score_table``
_LOWEST = 50


class _Row(NamedTuple):
    measure: Measure
    subject: str
    """Column or camera, where there are several."""
    figure: str
    warnings: list[str]


def quality_table(quality: Quality) -> list[list[str]]:
    """Rows of measure, figure, and warning; the last is empty where no threshold is passed."""
    return [
        [row.measure.value, ": ".join(filter(None, row[1:3])), "; ".join(row.warnings)]
        for row in _rows(quality)
    ]


def score_table(quality: Quality) -> list[list[str]]:
    """Rows of episode, score and reasons, the lowest first; those without a fault are left out."""
    lowest = sorted(quality.scores, key=lambda item: item.score)[:_LOWEST]
    rows = ([str(item.episode), str(item.score), "; ".join(item.reasons)] for item in lowest)
    return [row for row in rows if row[2]]


def find_warnings(quality: Quality) -> Iterator[QualityWarning]:
    """A warning for each threshold that is passed."""
    for row in _rows(quality):
        for message in row.warnings:
            yield QualityWarning(measure=row.measure, subject=row.subject, message=message)


@cache
def _texts() -> dict[str, Any]:
    return yaml.safe_load(Path(__file__).parents[1].joinpath("quality_measures.yaml").read_bytes())


def _row(measure: Measure, subject: str, *passed: object, **values: object) -> _Row:
    """A row whose texts are filled in, with a warning for each threshold that is passed.

    Of a list its first items are named, and how many there are besides.
    """
    texts = _texts()[measure]
    words = {name: first_few(of) if isinstance(of, list) else of for name, of in values.items()}
    words["limits"] = limits
    warnings = zip(passed, texts["warnings"], strict=True)
    messages = [text.format(**words) for is_passed, text in warnings if is_passed]
    return _Row(measure, subject, texts["figure"].format(**words), messages)


def _rows(quality: Quality) -> Iterator[_Row]:
    lengths, idle, fps = quality.lengths, quality.idle, quality.fps
    outliers, seconds = list(lengths.outliers), lengths.median / fps
    verb = "episode is" if len(outliers) == 1 else "episodes are"
    values = {"count": len(outliers), "episodes": verb, "outliers": outliers}
    yield _row(Measure.LENGTHS, "", outliers, it=lengths, seconds=seconds, **values)
    if idle is not None:
        start = Measure.IDLE_START, idle.start, idle.start_share
        for measure, rows, share in (start, (Measure.IDLE_END, idle.end, idle.end_share)):
            mean = float(np.mean(rows))
            values = {"share": share, "mean": mean, "most": max(rows), "seconds": mean / fps}
            yield _row(measure, "", share > limits.IDLE_SHARE, **values)
    if changing := [copy for copy in quality.copies if copy.share is not None]:
        shares = [
            f"{copy.key} {copy.share:.0%} ({copy.moving_share or 0:.0%} of moving rows)"
            for copy in changing
        ]
        moving = [(copy.key, copy.moving_share or 0.0) for copy in changing]
        above = _words(moving, "{:.0%}", limits.COPY_SHARE)
        yield _row(Measure.COPIES, "", above, shares=", ".join(shares), above=above)
    for vector in quality.vectors:
        if vector.labels:
            yield from _vector(vector)
    yield from _motion(quality.motion)
    repeats = [
        f"{item.episode} {'nearly ' if item.distance else ''}repeats {item.original}"
        for item in quality.repeats
    ]
    counts = {"count": len(repeats), "episodes": len(lengths.rows)}
    yield _row(Measure.REPEATS, "", repeats, repeats=repeats, **counts)
    if quality.language is not None:
        language = quality.language
        commonest, share = next(iter(language.shares.items()), ("", 0.0))
        passed = language.empty_share > 0, language.distinct > 1 and share > limits.COMMONEST_SHARE
        texts = [f'"{text}"' for text in language.placeholders]
        values = {"share": share, "commonest": commonest, "texts": texts}
        yield _row(Measure.LANGUAGE, "", *passed, it=language, **values)
    for camera in quality.cameras:
        yield from _camera(camera)
    if quality.scores:
        lowest = min(quality.scores, key=lambda item: item.score)
        mean = np.mean([item.score for item in quality.scores])
        yield _row(Measure.SCORES, "", it=lowest, mean=mean)


def _vector(vector: figures.Vector) -> Iterator[_Row]:
    outside, stretch, steps = (
        sorted(zip(vector.labels, values, strict=True), key=lambda pair: -pair[1])
        for values in (vector.outside, vector.stretch, vector.largest_step)
    )
    above = _words(outside, "{:.0%}", limits.OUTSIDE_SHARE)
    yield _row(
        Measure.OUTSIDE,
        vector.column,
        above and vector.stored,
        source="meta/stats.json" if vector.stored else "the rows",
        above=above,
        changing=vector.constant.count(False),
        count=len(vector.labels),
        **_largest(outside),
    )
    above = _words(stretch, "{:.1f} times", limits.STRETCH)
    above = [text.replace("inf times", "without bound") for text in above]
    yield _row(Measure.STRETCHED, vector.column, above, above=above, **_largest(stretch))
    is_past = vector.jumps > limits.JUMP_ROWS * vector.steps
    yield _row(Measure.JUMPS, vector.column, is_past, it=vector, **_largest(steps))


def _motion(motion: figures.Motion) -> Iterator[_Row]:
    stuck = [f"{label} in {episode_names(indices)}" for label, indices in motion.stuck.items()]
    yield _row(Measure.STUCK, "", stuck, stuck=stuck or "none")
    for limit in motion.limits:
        above = [
            f"{label} in {episode_names(episodes)}"
            for label, episodes in zip(limit.labels, limit.episodes, strict=True)
            if episodes and not is_meant(label)
        ]
        if limit.labels:
            largest = _largest(list(zip(limit.labels, limit.shares, strict=True)))
            yield _row(Measure.LIMITS, limit.column, above, above=above, **largest)
    if motion.lags:
        clear = [(key, value) for key, value in motion.lags.items() if value is not None]
        unclear = len(motion.lags) - len(clear)
        lags = _words(clear, "{:.0f} ms") + ([f"{unclear} keys unclear"] if unclear else [])
        late = _words(clear, "{:.0f} ms", limits.LAG_LATE)
        early = _words([(key, -value) for key, value in clear], "{:.0f} ms", 0.0)
        yield _row(Measure.LAG, "", late, early, lags=", ".join(lags), late=late, early=early)
    if motion.jerk:
        outliers = motion.jerk_outliers
        texts = {"outliers": episode_names(outliers), "count": len(outliers)}
        yield _row(Measure.JERK, "", outliers, it=motion, **texts)


def is_meant(label: str) -> bool:
    """Whether a dimension belongs at its limits, as a gripper that is open or closed."""
    return any(name in label.lower() for name in limits.ENDS_MEANT)


def _camera(camera: figures.Camera) -> Iterator[_Row]:
    name = camera.camera
    past = camera.dark_share > limits.EXPOSURE_SHARE, camera.bright_share > limits.EXPOSURE_SHARE
    low, high = min(camera.luminance), max(camera.luminance)
    yield _row(Measure.EXPOSURE, name, *past, it=camera, low=low, high=high)
    yield _row(Measure.FLICKER, name, camera.flicker_share > limits.FLICKER_SHARE, it=camera)
    yield _row(Measure.FROZEN, name, camera.frozen_share > limits.FROZEN_SHARE, it=camera)
    longest = max(camera.freezes, key=lambda item: item.seconds, default=None)
    yield _row(Measure.FREEZES, name, longest, longest=longest, count=len(camera.freezes))
    texts = {"episodes": episode_names(tuple(camera.black)), "count": len(camera.black)}
    yield _row(Measure.BLACK, name, camera.black, **texts)


def _words(pairs: Iterable[tuple[str, float]], pattern: str, above: float = -np.inf) -> list[str]:
    """Names and values, of those above a limit."""
    return [f"{name} {pattern.format(value)}" for name, value in pairs if value > above]


def _largest(pairs: list[tuple[str, float]]) -> dict[str, Any]:
    most, label = max((value, label) for label, value in pairs)
    return {"most": most, "label": label}
