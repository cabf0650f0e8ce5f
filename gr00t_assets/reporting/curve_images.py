"""Loss curves as images for Dagster's pages: PNG, and SVG small enough to be shown in place."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.comparison.curves import Curve, loss_curve
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.wording import run_loss_words
from gr00t_assets.core.text import figure_png
from gr00t_assets.evaluation.evaluation_plots import URL_ESCAPES, new_figure, plain_axes
from gr00t_assets.reporting.markdown import template_environment
from gr00t_assets.reporting.plots import MOST_DRAWN, PALETTE, Style, run_styles
from gr00t_assets.runs.metrics import MetricTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MATPLOTLIB_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def curve_panels(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """The runs to draw, but stale ones, by rank, with a title: one panel a comparability class."""
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
    panels, styles = curve_panels(runs) or [("", [])], run_styles(runs)
    heights = [max(4.2, 0.21 * len(members) + 0.6) for _, members in panels]
    figure = new_figure(10.0, sum(heights), dpi=110)
    every_axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, members) in zip(every_axes, panels, strict=True):
        for run in members:
            if run.curve is not None:
                outcome = run_loss_words(run) if run.finished else f"({run.status})"
                _draw(axes, run.curve, styles[run.run_id], f"{run.name}  {outcome}")
        _finish(axes, title)
        if members:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    return figure_png(figure)


def run_curve_png(metrics: MetricTable) -> bytes:
    """The loss of one run as a PNG image."""
    figure = new_figure(8.0, 3.6, dpi=110)
    axes = figure.subplots()
    if len(curve := loss_curve(metrics)):
        _draw(axes, curve, Style.of_place(0), "")
    _finish(axes)
    return figure_png(figure)


def _draw(axes: "Axes", curve: Curve, style: Style, label: str) -> None:
    single, line = curve.thinned(2_000), curve.smoothed()
    axes.plot(single.steps, single.losses, ".", color=style.color, alpha=0.3, markersize=4, mew=0)
    dash = _MATPLOTLIB_DASHES[style.dash]
    axes.plot(line.steps, line.losses, dash, color=style.color, linewidth=2, label=label)


def _finish(axes: "Axes", title: str = "") -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if not axes.lines:
        axes.text(0.5, 0.5, "no loss logged yet", ha="center", va="center", color="#666666")
        axes.set_axis_off()
        return
    if axes.dataLim.minposy > 0 and math.isfinite(axes.dataLim.minposy):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(left=0)
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel("training loss")
    axes.set_title(title, loc="left", fontsize=10)
    plain_axes(axes)


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
    template = template_environment().get_template("curve.svg.j2")
    for points in range(90, 1, -4):
        thinned = line.thinned(points)
        low, high = thinned.losses.min(), thinned.losses.max()
        path = _path(thinned, last)
        svg = template.render(path=path, low=low, high=high, last=last, color=PALETTE[0])
        drawn = f"![training loss](<data:image/svg+xml,{svg.translate(URL_ESCAPES)}>)"
        if len(drawn) < limit:
            break
    return drawn


def _path(line: Curve, last: int) -> str:
    """The line in the frame of the template, 44 to 434 from the left and 14 to 104 from the top."""
    logs = np.log(line.losses)
    spread = (logs.max() - logs.min()) or 1.0
    x = np.rint(44 + 390 * line.steps / last).astype(int)
    y = np.rint(104 - 90 * (logs - logs.min()) / spread).astype(int)
    moves = [f"{right} {down}" for right, down in zip(np.diff(x), np.diff(y), strict=True)]
    return f"M{x[0]} {y[0]}l" + " ".join(moves or ["1 0"])
