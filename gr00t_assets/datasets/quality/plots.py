"""A dataset's quality as one picture of ten panels."""

import io
import textwrap
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.datasets.quality import table_row as measures
from gr00t_assets.datasets.quality import thresholds as limits
from gr00t_assets.datasets.quality.figures import Quality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 250_000
"""Bytes that the picture may have, so that it can be put inside Markdown metadata."""

_BLUE, _ORANGE, _GREEN, _RED = "#2f6db3", "#e08a1e", "#3f8f5f", "#c23b3b"
_CAMERAS = (_BLUE, _ORANGE, _GREEN, "#8a5ba6", "#4c9aa8", "#8c6d46")
_INK, _FAINT, _GRID = "#282c34", "#8a9099", "#e3e6ea"
_LINE = {"color": _RED, "linewidth": 1, "linestyle": "--"}
_BARS = 60
_TEXTS = 6


def quality_png(quality: Quality) -> bytes:
    """Scores, lengths, rows at rest, jerk, ranges, limits, steps, lag, brightness and instructions,
    1000 px wide.

    A panel's title says what was found, in red where a threshold is passed.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 16), dpi=100, layout="constrained", facecolor="white")
    panels = figure.subplots(5, 2).ravel()
    drawings = (
        *(_scores, _lengths, _idle, _jerk, _ranges),
        *(_limits, _steps, _lags, _brightness, _instructions),
    )
    for axes, draw in zip(panels, drawings, strict=True):
        axes.grid(True, axis="y", color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_FAINT)
        axes.tick_params(labelsize=9, color=_FAINT, labelcolor=_INK)
        draw(axes, quality)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return _small(buffer)


def _lengths(axes: "Axes", quality: Quality) -> None:
    lengths = quality.lengths
    seconds = np.array(lengths.rows) / quality.fps
    if len(seconds) <= _BARS:
        axes.bar(np.arange(len(seconds)), seconds, color=_BLUE, width=0.7)
        axes.axhline(lengths.median / quality.fps, color=_INK, linewidth=1)
        _whole(axes)
        _labels(axes, "episode", "seconds")
    else:
        axes.hist(seconds, bins=40, color=_BLUE)
        axes.axvline(lengths.median / quality.fps, color=_INK, linewidth=1)
        _labels(axes, "seconds", "episodes")
    text = f"{len(lengths.rows)} episodes, median {lengths.median / quality.fps:.1f} s (black line)"
    _title(axes, quality, "Episode length", text, measures.LENGTHS)


def _idle(axes: "Axes", quality: Quality) -> None:
    idle = quality.idle
    if idle is None:
        _nothing(axes, "Rows at rest", "no joint moves")
        return
    start, end = np.array(idle.start) / quality.fps, np.array(idle.end) / quality.fps
    if len(start) <= _BARS:
        place = np.arange(len(start))
        axes.bar(place - 0.2, start, 0.4, color=_BLUE, label="at the start")
        axes.bar(place + 0.2, end, 0.4, color=_ORANGE, label="at the end")
        _whole(axes)
        _labels(axes, "episode", "seconds at rest")
    else:
        most = max(*idle.start, *idle.end, 1)
        edges = np.arange(0, most + 2, -(-most // 30)) - 0.5
        axes.hist([start, end], bins=(edges / quality.fps).tolist(), color=[_BLUE, _ORANGE])
        axes.plot([], [], color=_BLUE, linewidth=6, label="at the start")
        axes.plot([], [], color=_ORANGE, linewidth=6, label="at the end")
        _labels(axes, "seconds at rest", "episodes")
    axes.set_ylim(bottom=0)
    if not (start.any() or end.any()):
        axes.set_ylim(0, 1)
        _note(axes, "none")
    _legend(axes)
    text = f"{idle.start_share:.1%} of rows at the start, {idle.end_share:.1%} at the end"
    _title(axes, quality, "Rows at rest", text, measures.IDLE_START, measures.IDLE_END)


def _scores(axes: "Axes", quality: Quality) -> None:
    values = np.array([item.score for item in quality.scores])
    if not len(values):
        _nothing(axes, "Score", "none")
        return
    axes.hist(values, bins=np.arange(0, 105, 5).tolist(), color=_GREEN)
    axes.set_xlim(0, 100)
    _whole(axes, "y")
    _labels(axes, "score of 100", "episodes")
    lowest = min(quality.scores, key=lambda item: item.score)
    text = f"mean {values.mean():.0f}, lowest {lowest.score} of episode {lowest.episode}"
    _title(axes, quality, "Score", text, measures.REPEATS, measures.STUCK)


def _jerk(axes: "Axes", quality: Quality) -> None:
    motion = quality.motion
    if not motion.jerk:
        _nothing(axes, "Jerk", "no joint moves")
        return
    axes.plot(motion.jerk, ".", color=_BLUE, ms=5)
    axes.axhline(motion.jerk_median, color=_INK, linewidth=1)
    axes.set_ylim(bottom=0)
    _whole(axes)
    _labels(axes, "episode", "ranges per s cubed")
    text = f"median {motion.jerk_median:.3g} (black line), {len(motion.jerk_outliers)} outliers"
    _title(axes, quality, "Jerk", text, measures.JERK)


def _limits(axes: "Axes", quality: Quality) -> None:
    shares = {item.column: np.array(item.shares) for item in quality.motion.limits}
    _by_dimension(axes, shares, limits.LIMIT_SHARE, "% of rows in motion")
    most = max((max(item.shares, default=0) for item in quality.motion.limits), default=0)
    _title(axes, quality, "At the limit", f"at most {most:.1%} of rows", measures.LIMITS)


def _lags(axes: "Axes", quality: Quality) -> None:
    lags = {key: value for key, value in quality.motion.lags.items() if value is not None}
    if not lags:
        _nothing(axes, "Lag", "no state clearly follows its action")
        return
    axes.barh(list(lags), list(lags.values()), color=_BLUE, height=0.5)
    axes.invert_yaxis()
    axes.axvline(0, color=_INK, linewidth=1)
    _labels(axes, "ms", "")
    text = f"action to state, {min(lags.values()):.0f} to {max(lags.values()):.0f} ms"
    _title(axes, quality, "Lag", text, measures.LAG)


def _ranges(axes: "Axes", quality: Quality) -> None:
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
    stretch = max((max(v.stretch, default=1) for v in quality.vectors), default=1)
    text = f"the largest is {stretch:.1f} times q01 to q99"
    _title(axes, quality, "Range of values", text, measures.OUTSIDE, measures.STRETCHED)


def _steps(axes: "Axes", quality: Quality) -> None:
    largest = {vector.column: np.array(vector.largest_step) for vector in quality.vectors}
    _by_dimension(axes, largest, limits.JUMP, "% of its range")
    jumps = sum(vector.jumps for vector in quality.vectors)
    steps = sum(vector.steps for vector in quality.vectors)
    text = f"{jumps} of {steps} steps between rows are jumps (red line)"
    _title(axes, quality, "Largest step", text, measures.JUMPS)


def _brightness(axes: "Axes", quality: Quality) -> None:
    if not quality.cameras:
        _nothing(axes, "Brightness", "no frame cache")
        return
    for number, camera in enumerate(quality.cameras):
        color = _CAMERAS[number % len(_CAMERAS)]
        label = _short(camera.camera)
        axes.plot(camera.episode, camera.luminance, ".-", color=color, lw=0.8, ms=4, label=label)
    axes.set_ylim(0, 255)
    axes.axhspan(0, limits.DARK, color=_RED, alpha=0.08, linewidth=0)
    axes.axhspan(limits.BRIGHT, 255, color=_RED, alpha=0.08, linewidth=0)
    _labels(axes, "episode", "mean grey level")
    _whole(axes)
    _legend(axes)
    frozen = max(camera.frozen_share for camera in quality.cameras)
    flicker = max(camera.flicker_share for camera in quality.cameras)
    text = f"{flicker:.0%} flicker, {frozen:.0%} frozen while the robot moves"
    names = (
        *(measures.EXPOSURE, measures.FLICKER, measures.FROZEN),
        *(measures.FREEZES, measures.BLACK),
    )
    _title(axes, quality, "Brightness", text, *names)


def _instructions(axes: "Axes", quality: Quality) -> None:
    language = quality.language
    if language is None:
        _nothing(axes, "Instructions", "none")
        return
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
    text = f"{language.distinct} distinct"
    text += f", {_TEXTS} shown" if language.distinct > _TEXTS else ""
    _title(axes, quality, "Instructions", text, measures.LANGUAGE)


def _by_dimension(axes: "Axes", shares: dict[str, np.ndarray], limit: float, up: str) -> None:
    """Bars of state and action side by side, with a line at the limit."""
    for number, (column, values) in enumerate(list(shares.items())[:2]):
        place = np.flatnonzero(values)
        color, label = (_BLUE, _ORANGE)[number], _short(column)
        axes.bar(place + (number - 0.5) * 0.4, 100 * values[place], 0.4, color=color, label=label)
    axes.set_xlim(-1, max(map(len, shares.values()), default=1))
    axes.axhline(100 * limit, **_LINE)
    axes.set_ylim(0, max(100 * limit * 1.25, axes.get_ylim()[1]))
    _labels(axes, "dimension", up)
    _legend(axes)


def _title(axes: "Axes", quality: Quality, name: str, text: str, *names: str) -> None:
    warned = any(warning.measure in names for warning in quality.warnings)
    axes.set_title(f"{name}\n", loc="left", fontsize=11, fontweight="bold", color=_INK)
    axes.text(0, 1.02, text, transform=axes.transAxes, fontsize=9, color=_RED if warned else _FAINT)


def _nothing(axes: "Axes", name: str, text: str) -> None:
    axes.set_title(f"{name}\n", loc="left", fontsize=11, fontweight="bold", color=_INK)
    _note(axes, text)
    axes.set_axis_off()


def _note(axes: "Axes", text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=_FAINT)


def _short(column: str) -> str:
    return column.rsplit(".", 1)[-1]


def _labels(axes: "Axes", across: str, up: str) -> None:
    axes.set_xlabel(across, fontsize=9, color=_INK)
    axes.set_ylabel(up, fontsize=9, color=_INK)


def _legend(axes: "Axes") -> None:
    axes.legend(fontsize=8.5, frameon=False, loc="lower right", bbox_to_anchor=(1, 1.06), ncols=3)


def _whole(axes: "Axes", which: str = "x") -> None:
    from matplotlib.ticker import MaxNLocator

    (axes.xaxis if which == "x" else axes.yaxis).set_major_locator(MaxNLocator(integer=True))


def _small(buffer: io.BytesIO) -> bytes:
    """The picture with as many colours as it may have."""
    from PIL import Image

    picture = Image.open(buffer).convert("RGB")
    encoded = b""
    for colours in (256, 64, 16):
        output = io.BytesIO()
        small = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(output, "PNG", optimize=True)
        encoded = output.getvalue()
        if len(encoded) <= LIMIT:
            break
    return encoded
