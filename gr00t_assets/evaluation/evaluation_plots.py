"""Plots of an evaluation: PNG images for Dagster's pages and model cards, and one small SVG."""

import io
from typing import TYPE_CHECKING

from gr00t_assets.evaluation.result import Evaluation, PartName, Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
from collections.abc import Sequence

RECORDED, PREDICTED, HOLD, MEAN = "#5f6773", "#0072B2", "#D55E00", "#009E73"
"""Okabe and Ito's blue, vermillion and green, which the colour-blind can tell apart."""

RULES = {"hold": (HOLD, "dash"), "mean action": (MEAN, "dot")}
"""Colour and dash of each baseline."""


def trajectory_of(evaluation: Evaluation, part: PartName | None = None) -> Trajectory:
    """The drawn episode of a part; of the part to rank by where left out."""
    wanted = part or evaluation.main.part
    return next(item for item in evaluation.trajectories if item.part == wanted)


def trajectory_title(evaluation: Evaluation, trajectory: Trajectory) -> str:
    """What a drawing of it is called.

    It names the episode and whether it was trained on.
    """
    return f"{evaluation.experiment}, episode {trajectory.episode}, {trajectory.part}"


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
        low = [estimate.low for estimate in part.by_step]
        high = [estimate.high for estimate in part.by_step]
        axes.fill_between(steps, low, high, color=PREDICTED, alpha=0.18, linewidth=0)
        means = [estimate.mean for estimate in part.by_step]
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


_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 300, 8, 84
_POINTS = 9
_ESCAPES = str.maketrans({"<": "%3C", ">": "%3E", "#": "%23"})
_SVG_DASHES = {"dash": "6", "dot": "2"}


def horizon_svg(evaluation: Evaluation) -> str:
    """The policy as a full line, holding as a dashed one, the mean action as a dotted one.

    Returns:
        SVG for a data URL, its special characters escaped.
    """
    part = evaluation.main
    lines = [(PREDICTED, "0", [estimate.mean for estimate in part.by_step])]
    for rule in part.baselines:
        color, dash = RULES[rule.name]
        lines.append((color, _SVG_DASHES[dash], list(rule.by_step)))
    top = max(max(values) for _, _, values in lines) or 1.0
    drawn = "".join(
        f"<path stroke='{color}' stroke-dasharray='{dash}' d='{_path(values, top)}'/>"
        for color, dash, values in lines
    )
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='480' height='104' fill='none' "
        "font-size='11' font-family='sans-serif'>"
        f"<path stroke='#bbb' d='M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}'/>{drawn}"
        f"<g fill='#888'><text y='{_TOP + 8}'>{top:.2g}</text><text y='{_BOTTOM}'>0</text>"
        f"<text x='{_LEFT}' y='100'>step 1 to {evaluation.horizon}</text>"
        "<text x='308' y='16'>&#8212; policy</text>"
        "<text x='308' y='32'>- - hold</text>"
        "<text x='308' y='48'>... mean action</text></g></svg>"
    )
    return svg.translate(_ESCAPES)


def _path(values: Sequence[float], top: float) -> str:
    """A line through at most nine points."""
    last = len(values) - 1
    places = sorted({round(point * last / (_POINTS - 1)) for point in range(_POINTS)})
    points = [
        (
            round(_LEFT + (_RIGHT - _LEFT) * place / max(1, last)),
            round(_BOTTOM - (_BOTTOM - _TOP) * values[place] / top),
        )
        for place in places
    ]
    return "M" + " ".join(f"{x} {y}" for x, y in points)
