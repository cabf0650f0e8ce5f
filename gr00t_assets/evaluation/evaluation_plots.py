"""Plots of an evaluation: PNG images for Dagster's pages and model cards, and one small SVG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gr00t_assets.core.text import figure_png
from gr00t_assets.evaluation.intervals import LEAST_EPISODES
from gr00t_assets.evaluation.result import BaselineName, Evaluation, PartName

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECORDED, PREDICTED = "#5f6773", "#0072B2"

RULES: dict[BaselineName, tuple[str, Any]] = {
    "hold": ("#D55E00", "--"),
    "mean action": ("#009E73", ":"),
    "nearest chunks": ("#CC79A7", "-."),
    "median action": ("#E69F00", (0, (1, 3))),
}
"""Colour of each baseline and its dash, colours by Okabe and Ito, as the policy's blue is."""


def trajectories_png(evaluation: Evaluation, part: PartName) -> bytes:
    """Recorded and predicted actions over one episode, a panel for each number, in units."""
    trajectory = next(drawn for drawn in evaluation.trajectories if drawn.part == part)
    count = len(trajectory.lines)
    figure = new_figure(9.0, 1.15 * count + 0.9, dpi=100)
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axes, line in zip(panels, trajectory.lines, strict=True):
        axes.plot(trajectory.seconds, line.recorded, color=RECORDED, linewidth=1.2)
        chunks = zip(trajectory.chunk_seconds, line.predicted, line.low, line.high, strict=True)
        for seconds, predicted, low, high in chunks:
            axes.fill_between(seconds, low, high, color=PREDICTED, alpha=0.22, linewidth=0)
            axes.plot(seconds, predicted, color=PREDICTED, linewidth=1.6)
        axes.set_ylabel(line.joint.replace("_", " "), fontsize=8)
        plain_axes(axes)
        axes.tick_params(labelsize=8)
    panels[0].plot([], [], color=RECORDED, linewidth=1.2, label="recorded")
    panels[0].plot([], [], color=PREDICTED, linewidth=1.6, label="predicted, range of the draws")
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
    figure = new_figure(9.0, 3.8, dpi=100)
    parts = evaluation.parts
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    steps = range(1, evaluation.horizon + 1)
    for axes, part in zip(panels, parts, strict=True):
        ends = [estimate.interval or (estimate.mean, estimate.mean) for estimate in part.by_step]
        axes.fill_between(steps, *np.transpose(ends), color=PREDICTED, alpha=0.18, linewidth=0)
        means = [estimate.mean for estimate in part.by_step]
        axes.plot(steps, means, color=PREDICTED, linewidth=2, marker="o", markersize=3)
        axes.annotate("policy", (steps[-1], means[-1]), (4, 0), textcoords="offset points")
        for rule in part.baselines:
            color, dash = RULES[rule.name]
            axes.plot(steps, rule.by_step, color=color, linestyle=dash, label=rule.words)
        few = f", fewer than {LEAST_EPISODES} episodes: no interval"
        axes.set_title(part.part + few * (not part.error.interval), loc="left", fontsize=10)
        axes.set_xlabel("step of the predicted chunk")
        axes.set_ylim(bottom=0)
        plain_axes(axes)
        axes.tick_params(labelsize=8)
    panels[0].set_ylabel("error, normalised")
    lines = panels[0].get_legend_handles_labels()
    figure.legend(*lines, frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    return figure_png(figure)


def new_figure(width: float, height: float, dpi: int) -> "Figure":
    """An empty white figure, its sides in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained", facecolor="white")


def plain_axes(axes: "Axes") -> None:
    """Draw a light grid and no frame."""
    axes.grid(True, color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 300, 8, 84
_POINTS = 9

URL_ESCAPES = str.maketrans({"<": "%3C", ">": "%3E", "#": "%23", "\n": None})
"""What neither a data URL nor Markdown can hold."""


def horizon_svg(evaluation: Evaluation) -> str:
    """SVG for a data URL: the policy as a full line, the two best rules dashed and dotted."""
    part = evaluation.main
    lines = [(PREDICTED, "0", [estimate.mean for estimate in part.by_step])]
    rules = sorted(part.baselines, key=lambda rule: rule.error.mean)[:2]
    for rule, dash in zip(rules, ("6", "2"), strict=False):
        lines.append((RULES[rule.name][0], dash, list(rule.by_step)))
    top = max(max(values) for _, _, values in lines) or 1.0
    drawn = "".join(
        f"<path stroke='{color}' stroke-dasharray='{dash}' d='{_path(values, top)}'/>"
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
    return svg.translate(URL_ESCAPES)


def _path(values: Sequence[float], top: float) -> str:
    """A line through at most nine points."""
    last = len(values) - 1
    places = np.unique(np.linspace(0, last, _POINTS).round().astype(int))
    across = _LEFT + (_RIGHT - _LEFT) * places / max(1, last)
    down = _BOTTOM - (_BOTTOM - _TOP) * np.asarray(values)[places] / top
    return "M" + " ".join(f"{x:.0f} {y:.0f}" for x, y in zip(across, down, strict=True))
