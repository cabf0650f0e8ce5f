"""Figures of an evaluation as PNG images, for Dagster's pages and model cards."""

import io
from typing import TYPE_CHECKING

from gr00t_assets.evaluation.figures import (
    PREDICTED,
    RECORDED,
    RULES,
    trajectory_of,
    trajectory_title,
)
from gr00t_assets.evaluation.result import Evaluation, PartName

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DASHES = {"dash": "--", "dot": ":"}


def trajectories_png(evaluation: Evaluation, part: PartName | None = None) -> bytes:
    """Recorded and predicted actions over one episode, a panel for each number, in units."""
    trajectory = trajectory_of(evaluation, part)
    count = len(trajectory.lines)
    figure = _figure(1.15 * count + 0.9)
    panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for axes, line in zip(panels, trajectory.lines, strict=True):
        axes.plot(trajectory.seconds, line.recorded, color=RECORDED, linewidth=1.2)
        chunks = zip(trajectory.chunk_seconds, line.predicted, line.low, line.high, strict=True)
        for seconds, predicted, low, high in chunks:
            axes.fill_between(seconds, low, high, color=PREDICTED, alpha=0.22, linewidth=0)
            axes.plot(seconds, predicted, color=PREDICTED, linewidth=1.6)
        axes.set_ylabel(line.joint.replace("_", " "), fontsize=8)
        _plain(axes)
    panels[0].plot([], [], color=RECORDED, linewidth=1.2, label="recorded")
    panels[0].plot([], [], color=PREDICTED, linewidth=1.6, label="predicted, range of the draws")
    panels[0].legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9, borderpad=0
    )
    panels[0].set_title(trajectory_title(evaluation, trajectory), loc="left", fontsize=10)
    panels[-1].set_xlabel("seconds")
    return _png(figure)


def horizon_png(evaluation: Evaluation) -> bytes:
    """Error at each step of the horizon beside both baselines, a panel for each part."""
    figure = _figure(3.2)
    parts = evaluation.parts
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    steps = range(1, evaluation.horizon + 1)
    for axes, part in zip(panels, parts, strict=True):
        low, high = [each.low for each in part.by_step], [each.high for each in part.by_step]
        axes.fill_between(steps, low, high, color=PREDICTED, alpha=0.18, linewidth=0)
        means = [each.mean for each in part.by_step]
        axes.plot(steps, means, color=PREDICTED, linewidth=2, marker="o", markersize=3)
        axes.annotate("policy", (steps[-1], means[-1]), (4, 0), textcoords="offset points")
        for rule in part.baselines:
            color, dash = RULES[rule.name]
            axes.plot(steps, rule.by_step, color=color, linestyle=_DASHES[dash], label=rule.words)
        axes.set_title(part.part, loc="left", fontsize=10)
        axes.set_xlabel("step of the predicted chunk")
        axes.set_ylim(bottom=0)
        _plain(axes)
    panels[0].set_ylabel("error, normalised")
    panels[0].legend(frameon=False, fontsize=8, loc="best")
    return _png(figure)


def _figure(height: float, width: float = 9.0) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")


def _plain(axes: "Axes") -> None:
    axes.grid(True, color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
