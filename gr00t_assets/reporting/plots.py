"""Loss curves: an interactive figure for the report, PNG images for Dagster's pages."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gr00t_assets.comparison.curve_groups import PALETTE, Style, curve_groups, run_styles
from gr00t_assets.comparison.curves import Curve, loss_curve
from gr00t_assets.comparison.findings import loss_words
from gr00t_assets.comparison.run import Run
from gr00t_assets.runs.metrics import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FIGURE_POINTS = 24_000
"""Points of all lines of one figure; more would make the page slow and show nothing more."""

RAW_POINTS = 400
"""Raw losses drawn of one run at most; more would hide the line."""

LINE_POINTS = 800
"""Points of one run's line at most."""

_MATPLOTLIB_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}


def curves_figure(runs: Sequence[Run], styles: Mapping[str, Style]) -> dict[str, Any]:
    """Loss against steps, one line an experiment over its faint single steps, log y.

    It is the figure as Plotly's JavaScript takes it: ``data`` and ``layout``. Plotly's own figure
    would check every number, which takes longer than all the rest. ``customdata`` of every trace
    has the samples seen at each point, so that the page can swap the two. Fonts and colours of the
    frame are left to the page.
    """
    traces: list[dict[str, Any]] = []
    lowest, highest = math.inf, 0.0
    share = FIGURE_POINTS // max(1, len(runs))
    for run in runs:
        curve, style = loss_curve(run.metrics), styles[run.name]
        positive = curve.losses[curve.losses > 0]
        lowest = min(lowest, positive.min(initial=math.inf))
        highest = max(highest, positive.max(initial=0.0))
        traces.append(
            {
                **_points(curve.thinned(min(RAW_POINTS, share // 2))),
                "mode": "markers",
                "marker": {"color": style.color, "size": 3, "opacity": 0.3},
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": run.name,
            }
        )
        traces.append(
            {
                **_points(curve.smoothed().thinned(min(LINE_POINTS, share))),
                "name": curve_label(run),
                "mode": "lines",
                "line": {"color": style.color, "dash": style.dash, "width": 2.4},
                "legendgroup": run.name,
                "hovertemplate": "%{y:.4g}<extra>" + run.name + "</extra>",
            }
        )
    layout = {
        "height": 430,
        "margin": {"l": 64, "r": 16, "t": 12, "b": 48},
        "hovermode": "x unified",
        "xaxis": {"title": {"text": "optimizer steps"}, "rangemode": "tozero"},
        "yaxis": {
            "title": {"text": "training loss"},
            "type": "log",
            **log_ticks(lowest, highest),
        },
        "legend": {"groupclick": "togglegroup"},
    }
    return {"data": traces, "layout": layout}


def _points(curve: Curve) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": curve.steps.tolist(),
        "y": rounded(curve.losses).tolist(),
        "customdata": curve.samples.round().astype(int).tolist(),
    }


def rounded(values: np.ndarray) -> np.ndarray:
    """Five significant digits: what an eye can tell apart, in half the bytes."""
    exponents = np.floor(np.log10(np.abs(values), out=np.zeros(len(values)), where=values != 0))
    scale = 10.0 ** (4 - exponents)
    return np.round(values * scale) / scale


def log_ticks(lowest: float, highest: float) -> dict[str, list]:
    """Ticks at 1, 2 and 5 times powers of ten, written out in full."""
    if not 0 < lowest <= highest:
        return {}
    powers = range(math.floor(math.log10(lowest)) - 1, math.ceil(math.log10(highest)) + 2)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return {"tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def curve_label(run: Run) -> str:
    """The legend's words: the name, the final loss of a finished run, else what became of it."""
    return f"{run.name}  {loss_words(run) if run.rankable else f'({run.status})'}"


def curves_png(runs: Sequence[Run]) -> bytes:
    """The loss curves of a sweep as a PNG image, a panel for each comparability class."""
    groups = curve_groups(runs)
    styles = run_styles(runs)
    heights = [max(4.2, 0.21 * len(members) + 0.6) for _, members in groups] or [4.2]
    figure = _figure(height=sum(heights))
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (title, members) in zip(panels, groups, strict=False):
        for run in members:
            _draw(axes, loss_curve(run.metrics), styles[run.name], curve_label(run))
        _finish(axes, title)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    if not groups:
        _nothing(panels[0])
    return _png(figure)


def run_curve_png(metrics: Sequence[Metric]) -> bytes:
    """The loss of one run as a PNG image."""
    figure = _figure(height=3.6, width=8.0)
    axes = figure.subplots()
    curve = loss_curve(metrics)
    if len(curve):
        _draw(axes, curve, Style(PALETTE[0], "solid"), "")
        _finish(axes, "")
    else:
        _nothing(axes)
    return _png(figure)


def markdown_image(png: bytes, description: str) -> str:
    """A PNG image inside Markdown text."""
    return f"![{description}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _figure(height: float, width: float = 10.0) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")


def _draw(axes: "Axes", curve: Curve, style: Style, label: str) -> None:
    raw, line = curve.thinned(2_000), curve.smoothed()
    axes.plot(raw.steps, raw.losses, ".", color=style.color, alpha=0.3, markersize=4, mew=0)
    axes.plot(
        line.steps,
        line.losses,
        color=style.color,
        linestyle=_MATPLOTLIB_DASHES[style.dash],
        linewidth=2,
        label=label,
    )


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


def _nothing(axes: "Axes") -> None:
    axes.text(0.5, 0.5, "no loss logged yet", ha="center", va="center", color="#666666")
    axes.set_axis_off()


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
