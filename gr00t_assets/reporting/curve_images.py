"""Loss curves as images for Dagster's pages: PNG, and SVG small enough to be shown in place."""

import base64
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from gr00t_assets.comparison.curves import Curve, loss_curve
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.wording import run_loss_words
from gr00t_assets.core.text import figure_png
from gr00t_assets.reporting.plots import MOST_DRAWN, PALETTE, Style
from gr00t_assets.runs.metrics import MetricTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MATPLOTLIB_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def run_styles(runs: Sequence[Run]) -> dict[str, Style]:
    """A style for each run of a sweep, by id: the colour is that of its place in the sweep."""
    return {run.run_id: Style.of_place(place) for place, run in enumerate(runs)}


def curve_panels(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """The runs to draw on shared axes, with a title: one panel a comparability class.

    Stale runs and runs without a logged loss are left out. Within a panel ranked runs come first,
    in order of rank. Of more than ``MOST_DRAWN`` the first are drawn, and the title says so.
    """
    drawn = [run for run in runs if not run.stale and run.curve is not None]
    classes = comparability_classes(drawn)
    panels = []
    for item in classes:
        members = [run for place in item.ranking for run in place.runs]
        members += [run for run in item.runs if not run.finished]
        titles = [f"class {item.id}"] if len(classes) > 1 else []
        if len(members) > MOST_DRAWN:
            titles.append(f"the first {MOST_DRAWN} of {len(members):,} runs, by rank")
        panels.append((", ".join(titles), members[:MOST_DRAWN]))
    return panels


def curves_png(runs: Sequence[Run]) -> bytes:
    """The loss curves of a sweep as a PNG image, a panel for each comparability class."""
    panels, styles = curve_panels(runs), run_styles(runs)
    heights = [max(4.2, 0.21 * len(members) + 0.6) for _, members in panels] or [4.2]
    figure = _figure(height=sum(heights))
    every_axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, members) in zip(every_axes, panels, strict=False):
        for run in members:
            if run.curve is not None:
                outcome = run_loss_words(run) if run.finished else f"({run.status})"
                _draw(axes, run.curve, styles[run.run_id], f"{run.name}  {outcome}")
        _finish(axes, title)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    if not panels:
        _empty(every_axes[0])
    return figure_png(figure)


def run_curve_png(metrics: MetricTable) -> bytes:
    """The loss of one run as a PNG image."""
    figure = _figure(height=3.6, width=8.0)
    axes = figure.subplots()
    curve = loss_curve(metrics)
    if len(curve):
        _draw(axes, curve, Style.of_place(0), "")
        _finish(axes, "")
    else:
        _empty(axes)
    return figure_png(figure)


def markdown_image(png: bytes, description: str) -> str:
    """A PNG image inside Markdown text."""
    return f"![{description}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _figure(height: float, width: float = 10.0) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")


def _draw(axes: "Axes", curve: Curve, style: Style, label: str) -> None:
    single, line = curve.thinned(2_000), curve.smoothed()
    axes.plot(single.steps, single.losses, ".", color=style.color, alpha=0.3, markersize=4, mew=0)
    dash = _MATPLOTLIB_DASHES[style.dash]
    axes.plot(line.steps, line.losses, dash, color=style.color, linewidth=2, label=label)


def _finish(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if axes.dataLim.minposy > 0 and math.isfinite(axes.dataLim.minposy):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(left=0)
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel("training loss")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(True, color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _empty(axes: "Axes") -> None:
    axes.text(0.5, 0.5, "no loss logged yet", ha="center", va="center", color="#666666")
    axes.set_axis_off()


_SVG_WIDTH, _SVG_HEIGHT = 440, 130
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 434, 10, 108
_ESCAPES = str.maketrans({"<": "%3C", ">": "%3E", "#": "%23"})


def inline_curve(metrics: MetricTable, limit: int) -> str:
    """The moving mean of the loss against steps, log y, as an SVG image inside Markdown.

    Single steps are left out, and points of the line until it fits into ``limit`` characters.
    Where no finite loss above zero was logged it is words.
    """
    curve = loss_curve(metrics)
    line = curve.smoothed()
    if not len(curve) or line.losses.min() <= 0:
        return "no loss to draw"
    last = int(curve.steps[-1])
    for points in range(90, 1, -4):
        drawn = f"![training loss](<data:image/svg+xml,{_svg(line.thinned(points), last)}>)"
        if len(drawn) < limit:
            break
    return drawn


def _svg(line: Curve, last: int) -> str:
    """Text in SVG, the characters escaped that neither a data URL nor Markdown can hold."""
    low, high = math.log(line.losses.min()), math.log(line.losses.max())
    spread = (high - low) or 1.0
    places = [
        (
            round(_LEFT + (_RIGHT - _LEFT) * float(step) / last),
            round(_BOTTOM - 4 - (_BOTTOM - _TOP - 8) * (math.log(loss) - low) / spread),
        )
        for step, loss in zip(line.steps, line.losses, strict=True)
    ]
    (left, top), *_ = places
    moves = [f"{x - x_before} {y - y_before}" for (x_before, y_before), (x, y) in pairwise(places)]
    path = f"M{left} {top}l" + " ".join(moves or ["1 0"])
    bottom, end = _SVG_HEIGHT - 6, f"x='{_RIGHT}' y='{_SVG_HEIGHT - 6}' text-anchor='end'"
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_SVG_WIDTH}' height='{_SVG_HEIGHT}' "
        "fill='#888' font-family='sans-serif' font-size='12'>"
        f"<path d='M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}' fill='none' stroke='#bbb'/>"
        f"<path d='{path}' fill='none' stroke='{PALETTE[0]}' stroke-width='2'/>"
        f"<text x='0' y='{_TOP + 8}'>{math.exp(high):.3g}</text>"
        f"<text x='0' y='{_BOTTOM}'>{math.exp(low):.3g}</text>"
        f"<text x='{_LEFT}' y='{bottom}'>0</text><text {end}>{last:,} steps</text></svg>"
    ).translate(_ESCAPES)
