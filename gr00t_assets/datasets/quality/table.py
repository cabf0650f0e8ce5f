"""The measures of a dataset's quality: each with its figure, and a warning past its threshold."""

from collections.abc import Iterator, Sequence

import numpy as np

from gr00t_assets.datasets.quality import table_row as names
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import (
    Camera,
    Idle,
    Language,
    Quality,
    QualityWarning,
    Vector,
)
from gr00t_assets.datasets.quality.motion_rows import motion_measures
from gr00t_assets.datasets.quality.table_row import Measure, measure, named, named_episodes

COLUMNS = ("measure", "found", "warning")
"""Headings of ``quality_table``."""

SCORE_COLUMNS = ("episode", "score", "why")
"""Headings of ``score_table``."""


def quality_table(quality: Quality) -> list[list[str]]:
    """Rows of measure, figure, and warning; the last is empty where no threshold is passed."""
    return [
        [
            row.name,
            f"{row.subject}: {row.figure}" if row.subject else row.figure,
            "; ".join(row.warnings),
        ]
        for row in _measures(quality)
    ]


def score_table(quality: Quality, most: int = 50) -> list[list[str]]:
    """Rows of episode, score and reasons, the lowest first; those without a fault are left out."""
    scores = sorted(quality.scores, key=lambda item: item.score)
    return [
        [str(item.episode), str(item.score), "; ".join(item.reasons)]
        for item in scores[:most]
        if item.reasons
    ]


def find_warnings(quality: Quality) -> Iterator[QualityWarning]:
    """A warning for each threshold that is passed."""
    for row in _measures(quality):
        for message in row.warnings:
            yield QualityWarning(measure=row.name, subject=row.subject, message=message)


def _measures(quality: Quality) -> Iterator[Measure]:
    yield _lengths(quality)
    if quality.idle is not None:
        yield from _idle(quality.idle, quality.fps)
    yield from _copies(quality)
    for vector in quality.vectors:
        if vector.labels:
            yield from _vector(vector)
    yield from motion_measures(quality)
    if quality.language is not None:
        yield _language(quality.language)
    for camera in quality.cameras:
        yield from _camera(camera)
    if quality.scores:
        yield _scores(quality)


def _lengths(quality: Quality) -> Measure:
    lengths, count = quality.lengths, len(quality.lengths.outliers)
    figure = f"{lengths.shortest} to {lengths.longest} rows, median {lengths.median:g} "
    figure += f"({lengths.median / quality.fps:.1f} s), {count} outliers"
    warning = (
        f"{count} {'episode is' if count == 1 else 'episodes are'} more than "
        f"{limits.LENGTH_FACTOR:g} times shorter or longer than the median of "
        f"{lengths.median:g} rows: {named(lengths.outliers)}; look whether the recording was "
        "broken off or forgotten"
    )
    return measure(names.LENGTHS, "", figure, (count, warning))


def _idle(idle: Idle, fps: float) -> Iterator[Measure]:
    for name, rows, share, where in (
        (names.IDLE_START, idle.start, idle.start_share, "before the first move"),
        (names.IDLE_END, idle.end, idle.end_share, "after the last move"),
    ):
        mean = float(np.mean(rows))
        figure = f"{share:.1%} of rows, {mean:.1f} an episode, {max(rows)} at most"
        warning = (
            f"{share:.0%} of all rows are at rest {where}, {mean / fps:.1f} s an episode; the "
            "policy learns to wait; cut them off"
        )
        yield measure(name, "", figure, (share > limits.IDLE_SHARE, warning))


def _copies(quality: Quality) -> Iterator[Measure]:
    figures = [
        f"{copy.key} {copy.share:.0%} ({copy.moving_share or 0:.0%} of moving rows)"
        for copy in quality.copies
        if copy.share is not None
    ]
    above = [
        f"{copy.key} {copy.moving_share:.0%}"
        for copy in quality.copies
        if copy.moving_share is not None and copy.moving_share > limits.COPY_SHARE
    ]
    warning = (
        f"{named(above)} of the rows in which it moves have the present state as their "
        "action; the policy learns to stay where it is; record commands, or the next state"
    )
    if figures:
        yield measure(names.COPIES, "", ", ".join(figures), (above, warning))


def _vector(vector: Vector) -> Iterator[Measure]:
    source = "meta/stats.json" if vector.stored else "the rows"
    outside = _above(vector, vector.outside, limits.OUTSIDE_SHARE)
    figure = f"{_largest(vector, vector.outside, '{:.1%} of rows')}, of {source}; "
    figure += f"{vector.constant.count(False)} of {len(vector.labels)} dimensions change"
    warning = (
        f"{named([f'{name} {share:.0%}' for name, share in outside])} of the rows are outside "
        f"q01 to q99 of {source}, where 2% are expected; the statistics may be of other data: "
        "compute them again"
    )
    yield measure(names.OUTSIDE, vector.column, figure, (outside and vector.stored, warning))
    factors = [
        f"{name} {f'{factor:.1f} times' if np.isfinite(factor) else 'without bound'}"
        for name, factor in _above(vector, vector.stretch, limits.STRETCH)
    ]
    figure = _largest(vector, vector.stretch, "{:.1f} times")
    warning = (
        f"the range is many times that of q01 to q99: {named(factors)}; a few values take "
        "most of the scale of min-max normalisation; look for spikes"
    )
    yield measure(names.STRETCHED, vector.column, figure, (factors, warning))
    figure = f"{vector.jumps} of {vector.steps} steps over {limits.JUMP:.0%} of the range, "
    figure += _largest(vector, vector.largest_step, "{:.0%}")
    warning = (
        f"{vector.jumps} of {vector.steps} steps move by more than {limits.JUMP:.0%} of the "
        f"range, the first at {vector.first_jump}; look for dropped frames, wrapped angles and "
        "joined recordings"
    )
    is_past = vector.jumps > limits.JUMP_ROWS * vector.steps
    yield measure(names.JUMPS, vector.column, figure, (is_past, warning))


def _scores(quality: Quality) -> Measure:
    values = [item.score for item in quality.scores]
    lowest = min(quality.scores, key=lambda item: item.score)
    figure = f"mean {np.mean(values):.0f} of 100, lowest {lowest.score} of episode {lowest.episode}"
    return measure(names.SCORES, "", figure)


def _language(language: Language) -> Measure:
    commonest, share = next(iter(language.shares.items()), ("", 0.0))
    texts = named([f'"{text}"' for text in language.placeholders])
    figure = f"{language.distinct} distinct in {language.column}, the commonest {share:.0%}, "
    figure += f"without one {language.empty_share:.0%}"
    empty = (
        f"{language.empty_share:.0%} of the rows have no instruction in {language.column}, but "
        f"{texts}; write what is done into meta/tasks.jsonl"
    )
    common = f"{share:.0%} of the rows have one of {language.distinct} instructions, "
    common += f'"{commonest}"; the others will hardly be learnt'
    is_common = language.distinct > 1 and share > limits.COMMONEST_SHARE
    return measure(
        names.LANGUAGE, "", figure, (language.empty_share > 0, empty), (is_common, common)
    )


def _camera(camera: Camera) -> Iterator[Measure]:
    name = camera.camera
    exposures = [
        (
            share > limits.EXPOSURE_SHARE,
            f"{share:.0%} of the frames are {how} {limit:g} of 255 on average, all of them "
            f"{camera.mean:.0f}; look at light and exposure",
        )
        for share, limit, how in (
            (camera.dark_share, limits.DARK, "darker than"),
            (camera.bright_share, limits.BRIGHT, "brighter than"),
        )
    ]
    low, high = min(camera.luminance), max(camera.luminance)
    figure = f"mean {camera.mean:.0f} of 255, {low:.0f} to {high:.0f}"
    yield measure(names.EXPOSURE, name, figure, *exposures)
    warning = (
        f"the brightness jumps by more than {limits.FLICKER:g} of 255 between successive "
        f"frames in {camera.flicker_share:.0%} of {camera.frames}; look at lamps and automatic "
        "exposure"
    )
    figure = f"{camera.flicker_share:.1%} of {camera.frames} frames"
    yield measure(
        names.FLICKER, name, figure, (camera.flicker_share > limits.FLICKER_SHARE, warning)
    )
    warning = (
        f"{camera.frozen_share:.0%} of the successive frames are identical while a "
        "joint moves; the camera stood still or is slower than the rows"
    )
    figure = f"{camera.frozen_share:.1%} of pairs in motion identical, "
    figure += f"{camera.identical_share:.1%} of all"
    yield measure(names.FROZEN, name, figure, (camera.frozen_share > limits.FROZEN_SHARE, warning))
    longest = max(camera.freezes, key=lambda item: item.seconds, default=None)
    figure = f"{len(camera.freezes)} of {limits.FREEZE_SECONDS} s or more"
    warning = longest and (
        f"the same frame for up to {longest.seconds:.1f} s while the robot moves, the longest in "
        f"episode {longest.episode} from row {longest.row}, {len(camera.freezes)} in all; leave "
        "these episodes out"
    )
    yield measure(names.FREEZES, name, figure, (longest, warning or ""))
    warning = (
        f"frames darker than {limits.BLACK:g} of 255 in {named_episodes(tuple(camera.black))}; "
        "look for a covered lens, or a camera that dropped out"
    )
    figure = f"{len(camera.black)} episodes with some"
    yield measure(names.BLACK, name, figure, (camera.black, warning))


def _above(vector: Vector, values: Sequence[float], limit: float) -> list[tuple[str, float]]:
    """Dimensions above a limit, the largest first."""
    pairs = zip(vector.labels, values, strict=True)
    return sorted((pair for pair in pairs if pair[1] > limit), key=lambda pair: -pair[1])


def _largest(vector: Vector, values: tuple[float, ...], pattern: str) -> str:
    value, label = max(zip(values, vector.labels, strict=True))
    return f"at most {pattern.format(value)} in {label}"
