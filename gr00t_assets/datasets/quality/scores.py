"""A score for each episode, of 100, with what it lost points for."""

from collections.abc import Iterator, Sequence

from gr00t_assets.datasets.quality.figures import EpisodeScore, Quality
from gr00t_assets.datasets.quality.thresholds import ENDS_MEANT, IDLE_SHARE, PENALTIES


def episode_scores(quality: Quality, episodes: Sequence[int]) -> tuple[EpisodeScore, ...]:
    """100 less the points of ``PENALTIES`` for each kind of fault that the episode has.

    Args:
        quality: The figures of the dataset.
        episodes: Indices of its episodes, in its order.
    """
    lost: dict[int, dict[str, tuple[int, str]]] = {index: {} for index in episodes}
    for index, kind, reason, share in _faults(quality, episodes):
        if index in lost:
            points = round(PENALTIES[kind] * share)
            before, text = lost[index].get(kind, (0, ""))
            lost[index][kind] = (max(points, before), f"{text}, {reason}" if text else reason)
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
        for index in indices:
            yield index, "stuck", f"{label} is stuck", 1.0
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
            if not is_meant(label):
                for index in above:
                    yield index, "limit", f"{label} of {limit.column} at its limit", 1.0
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
            if rest > IDLE_SHARE:
                yield index, "rest", f"at rest in {rest:.0%} of its rows", rest


def is_meant(label: str) -> bool:
    """Whether a dimension belongs at its limits, as a gripper that is open or closed."""
    return any(name in label.lower() for name in ENDS_MEANT)
