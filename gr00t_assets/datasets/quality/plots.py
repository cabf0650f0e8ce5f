"""A dataset's quality as one picture of ten panels."""

import io
import textwrap
from itertools import chain, cycle
from typing import TYPE_CHECKING, Literal

import numpy as np

from gr00t_assets.core.text import figure_png
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Measure, Quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 250_000  # bytes that the picture may have, so that it can be put inside Markdown metadata

_BLUE, _ORANGE, _GREEN, _RED = "#2f6db3", "#e08a1e", "#3f8f5f", "#c23b3b"
_CAMERAS = (_BLUE, _ORANGE, _GREEN, "#8a5ba6", "#4c9aa8", "#8c6d46")
_INK, _FAINT, _GRID = "#282c34", "#8a9099", "#e3e6ea"
_BARS, _TEXTS = 60, 6


def quality_png(quality: Quality) -> bytes:
    """Scores, lengths, rows at rest, jerk, ranges, limits, steps, lag, brightness and instructions,
    1000 px wide.

    A panel's title says what was found, in red where a threshold is passed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 16), dpi=100, layout="constrained", facecolor="white")
    warned = {warning.measure for warning in quality.warnings}
    for axes, (name, draw, measures) in zip(figure.subplots(5, 2).flat, _PANELS, strict=True):
        axes.grid(True, axis="y", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_FAINT)
        axes.tick_params(labelsize=9, color=_FAINT, labelcolor=_INK)
        axes.set_title(f"{name}\n", loc="left", fontsize=11, fontweight="bold", color=_INK)
        quantity = draw(axes, quality)
        color = _RED if warned.intersection(measures) else _FAINT
        axes.text(0, 1.02, quantity, transform=axes.transAxes, fontsize=9, color=color)
    return _small(figure_png(figure))


def _scores(axes: "Axes", quality: Quality) -> str:
    if not quality.scores:
        return _nothing(axes, "none")
    values = np.array([item.score for item in quality.scores])
    axes.hist(values, bins=np.arange(0, 105, 5).tolist(), color=_GREEN)
    axes.set_xlim(0, 100)
    _labels(axes, "score of 100", "episodes", whole="y")
    lowest = min(quality.scores, key=lambda item: item.score)
    return f"mean {values.mean():.0f}, lowest {lowest.score} of episode {lowest.episode}"


def _lengths(axes: "Axes", quality: Quality) -> str:
    lengths = quality.lengths
    seconds, median = np.array(lengths.rows) / quality.fps, lengths.median / quality.fps
    if len(seconds) <= _BARS:
        axes.bar(np.arange(len(seconds)), seconds, color=_BLUE, width=0.7)
        axes.axhline(median, color=_INK, linewidth=1)
        _labels(axes, "episode", "seconds", whole="x")
    else:
        axes.hist(seconds, bins=40, color=_BLUE)
        axes.axvline(median, color=_INK, linewidth=1)
        _labels(axes, "seconds", "episodes")
    return f"{len(lengths.rows)} episodes, median {median:.1f} s (black line)"


def _idle(axes: "Axes", quality: Quality) -> str:
    idle = quality.idle
    if idle is None:
        return _nothing(axes, "no joint moves")
    start, end = np.array(idle.start) / quality.fps, np.array(idle.end) / quality.fps
    if len(start) <= _BARS:
        place = np.arange(len(start))
        axes.bar(place - 0.2, start, 0.4, color=_BLUE, label="at the start")
        axes.bar(place + 0.2, end, 0.4, color=_ORANGE, label="at the end")
        _labels(axes, "episode", "seconds at rest", whole="x")
    else:
        most = max(*idle.start, *idle.end, 1)
        edges = ((np.arange(0, most + 2, -(-most // 30)) - 0.5) / quality.fps).tolist()
        labels = ["at the start", "at the end"]
        axes.hist([start, end], edges, color=[_BLUE, _ORANGE], label=labels)
        _labels(axes, "seconds at rest", "episodes")
    axes.set_ylim(bottom=0)
    if not (start.any() or end.any()):
        axes.set_ylim(0, 1)
        _note(axes, "none")
    _legend(axes)
    return f"{idle.start_share:.1%} of rows at the start, {idle.end_share:.1%} at the end"


def _jerk(axes: "Axes", quality: Quality) -> str:
    motion = quality.motion
    if not motion.jerk:
        return _nothing(axes, "no joint moves")
    axes.plot(motion.jerk, ".", color=_BLUE, ms=5)
    axes.axhline(motion.jerk_median, color=_INK, linewidth=1)
    axes.set_ylim(bottom=0)
    _labels(axes, "episode", "ranges per s cubed", whole="x")
    return f"median {motion.jerk_median:.3g} (black line), {len(motion.jerk_outliers)} outliers"


def _ranges(axes: "Axes", quality: Quality) -> str:
    """Least and largest value with q01 at 0 and q99 at 1; what is further away is cut off."""
    reach = limits.STRETCH
    for number, vector in enumerate(quality.vectors[:2]):
        color, shift = (_BLUE, _ORANGE)[number], (number - 0.5) * 0.36
        q01, width = np.array(vector.q01), np.array(vector.q99) - np.array(vector.q01)
        shown = np.flatnonzero(~np.array(vector.constant, dtype=bool) & (width > 0))
        place = shown + shift
        low, high = (
            (np.array(bound) - q01)[shown] / width[shown]
            for bound in (vector.minimum, vector.maximum)
        )
        bottom, top = np.clip(low, -reach, 1 + reach), np.clip(high, -reach, 1 + reach)
        axes.bar(place, 1, 0.3, color=color, alpha=0.45, linewidth=0)
        axes.vlines(place, bottom, top, color=color, linewidth=1.4, label=_short(vector.column))
        for values, edge, marker in ((low, -reach, "v"), (high, 1 + reach, "^")):
            over = np.abs(values - 0.5) > reach + 0.5
            axes.plot(place[over], np.full(over.sum(), edge), marker, color=_RED, ms=6)
    axes.set_yticks([0, 1], ["q01", "q99"])
    axes.margins(y=0.12)
    _labels(axes, "dimension", "")
    _legend(axes)
    stretch = max(chain.from_iterable(item.stretch for item in quality.vectors), default=1)
    return f"the largest is {stretch:.1f} times q01 to q99"


def _limits(axes: "Axes", quality: Quality) -> str:
    shares = {item.column: item.shares for item in quality.motion.limits}
    _by_dimension(axes, shares, limits.LIMIT_SHARE, "% of rows in motion")
    return f"at most {max(chain.from_iterable(shares.values()), default=0):.1%} of rows"


def _steps(axes: "Axes", quality: Quality) -> str:
    largest = {vector.column: vector.largest_step for vector in quality.vectors}
    _by_dimension(axes, largest, limits.JUMP, "% of its range")
    jumps = sum(vector.jumps for vector in quality.vectors)
    steps = sum(vector.steps for vector in quality.vectors)
    return f"{jumps} of {steps} steps between rows are jumps (red line)"


def _by_dimension(axes: "Axes", shares: dict[str, tuple[float, ...]], most: float, up: str) -> None:
    """Bars of state and action side by side, with a line at the limit."""
    for number, (column, share) in enumerate(list(shares.items())[:2]):
        values, color = np.array(share), (_BLUE, _ORANGE)[number]
        place = np.flatnonzero(values) + (number - 0.5) * 0.4
        axes.bar(place, 100 * values[values != 0], 0.4, color=color, label=_short(column))
    axes.set_xlim(-1, max(map(len, shares.values()), default=1))
    axes.axhline(100 * most, color=_RED, linewidth=1, linestyle="--")
    axes.set_ylim(0, max(100 * most * 1.25, axes.get_ylim()[1]))
    _labels(axes, "dimension", up)
    _legend(axes)


def _lags(axes: "Axes", quality: Quality) -> str:
    lags = {key: value for key, value in quality.motion.lags.items() if value is not None}
    if not lags:
        return _nothing(axes, "no state clearly follows its action")
    axes.barh(list(lags), list(lags.values()), color=_BLUE, height=0.5)
    axes.invert_yaxis()
    axes.axvline(0, color=_INK, linewidth=1)
    _labels(axes, "ms", "")
    return f"action to state, {min(lags.values()):.0f} to {max(lags.values()):.0f} ms"


def _brightness(axes: "Axes", quality: Quality) -> str:
    if not quality.cameras:
        return _nothing(axes, "no frame cache")
    for camera, color in zip(quality.cameras, cycle(_CAMERAS), strict=False):
        label = _short(camera.camera)
        axes.plot(camera.episode, camera.luminance, ".-", color=color, lw=0.8, ms=4, label=label)
    axes.set_ylim(0, 255)
    axes.axhspan(0, limits.DARK, color=_RED, alpha=0.08, linewidth=0)
    axes.axhspan(limits.BRIGHT, 255, color=_RED, alpha=0.08, linewidth=0)
    _labels(axes, "episode", "mean grey level", whole="x")
    _legend(axes)
    frozen = max(camera.frozen_share for camera in quality.cameras)
    flicker = max(camera.flicker_share for camera in quality.cameras)
    return f"{flicker:.0%} flicker, {frozen:.0%} frozen while the robot moves"


def _instructions(axes: "Axes", quality: Quality) -> str:
    language = quality.language
    if language is None:
        return _nothing(axes, "none")
    shown = list(language.shares.items())[:_TEXTS]
    place = np.arange(len(shown))[::-1]
    axes.barh(place, [100 * share for _, share in shown], color=_GREEN, height=0.26)
    for height, (text, share) in zip(place, shown, strict=True):
        short = textwrap.shorten(text, 72, placeholder="...") or "(empty)"
        axes.text(0, height + 0.22, short, fontsize=8.5, color=_INK, va="bottom", parse_math=False)
        axes.text(100 * share + 1, height, f"{share:.0%}", fontsize=8.5, color=_FAINT, va="center")
    axes.set_ylim(-0.5, max(len(shown) - 0.2, 2.8))
    axes.set_xlim(0, 108)
    axes.set_yticks([])
    axes.grid(False)
    _labels(axes, "% of rows", "")
    more = f", {_TEXTS} shown" if language.distinct > _TEXTS else ""
    return f"{language.distinct} distinct{more}"


_PANELS = (
    ("Score", _scores, {Measure.REPEATS, Measure.STUCK}),
    ("Episode length", _lengths, {Measure.LENGTHS}),
    ("Rows at rest", _idle, {Measure.IDLE_START, Measure.IDLE_END}),
    ("Jerk", _jerk, {Measure.JERK}),
    ("Range of values", _ranges, {Measure.OUTSIDE, Measure.STRETCHED}),
    ("At the limit", _limits, {Measure.LIMITS}),
    ("Largest step", _steps, {Measure.JUMPS}),
    ("Lag", _lags, {Measure.LAG}),
    (
        "Brightness",
        _brightness,
        {Measure.EXPOSURE, Measure.FLICKER, Measure.FROZEN, Measure.FREEZES, Measure.BLACK},
    ),
    ("Instructions", _instructions, {Measure.LANGUAGE}),
)


def _note(axes: "Axes", text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=_FAINT)


def _nothing(axes: "Axes", text: str) -> str:
    """A panel without axes that says what there is not."""
    _note(axes, text)
    axes.set_axis_off()
    return ""


def _short(column: str) -> str:
    return column.rsplit(".", 1)[-1]


def _labels(axes: "Axes", across: str, up: str, whole: Literal["x", "y"] | None = None) -> None:
    """Name both axes; ``whole`` is the one whose ticks are whole numbers."""
    axes.set_xlabel(across, fontsize=9, color=_INK)
    axes.set_ylabel(up, fontsize=9, color=_INK)
    if whole:
        axes.locator_params(whole, integer=True)


def _legend(axes: "Axes") -> None:
    axes.legend(fontsize=8.5, frameon=False, loc="lower right", bbox_to_anchor=(1, 1.06), ncols=3)


def _small(png: bytes) -> bytes:
    """The picture with as many colours as it may have."""
    from PIL import Image

    picture, output = Image.open(io.BytesIO(png)).convert("RGB"), io.BytesIO()
    for colours in (256, 64, 16):
        output = io.BytesIO()
        small = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(output, "PNG", optimize=True)
        if output.tell() <= LIMIT:
            break
    return output.getvalue()
