"""The report's figures as Plotly's JavaScript takes them: ``data`` and ``layout``.

They are plain dictionaries: Plotly's own objects would check every number, which takes longer than
all the rest. Fonts and colours of the frame are left to the page, which knows light from dark.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from gr00t_assets.comparison.curves import Curve
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import RankedConfiguration
from gr00t_assets.comparison.wording import label, loss_words
from gr00t_assets.core.text import printable
from gr00t_assets.evaluation.result import Trajectory, TrajectoryLine
from gr00t_assets.reporting.evaluation_ranking import EvaluationRanking

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
"""Okabe and Ito's colours for the colour-blind without black and yellow, and one brown."""

DASHES = ("solid", "dash", "dot", "dashdot")
MOST_DRAWN = 60  # Curves on shared axes at most; no one can tell more of them apart
FIGURE_POINTS = 20_000  # Of all lines of one figure; more would make the page slow
LINE_POINTS = 400  # Points of one run's line at most
STEP_POINTS = 200  # Single steps drawn of one run at most
MOST_RUNS_WITH_STEPS = 12  # Of no more single steps are drawn, and names in a legend
MOST_ERRORS = 40  # Configurations in the plot of open-loop errors; the table has them all
MOST_TRAJECTORIES = 3
_BASELINE_LINES = (
    ("#D55E00", "dash"), ("#CC79A7", "dot"), ("#8C6D31", "dashdot"), ("#56B4E9", "longdash"),
)  # fmt: skip


class Style(NamedTuple):
    """How a run is drawn, in every plot and table of one class."""

    color: str
    dash: str

    @classmethod
    def of_place(cls, place: int) -> "Style":
        """The style of the run at a place, from 0; colours repeat with another dash."""
        return cls(PALETTE[place % len(PALETTE)], DASHES[place // len(PALETTE) % len(DASHES)])


def run_styles(runs: Iterable[Run]) -> dict[str, Style]:
    """A style for each run by its id: that of its place."""
    return {run.run_id: Style.of_place(place) for place, run in enumerate(runs)}


def curves_figure(
    ranking: Sequence[RankedConfiguration], styles: Mapping[str, Style]
) -> dict[str, Any] | None:
    """Loss against samples seen, one line a configuration over its faint single steps, log y.

    ``customdata`` of every trace has the share of the schedule at each point, so that the page can
    swap the two. Of replicates the first is drawn. None where no run has a curve.
    """
    curves = [
        (place, ranked, curve)
        for place, ranked in enumerate(ranking, start=1)
        if ranked.run.run_id in styles and (curve := schedule_curve(ranked.run)) is not None
    ]
    if not curves:
        return None
    share, few = FIGURE_POINTS // len(curves), len(curves) <= MOST_RUNS_WITH_STEPS
    steps = min(STEP_POINTS, share // 3) if few else 0
    traces: list[dict[str, Any]] = []
    for place, ranked, curve in curves:
        run, style, name = ranked.run, styles[ranked.run.run_id], _plain(ranked.run.name)
        if steps:
            marker = {"color": style.color, "size": 3, "opacity": 0.25}
            look = {"mode": "markers", "marker": marker, "hoverinfo": "skip", "showlegend": False}
            traces.append(_points(curve.thinned(steps), run) | look)
        line = curve.smoothed().thinned(min(LINE_POINTS, share - steps))
        traces.append(
            _points(line, run)
            | _line(style.color, 2.2, style.dash)
            | {"name": f"{place}. {name}", "meta": loss_words(ranked.runs)}
            | {"hovertemplate": f"%{{y:.4g}}<extra>{name}</extra>"}
        )
    return _figure(
        traces,
        {"title": {"text": "samples seen"}, "rangemode": "tozero"},
        {"title": {"text": "training loss"}, "type": "log", "dtick": "D2", "tickformat": "~g"},
        hovermode="x unified" if few else "closest",
        legend={"groupclick": "togglegroup"},
        showlegend=few,
    )


def schedule_curve(run: Run) -> Curve | None:
    """Finite losses of a run; ``steps`` is the share of its schedule, in percent."""
    if run.curve is None:
        return None
    losses, samples = (np.asarray(x, dtype=float) for x in (run.curve.losses, run.curve.samples))
    finite = np.isfinite(losses)
    if not finite.any():
        return None
    done = (run.steps or 0) / run.max_steps if run.max_steps else 1.0
    share = 100 * done * samples[finite] / (samples[-1] or 1.0)
    return Curve(share, samples[finite], losses[finite])


def error_figure(ranking: EvaluationRanking) -> dict[str, Any]:
    """Open-loop error of each configuration with its 95 percent interval; a line a baseline."""
    rows = ranking.rows[:MOST_ERRORS]
    names = [f"{row.by_error}. {_plain(label(row.ranked.run))}" for row in rows]
    means = np.array([row.error.mean for row in rows])
    ends = np.array([row.error.interval or (row.error.mean, row.error.mean) for row in rows])
    intervals = {
        "type": "data",
        "symmetric": False,
        "array": _five_digits(ends[:, 1] - means),
        "arrayminus": _five_digits(means - ends[:, 0]),
        "thickness": 2,
        "width": 4,
    }
    policy = _trace(_five_digits(means), names, "policy, 95 %") | {
        "mode": "markers",
        "error_x": intervals,
        "marker": {"size": 9, "color": PALETTE[0]},
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }
    traces = [policy]
    of_first = ranking.rows[0].evaluation.main.baselines
    for baseline, (color, dash) in zip(of_first, _BASELINE_LINES, strict=False):
        name, mean = _plain(baseline.name), _five_digits([baseline.error.mean])
        trace = _trace(mean * len(rows), names, f"baseline: {name}") | _line(color, 2, dash)
        mode = "lines+markers" if len(rows) == 1 else "lines"
        hover = f"{name}: %{{x:.4g}}<extra></extra>"
        traces.append(trace | {"mode": mode, "hovertemplate": hover})
    return _figure(
        traces,
        {"title": {"text": "open-loop error, normalised"}, "rangemode": "tozero"},
        {"autorange": "reversed", "automargin": True, "type": "category"},
        height=170 + 30 * len(rows),
    )


def trajectory_figures(ranking: EvaluationRanking) -> list[tuple[dict[str, Any], str]]:
    """Predicted over recorded values of the configuration with the lowest error, and captions."""
    best = ranking.rows[0]
    lines = [
        (trajectory, line)
        for trajectory in best.evaluation.trajectories
        if trajectory.part == ranking.part
        for line in trajectory.lines
    ]
    name = label(best.ranked.run)
    return [
        (
            _trajectory_figure(trajectory, line),
            f"{line.joint} in episode {trajectory.episode} ({trajectory.part}), recorded and as "
            f"{name} predicts it in chunks; the band is the spread of the denoising draws.",
        )
        for trajectory, line in lines[:MOST_TRAJECTORIES]
    ]


def _trajectory_figure(trajectory: Trajectory, line: TrajectoryLine) -> dict[str, Any]:
    seconds, predicted = _with_gaps(trajectory.chunk_seconds), _with_gaps(line.predicted)
    outline = _with_gaps([*times, *times[::-1]] for times in trajectory.chunk_seconds)
    band = _with_gaps([*high, *low[::-1]] for low, high in zip(line.low, line.high, strict=True))
    fill = {"fill": "toself", "fillcolor": "rgba(213,94,0,0.22)", "hoverinfo": "skip"}
    spread = _trace(outline, band, "spread of the draws")
    spread |= {"mode": "lines", "line": {"width": 0}, **fill}
    recorded = _trace(trajectory.seconds, line.recorded, "recorded") | _line(PALETTE[0], 2.4)
    drawn = _trace(seconds, predicted, "predicted") | _line(PALETTE[1], 1.6, "dash")
    return _figure(
        [spread, recorded, {**drawn, "connectgaps": False}],
        {"title": {"text": "seconds"}},
        {"title": {"text": _plain(line.joint)}},
        height=300,
    )


def _figure(
    traces: Sequence[dict], xaxis: dict[str, Any], yaxis: dict[str, Any], **layout: Any
) -> dict[str, Any]:
    return {"data": traces, "layout": {"xaxis": xaxis, "yaxis": yaxis, **layout}}


def _plain(text: str) -> str:
    """A text in which Plotly finds neither its kind of HTML nor a template."""
    return escape(printable(text, lines=False), quote=False).replace("{", "&#123;")


def _trace(x: Sequence, y: Sequence, name: str) -> dict[str, Any]:
    return {"type": "scatter", "x": x, "y": y, "name": name}


def _line(color: str, width: float, dash: str = "solid") -> dict[str, Any]:
    return {"mode": "lines", "line": {"color": color, "width": width, "dash": dash}}


def _points(curve: Curve, run: Run) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": curve.samples.round().astype(int).tolist(),
        "y": _five_digits(curve.losses),
        "customdata": curve.steps.round(1).tolist(),
        "legendgroup": run.run_id,
    }


def _with_gaps(chunks: Iterable[Sequence[float]]) -> list[float | None]:
    return [value for chunk in chunks for value in (*chunk, None)]


def _five_digits(values: Iterable[float]) -> list[float]:
    """Five significant digits: what an eye can tell apart, in half the bytes."""
    return [float(f"{value:.5g}") for value in values]
