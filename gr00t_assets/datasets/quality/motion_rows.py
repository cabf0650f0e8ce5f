"""Rows of the quality table about how the joints move, and about episodes that repeat others."""

from collections.abc import Iterator

from gr00t_assets.datasets.quality import table_row as names
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import AtLimit, Motion, Quality
from gr00t_assets.datasets.quality.scores import is_meant
from gr00t_assets.datasets.quality.table_row import Measure, measure, named, named_episodes


def motion_measures(quality: Quality) -> Iterator[Measure]:
    """What is stuck, at its limit, late, shaken or there twice."""
    motion = quality.motion
    yield _stuck(motion)
    yield from (_limit(limit) for limit in motion.limits if limit.labels)
    if motion.lags:
        yield _lags(motion.lags)
    if motion.jerk:
        yield _jerk(motion)
    yield _repeats(quality)


def _stuck(motion: Motion) -> Measure:
    stuck = [f"{label} in {named_episodes(indices)}" for label, indices in motion.stuck.items()]
    warning = (
        f"{named(stuck)} stays where it is although it is told to move; look for a motor that is "
        "off, or a joint that was not read"
    )
    return measure(names.STUCK, "", named(stuck) or "none", (stuck, warning))


def _limit(limit: AtLimit) -> Measure:
    above = [
        f"{label} in {named_episodes(episodes)}"
        for label, episodes in zip(limit.labels, limit.episodes, strict=True)
        if episodes and not is_meant(label)
    ]
    share, label = max(zip(limit.shares, limit.labels, strict=True))
    warning = (
        f"{named(above)} is at its least or largest value in more than {limits.LIMIT_SHARE:.0%} of "
        "the rows in motion; the limit may cut off what was meant: look at calibration and clipping"
    )
    figure = f"at most {share:.1%} of rows in motion in {label}"
    return measure(names.LIMITS, limit.column, figure, (above, warning))


def _lags(lags: dict[str, float | None]) -> Measure:
    clear = {key: value for key, value in lags.items() if value is not None}
    late = [f"{key} {value:.0f} ms" for key, value in clear.items() if value > limits.LAG_LATE]
    early = [f"{key} {-value:.0f} ms" for key, value in clear.items() if value < 0]
    figures = [f"{key} {value:.0f} ms" for key, value in clear.items()]
    unclear = len(lags) - len(clear)
    figures += [f"{unclear} keys unclear"] if unclear else []
    return measure(
        names.LAG,
        "",
        ", ".join(figures),
        (late, f"the state follows the action late: {named(late)}; look at the controller's delay"),
        (
            early,
            f"the state is ahead of the action: {named(early)}; the policy learns what has been "
            "done already: look at how the rows were put together",
        ),
    )


def _jerk(motion: Motion) -> Measure:
    outliers = motion.jerk_outliers
    figure = f"median {motion.jerk_median:.3g} ranges/s3, {len(outliers)} outliers"
    warning = f"{named_episodes(outliers)} with far more jerk than others; look for shaking"
    return measure(names.JERK, "", figure, (outliers, warning))


def _repeats(quality: Quality) -> Measure:
    repeats = [
        f"{item.episode} {'nearly ' if item.distance else ''}repeats {item.original}"
        for item in quality.repeats
    ]
    figure = f"{len(repeats)} of {len(quality.lengths.rows)} episodes"
    warning = f"episode {named(repeats)}; what is there twice weighs twice, and leaks where one of "
    warning += "the two is held out"
    return measure(names.REPEATS, "", figure, (repeats, warning))
