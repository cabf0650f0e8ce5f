"""A dataset's quality as rows of a table."""

from collections import defaultdict
from collections.abc import Iterator

from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality import warnings as measures
from gr00t_assets.datasets.quality.figures import Camera, Quality, Vector

COLUMNS = ("measure", "found", "warning")
"""Headings of :func:`quality_table`."""


def quality_table(quality: Quality) -> list[list[str]]:
    """Rows of measure, figure, and warning; the last is empty where no threshold is passed."""
    warnings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for warning in quality.warnings:
        warnings[warning.measure, warning.subject].append(warning.message)
    return [
        [
            measure,
            f"{subject}: {found}" if subject else found,
            "; ".join(warnings[measure, subject]),
        ]
        for measure, subject, found in _figures(quality)
    ]


def _figures(quality: Quality) -> Iterator[tuple[str, str, str]]:
    lengths = quality.lengths
    yield (
        measures.LENGTHS,
        "",
        f"{lengths.shortest} to {lengths.longest} rows, median {lengths.median:g} "
        f"({lengths.median / quality.fps:.1f} s), {len(lengths.outliers)} outliers",
    )
    if quality.idle is not None:
        for measure, rows, share in (
            (measures.IDLE_START, quality.idle.start, quality.idle.start_share),
            (measures.IDLE_END, quality.idle.end, quality.idle.end_share),
        ):
            mean = sum(rows) / len(rows)
            yield measure, "", f"{share:.1%} of rows, {mean:.1f} an episode, {max(rows)} at most"
    copied = [
        f"{copy.key} {copy.share:.0%} ({copy.moving_share or 0:.0%} of moving rows)"
        for copy in quality.copies
        if copy.share is not None
    ]
    if copied:
        yield measures.COPIES, "", ", ".join(copied)
    for vector in quality.vectors:
        yield from _vector(vector)
    if quality.language is not None:
        language = quality.language
        commonest = next(iter(language.shares.values()), 0.0)
        yield (
            measures.LANGUAGE,
            "",
            f"{language.distinct} distinct in {language.column}, the commonest {commonest:.0%}, "
            f"without one {language.empty_share:.0%}",
        )
    for camera in quality.cameras:
        yield from _camera(camera)


def _vector(vector: Vector) -> Iterator[tuple[str, str, str]]:
    if not vector.labels:
        return
    moving = vector.constant.count(False)
    yield (
        measures.OUTSIDE,
        vector.column,
        f"{_largest(vector, vector.outside, '{:.1%} of rows')}, "
        f"of {'meta/stats.json' if vector.stored else 'the rows'}; {moving} of "
        f"{len(vector.labels)} dimensions change",
    )
    yield measures.STRETCHED, vector.column, f"{_largest(vector, vector.stretch, '{:.1f} times')}"
    yield (
        measures.JUMPS,
        vector.column,
        f"{vector.jumps} of {vector.steps} steps over {limits.JUMP:.0%} of the "
        f"range, {_largest(vector, vector.largest_step, '{:.0%}')}",
    )


def _camera(camera: Camera) -> Iterator[tuple[str, str, str]]:
    low, high = min(camera.luminance), max(camera.luminance)
    yield (
        measures.EXPOSURE,
        camera.camera,
        f"mean {camera.mean:.0f} of 255, {low:.0f} to {high:.0f}",
    )
    yield measures.FLICKER, camera.camera, f"{camera.flicker_share:.1%} of {camera.pairs} pairs"
    yield (
        measures.FROZEN,
        camera.camera,
        f"{camera.frozen_share:.1%} of pairs in motion identical, "
        f"{camera.identical_share:.1%} of all",
    )


def _largest(vector: Vector, values: tuple[float, ...], shown: str) -> str:
    value, label = max(zip(values, vector.labels, strict=True))
    return f"at most {shown.format(value)} in {label}"
