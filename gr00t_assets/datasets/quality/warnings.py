"""Warnings of a dataset's quality: the figure, and what it does to a policy."""

from collections.abc import Iterator, Sequence

import numpy as np

from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Camera, Language, Quality, QualityWarning, Vector

LENGTHS = "episode lengths"
IDLE_START = "idle start"
IDLE_END = "idle end"
COPIES = "action equal to state"
OUTSIDE = "outside q01 to q99"
STRETCHED = "range and q01 to q99"
JUMPS = "jumps"
LANGUAGE = "instructions"
EXPOSURE = "brightness"
FLICKER = "flicker"
FROZEN = "frozen video"

_NAMED = 5


def find_warnings(quality: Quality) -> Iterator[QualityWarning]:
    """A warning for each threshold that is passed."""
    yield from _lengths(quality)
    yield from _idle(quality)
    yield from _copies(quality)
    for vector in quality.vectors:
        yield from _vector(vector)
    if quality.language is not None:
        yield from _language(quality.language)
    for camera in quality.cameras:
        yield from _camera(camera)


def _lengths(quality: Quality) -> Iterator[QualityWarning]:
    lengths = quality.lengths
    if lengths.outliers:
        yield QualityWarning(
            measure=LENGTHS,
            message=f"{_count(len(lengths.outliers), 'episode')} more than "
            f"{limits.LENGTH_FACTOR:g} times shorter or longer than the median of "
            f"{lengths.median:g} rows: {_named(lengths.outliers)}; look whether the recording "
            "was broken off or forgotten",
        )


def _idle(quality: Quality) -> Iterator[QualityWarning]:
    if quality.idle is None:
        return
    for measure, rows, share, where in (
        (IDLE_START, quality.idle.start, quality.idle.start_share, "before the first move"),
        (IDLE_END, quality.idle.end, quality.idle.end_share, "after the last move"),
    ):
        if share > limits.IDLE_SHARE:
            yield QualityWarning(
                measure=measure,
                message=f"{share:.0%} of all rows are at rest {where}, "
                f"{float(np.mean(rows)) / quality.fps:.1f} s an episode; the policy learns to "
                "wait; cut them off",
            )


def _copies(quality: Quality) -> Iterator[QualityWarning]:
    found = [
        f"{copy.key} {copy.moving_share:.0%}"
        for copy in quality.copies
        if copy.moving_share is not None and copy.moving_share > limits.COPY_SHARE
    ]
    if found:
        yield QualityWarning(
            measure=COPIES,
            message=f"{_named(found)} of the rows in which it moves have the present state as "
            "their action; the policy learns to stay where it is; record commands, or the next "
            "state",
        )


def _vector(vector: Vector) -> Iterator[QualityWarning]:
    outside = _above(vector, vector.outside, limits.OUTSIDE_SHARE)
    if outside:
        source = "meta/stats.json" if vector.stored else "the rows"
        yield QualityWarning(
            measure=OUTSIDE,
            subject=vector.column,
            message=f"{_named([f'{name} {share:.0%}' for name, share in outside])}"
            f" of the rows are outside q01 to q99 of {source}, where 2% are expected; "
            "the statistics may be of other data: compute them again",
        )
    stretched = _above(vector, vector.stretch, limits.STRETCH)
    if stretched:
        shown = [f"{name} {_times(stretch)}" for name, stretch in stretched]
        yield QualityWarning(
            measure=STRETCHED,
            subject=vector.column,
            message=f"the range is many times that of q01 to q99: {_named(shown)}; "
            "a few values take most of the scale of min-max normalisation; look for spikes",
        )
    if vector.jumps > limits.JUMP_ROWS * vector.steps:
        yield QualityWarning(
            measure=JUMPS,
            subject=vector.column,
            message=f"{vector.jumps} of {vector.steps} steps move by more than "
            f"{limits.JUMP:.0%} of the range, the first at {vector.first_jump}; look for dropped "
            "frames, wrapped angles and joined recordings",
        )


def _language(language: Language) -> Iterator[QualityWarning]:
    if language.empty_share:
        texts = _named([f'"{text}"' for text in language.placeholders])
        yield QualityWarning(
            measure=LANGUAGE,
            message=f"{language.empty_share:.0%} of the rows have no instruction in "
            f"{language.column}, but {texts}; write what is done into meta/tasks.jsonl",
        )
    commonest, share = next(iter(language.shares.items()), ("", 0.0))
    if language.distinct > 1 and share > limits.COMMONEST_SHARE:
        yield QualityWarning(
            measure=LANGUAGE,
            message=f"{share:.0%} of the rows have one of {language.distinct} instructions, "
            f'"{commonest}"; the others will hardly be learnt',
        )


def _camera(camera: Camera) -> Iterator[QualityWarning]:
    for share, limit, how in (
        (camera.dark_share, limits.DARK, "darker than"),
        (camera.bright_share, limits.BRIGHT, "brighter than"),
    ):
        if share > limits.EXPOSURE_SHARE:
            yield QualityWarning(
                measure=EXPOSURE,
                subject=camera.camera,
                message=f"{share:.0%} of the sampled frames are {how} {limit:g} "
                f"of 255 on average, all of them {camera.mean:.0f}; look at light and exposure",
            )
    if camera.flicker_share > limits.FLICKER_SHARE:
        yield QualityWarning(
            measure=FLICKER,
            subject=camera.camera,
            message=f"the brightness jumps by more than {limits.FLICKER:g} of 255 "
            f"between successive frames in {camera.flicker_share:.0%} of {camera.pairs} sampled "
            "pairs; look at lamps and automatic exposure",
        )
    if camera.frozen_share > limits.FROZEN_SHARE:
        yield QualityWarning(
            measure=FROZEN,
            subject=camera.camera,
            message=f"{camera.frozen_share:.0%} of the sampled successive frames "
            "are identical while a joint moves; the camera stood still or is slower than the rows",
        )


def _above(vector: Vector, values: Sequence[float], limit: float) -> list[tuple[str, float]]:
    """Dimensions above a limit, the largest first."""
    pairs = zip(vector.labels, values, strict=True)
    return sorted((pair for pair in pairs if pair[1] > limit), key=lambda pair: -pair[1])


def _named(items: Sequence[object]) -> str:
    shown = ", ".join(str(item) for item in items[:_NAMED])
    rest = len(items) - _NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _count(number: int, noun: str) -> str:
    return f"{number} {noun} is" if number == 1 else f"{number} {noun}s are"


def _times(factor: float) -> str:
    return f"{factor:.1f} times" if np.isfinite(factor) else "without bound"
