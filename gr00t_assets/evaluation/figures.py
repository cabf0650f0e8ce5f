"""Figures of an evaluation as Plotly's JavaScript takes them: ``data`` and ``layout``.

Fonts and the colours of the frame are left to the page.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from gr00t_assets.evaluation.result import Evaluation, PartEvaluation, PartName, Trajectory

RECORDED, PREDICTED, HOLD, MEAN = "#5f6773", "#0072B2", "#D55E00", "#009E73"
"""Okabe and Ito's blue, vermillion and green, which the colour-blind can tell apart."""

RULES = {"hold": (HOLD, "dash"), "mean action": (MEAN, "dot")}
"""Colour and dash of each baseline."""

_PANEL = 110
_GAP = 0.03


def trajectory_of(evaluation: Evaluation, part: PartName | None = None) -> Trajectory:
    """The drawn episode of a part; of the part to rank by where left out."""
    wanted = part or evaluation.main.part
    return next(each for each in evaluation.trajectories if each.part == wanted)


def trajectory_title(evaluation: Evaluation, trajectory: Trajectory) -> str:
    """What a drawing of it is called.

    It names the episode and whether it was trained on.
    """
    return f"{evaluation.experiment}, episode {trajectory.episode}, {trajectory.part}"


def trajectory_figure(evaluation: Evaluation, part: PartName | None = None) -> dict[str, Any]:
    """Recorded and predicted actions over one episode, a panel for each number, in units.

    Args:
        evaluation: What to draw.
        part: Of which episode; the part to rank by where left out.
    """
    trajectory = trajectory_of(evaluation, part)
    count = len(trajectory.lines)
    height = (1 - _GAP * (count - 1)) / count
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": _PANEL * count + 110,
        "margin": {"l": 92, "r": 16, "t": 40, "b": 44},
        "title": {"text": trajectory_title(evaluation, trajectory), "font": {"size": 13}},
        "hovermode": "x",
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {"title": {"text": "seconds"}, "anchor": f"y{count}" if count > 1 else "y"},
    }
    for place, line in enumerate(trajectory.lines):
        axis = "y" if place == 0 else f"y{place + 1}"
        top = 1 - place * (height + _GAP)
        layout["yaxis" + axis[1:]] = {
            "domain": [max(0.0, top - height), top],
            "title": {"text": line.joint.replace("_", " "), "font": {"size": 11}},
            "nticks": 4,
        }
        shown = {"yaxis": axis, "showlegend": place == 0, "type": "scatter"}
        band = zip(trajectory.chunk_seconds, line.low, line.high, strict=True)
        rounds = [
            ([*seconds, *reversed(seconds)], [*high, *reversed(low)]) for seconds, low, high in band
        ]
        traces += [
            {
                **shown,
                "x": _with_gaps([seconds for seconds, _ in rounds]),
                "y": _with_gaps([values for _, values in rounds]),
                "name": "range of the draws",
                "legendgroup": "draws",
                "mode": "lines",
                "line": {"width": 0},
                "fill": "toself",
                "fillcolor": "rgba(0,114,178,0.22)",
                "hoverinfo": "skip",
            },
            {
                **shown,
                "x": list(trajectory.seconds),
                "y": list(line.recorded),
                "name": "recorded",
                "legendgroup": "recorded",
                "mode": "lines",
                "line": {"color": RECORDED, "width": 1.6},
            },
            {
                **shown,
                "x": _with_gaps(trajectory.chunk_seconds),
                "y": _with_gaps(line.predicted),
                "name": "predicted",
                "legendgroup": "predicted",
                "mode": "lines",
                "line": {"color": PREDICTED, "width": 2.2},
            },
        ]
    return {"data": traces, "layout": layout}


def horizon_figure(evaluation: Evaluation, part: PartEvaluation | None = None) -> dict[str, Any]:
    """Error at each step of the horizon with its interval, beside both baselines, normalised."""
    shown = part or evaluation.main
    steps = list(range(1, evaluation.horizon + 1))
    low, high = [each.low for each in shown.by_step], [each.high for each in shown.by_step]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": [*steps, *reversed(steps)],
            "y": [*high, *reversed(low)],
            "name": "95 percent interval",
            "mode": "lines",
            "line": {"width": 0},
            "fill": "toself",
            "fillcolor": "rgba(0,114,178,0.18)",
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": steps,
            "y": [each.mean for each in shown.by_step],
            "name": "policy",
            "mode": "lines+markers",
            "line": {"color": PREDICTED, "width": 2.4},
        },
    ]
    for rule in shown.baselines:
        color, dash = RULES[rule.name]
        traces.append(
            {
                "type": "scatter",
                "x": steps,
                "y": list(rule.by_step),
                "name": rule.words,
                "mode": "lines",
                "line": {"color": color, "dash": dash, "width": 2},
            }
        )
    layout = {
        "height": 330,
        "margin": {"l": 64, "r": 16, "t": 40, "b": 48},
        "title": {"text": f"{evaluation.experiment}, {shown.part}", "font": {"size": 13}},
        "hovermode": "x unified",
        "xaxis": {"title": {"text": "step of the predicted chunk"}},
        "yaxis": {"title": {"text": "mean absolute error, normalised"}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
    }
    return {"data": traces, "layout": layout}


def _with_gaps(chunks: Sequence[Sequence[float]]) -> list[float | None]:
    """All values in a row, a gap after each chunk but the last."""
    joined: list[float | None] = list(chain.from_iterable([*chunk, None] for chunk in chunks))
    return joined[:-1]
