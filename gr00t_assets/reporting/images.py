"""Images for Dagster's pages: PNG, and SVG small enough to be shown in place."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gr00t_assets.comparison.curves import Curve, loss_curve
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.wording import loss_words
from gr00t_assets.core.text import figure_png
from gr00t_assets.datasets.videos import spread_positions
from gr00t_assets.evaluation.intervals import LEAST_EPISODES
from gr00t_assets.evaluation.result import BaselineName, Evaluation, PartName
from gr00t_assets.reporting.markdown import template_environment
from gr00t_assets.reporting.plots import MOST_DRAWN, PALETTE, Style, run_styles
from gr00t_assets.runs.metrics import MetricTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RECORDED, _PREDICTED = "#5f6773", "#0072B2"

_RULES: dict[BaselineName, tuple[str, Any]] = {
    "hold": ("#D55E00", "--"),
    "mean action": ("#009E73", ":"),
    "nearest chunks": ("#CC79A7", "-."),
    "median action": ("#E69F00", (0, (1, 3))),
}
"""Colour of each baseline and its dash, colours by Okabe and Ito, as the policy's blue is."""

_URL_ESCAPES = str.maketrans({"<": "%3C", ">": "%3E", "#": "%23", "\n": None})
"""What neither a data URL nor Markdown can hold."""

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
    figure = _figure(10.0, sum(heights), dpi=110)
    every_axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, members) in zip(every_axes, panels, strict=True):
        for run in members:
            if run.curve is not None:
                outcome = loss_words([run]) if run.finished else f"({run.status})"
                _draw(axes, run.curve, styles[run.run_id], f"{run.name}  {outcome}")
        _finish(axes, title)
        if members:
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    return figure_png(figure)


def run_curve_png(metrics: MetricTable) -> bytes:
    """The loss of one run as a PNG image."""
    figure = _figure(8.0, 3.6, dpi=110)
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
    _plain_axes(axes)


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
        drawn = f"![training loss](<data:image/svg+xml,{svg.translate(_URL_ESCAPES)}>)"
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


def trajectories_png(evaluation: Evaluation, part: PartName) -> bytes:
    """Recorded and predicted actions over one episode, a panel for each number, in units."""
    trajectory = next(drawn for drawn in evaluation.trajectories if drawn.part == part)
    count = len(trajectory.lines)
    figure = _figure(9.0, 1.15 * count + 0.9, dpi=100)
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axes, line in zip(panels, trajectory.lines, strict=True):
        axes.plot(trajectory.seconds, line.recorded, color=_RECORDED, linewidth=1.2)
        chunks = zip(trajectory.chunk_seconds, line.predicted, line.low, line.high, strict=True)
        for seconds, predicted, low, high in chunks:
            axes.fill_between(seconds, low, high, color=_PREDICTED, alpha=0.22, linewidth=0)
            axes.plot(seconds, predicted, color=_PREDICTED, linewidth=1.6)
        axes.set_ylabel(line.joint.replace("_", " "), fontsize=8)
        _plain_axes(axes)
        axes.tick_params(labelsize=8)
    panels[0].plot([], [], color=_RECORDED, linewidth=1.2, label="recorded")
    panels[0].plot([], [], color=_PREDICTED, linewidth=1.6, label="predicted, range of the draws")
    panels[0].legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9, borderpad=0
    )
    episode = f"{trajectory.dataset or ''} episode {trajectory.episode}".strip()
    title = f"{evaluation.experiment}, {episode}, {trajectory.part}"
    panels[0].set_title(title, loc="left", fontsize=10)
    panels[-1].set_xlabel("seconds")
    return figure_png(figure)


def horizon_png(evaluation: Evaluation) -> bytes:
    """Error at each step of the horizon beside the baselines, a panel for each part."""
    figure = _figure(9.0, 3.8, dpi=100)
    parts = evaluation.parts
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    steps = range(1, evaluation.horizon + 1)
    for axes, part in zip(panels, parts, strict=True):
        ends = [estimate.interval or (estimate.mean, estimate.mean) for estimate in part.by_step]
        axes.fill_between(steps, *np.transpose(ends), color=_PREDICTED, alpha=0.18, linewidth=0)
        means = [estimate.mean for estimate in part.by_step]
        axes.plot(steps, means, color=_PREDICTED, linewidth=2, marker="o", markersize=3)
        axes.annotate("policy", (steps[-1], means[-1]), (4, 0), textcoords="offset points")
        for rule in part.baselines:
            color, dash = _RULES[rule.name]
            axes.plot(steps, rule.by_step, color=color, linestyle=dash, label=rule.words)
        few = f", fewer than {LEAST_EPISODES} episodes: no interval"
        axes.set_title(part.part + few * (not part.error.interval), loc="left", fontsize=10)
        axes.set_xlabel("step of the predicted chunk")
        axes.set_ylim(bottom=0)
        _plain_axes(axes)
        axes.tick_params(labelsize=8)
    panels[0].set_ylabel("error, normalised")
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    return figure_png(figure)


_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 300, 8, 84
_POINTS = 9


def horizon_svg(evaluation: Evaluation) -> str:
    """SVG for a data URL: the policy as a full line, the two best rules dashed and dotted."""
    part = evaluation.main
    lines = [(_PREDICTED, "0", [estimate.mean for estimate in part.by_step])]
    rules = sorted(part.baselines, key=lambda rule: rule.error.mean)[:2]
    for rule, dash in zip(rules, ("6", "2"), strict=False):
        lines.append((_RULES[rule.name][0], dash, list(rule.by_step)))
    top = max(max(values) for _, _, values in lines) or 1.0
    drawn = "".join(
        f"<path stroke='{color}' stroke-dasharray='{dash}' d='{_horizon_path(values, top)}'/>"
        for color, dash, values in lines
    )
    names = zip(("&#8212;", "- -", "..."), ("policy", *(rule.name for rule in rules)), strict=False)
    legend = "".join(
        f"<text x='308' y='{16 * row}'>{dash} {name}</text>"
        for row, (dash, name) in enumerate(names, start=1)
    )
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='480' height='104' fill='none' "
        "font-size='11' font-family='sans-serif'>"
        f"<path stroke='#bbb' d='M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}'/>{drawn}"
        f"<g fill='#888'><text y='{_TOP + 8}'>{top:.2g}</text><text y='{_BOTTOM}'>0</text>"
        f"<text x='{_LEFT}' y='100'>step 1 to {evaluation.horizon}</text>{legend}</g></svg>"
    )
    return svg.translate(_URL_ESCAPES)


def _horizon_path(values: Sequence[float], top: float) -> str:
    """A line through at most nine points."""
    places = spread_positions(len(values), _POINTS)
    across = _LEFT + (_RIGHT - _LEFT) * np.array(places) / max(1, places[-1])
    down = _BOTTOM - (_BOTTOM - _TOP) * np.asarray(values)[places] / top
    return "M" + " ".join(f"{x:.0f} {y:.0f}" for x, y in zip(across, down, strict=True))


def _figure(width: float, height: float, dpi: int) -> "Figure":
    """An empty white figure, its sides in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained", facecolor="white")


def _plain_axes(axes: "Axes") -> None:
    """Draw a light grid and no frame."""
    axes.grid(True, color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
