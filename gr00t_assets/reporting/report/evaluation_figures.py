"""Plots of open-loop evaluations: errors beside baselines, predicted beside recorded actions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gr00t_assets.reporting.report.evaluated import EvaluatedTable
from gr00t_assets.reporting.report.figures import as_text

if TYPE_CHECKING:
    from gr00t_assets.evaluation.result import Evaluation, Trajectory, TrajectoryLine


MOST_ROWS = 40
"""Configurations in the plot of errors; the table has them all."""

MOST_TRAJECTORIES = 3
_POINTS = 600
_LOOKS = (("#D55E00", "dash"), ("#CC79A7", "dot"), ("#8C6D31", "dashdot"))


def error_figure(table: EvaluatedTable) -> dict[str, Any]:
    """Open-loop error of each configuration with its 95 percent interval; a line a baseline."""
    rows = table.rows[:MOST_ROWS]
    names = [f"{row.by_error}. {row.name}" for row in rows]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [_short(row.error.mean) for row in rows],
            "y": names,
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": [_short(row.error.high - row.error.mean) for row in rows],
                "arrayminus": [_short(row.error.mean - row.error.low) for row in rows],
                "thickness": 2,
                "width": 4,
            },
            "marker": {"size": 9, "color": "#0072B2"},
            "name": "policy, 95 %",
            "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
        }
    ]
    for (name, value), (color, dash) in zip(table.baselines.items(), _LOOKS, strict=False):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if len(rows) == 1 else "lines",
                "x": [_short(value)] * len(rows),
                "y": names,
                "line": {"color": color, "dash": dash, "width": 2},
                "name": f"baseline: {as_text(name)}",
                "hovertemplate": f"{as_text(name)}: %{{x:.4g}}<extra></extra>",
            }
        )
    return {
        "data": traces,
        "layout": {
            "height": 170 + 30 * len(rows),
            "xaxis": {"title": {"text": "open-loop error, normalised"}, "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
        },
    }


def trajectory_figures(
    table: EvaluatedTable, evaluations: "Mapping[str, Evaluation]"
) -> list[tuple[dict[str, Any], str]]:
    """Predicted over recorded values of the configuration with the lowest error, and captions."""
    best = table.rows[0]
    evaluation = next(
        (each for each in evaluations.values() if each.config_hash == best.run_id), None
    )
    if evaluation is None:
        return []
    chosen = [
        (each, line)
        for each in evaluation.trajectories
        if each.part == table.part
        for line in each.lines
    ]
    return [
        (
            _trajectory_figure(each, line),
            f"{line.joint} in episode {each.episode} ({each.part}), recorded and as {best.name} "
            "predicts it in chunks; the band is the spread of the denoising draws.",
        )
        for each, line in chosen[:MOST_TRAJECTORIES]
    ]


def _trajectory_figure(trajectory: "Trajectory", line: "TrajectoryLine") -> dict[str, Any]:
    step = max(1, len(trajectory.seconds) // _POINTS)
    seconds: list[float | None] = []
    middle: list[float | None] = []
    around: list[float | None] = []
    band: list[float | None] = []
    chunks = zip(trajectory.chunk_seconds, line.predicted, line.low, line.high, strict=True)
    for times, predicted, low, high in chunks:
        seconds += [*map(_short, times), None]
        middle += [*map(_short, predicted), None]
        around += [*map(_short, times), *map(_short, reversed(times)), None]
        band += [*map(_short, high), *map(_short, reversed(low)), None]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": around,
                "y": band,
                "fill": "toself",
                "fillcolor": "rgba(213,94,0,0.22)",
                "line": {"width": 0},
                "name": "spread of the draws",
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "x": [_short(value) for value in trajectory.seconds[::step]],
                "y": [_short(value) for value in line.recorded[::step]],
                "line": {"color": "#0072B2", "width": 2.4},
                "name": "recorded",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "x": seconds,
                "y": middle,
                "line": {"color": "#D55E00", "width": 1.6, "dash": "dash"},
                "name": "predicted",
                "connectgaps": False,
            },
        ],
        "layout": {
            "height": 300,
            "xaxis": {"title": {"text": "seconds"}},
            "yaxis": {"title": {"text": as_text(line.joint)}},
        },
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")
