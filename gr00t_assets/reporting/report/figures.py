"""The report's figures as Plotly's JavaScript takes them: ``data`` and ``layout``.

They are plain dictionaries: Plotly's own objects would check every number, which takes longer than
all the rest. Fonts and colours of the frame are left to the page, which knows light from dark.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gr00t_assets.comparison.answers.words import loss_words
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.ranking import Ranked
from gr00t_assets.comparison.curve_groups import Style
from gr00t_assets.comparison.curves import Curve
from gr00t_assets.reporting.plots import log_ticks, rounded

FIGURE_POINTS = 20_000
"""Points of all lines of one figure; more would make the page slow and show nothing more."""

LINE_POINTS = 400
RAW_POINTS = 200
"""Points of one run's line, and single steps drawn of it, at most."""


def curves_figure(ranked: Sequence[Ranked], styles: Mapping[str, Style]) -> dict[str, Any] | None:
    """Loss against samples seen, one line a configuration over its faint single steps, log y.

    ``customdata`` of every trace has the share of the schedule at each point, so that the page can
    swap the two. Of replicates the first is drawn. None where no run has a curve.
    """
    drawn = [
        (each, curve)
        for each in ranked
        if each.observation.run_id in styles and (curve := run_curve(each.observation)) is not None
    ]
    if not drawn:
        return None
    share = FIGURE_POINTS // len(drawn)
    traces: list[dict[str, Any]] = []
    for each, curve in drawn:
        run, style = each.observation, styles[each.observation.run_id]
        single = min(RAW_POINTS, share // 3) if len(drawn) <= 12 else 0
        if single:
            traces.append(
                {
                    **_points(curve.thinned(single)),
                    "mode": "markers",
                    "marker": {"color": style.color, "size": 3, "opacity": 0.25},
                    "hoverinfo": "skip",
                    "showlegend": False,
                    "legendgroup": run.run_id,
                }
            )
        traces.append(
            {
                **_points(curve.smoothed().thinned(min(LINE_POINTS, share - single))),
                "name": f"{each.place}. {run.name}",
                "mode": "lines",
                "line": {"color": style.color, "dash": style.dash, "width": 2.2},
                "legendgroup": run.run_id,
                "hovertemplate": f"%{{y:.4g}}<extra>{as_text(run.name)}</extra>",
                "meta": loss_words(each.observations),
            }
        )
    losses = np.concatenate([np.asarray(trace["y"]) for trace in traces])
    positive = losses[losses > 0]
    ticks = log_ticks(positive.min(), positive.max()) if len(positive) else {}
    return {
        "data": traces,
        "layout": {
            "hovermode": "x unified" if len(drawn) <= 12 else "closest",
            "xaxis": {"title": {"text": "samples seen"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": "training loss"}, "type": "log", **ticks},
            "legend": {"groupclick": "togglegroup"},
            "showlegend": len(drawn) <= 12,
        },
    }


def run_curve(run: Observation) -> Curve | None:
    """Finite losses of a run with the share of its schedule, in percent, as ``steps``."""
    if run.curve is None or not len(run.curve.losses):
        return None
    losses = np.asarray(run.curve.losses, dtype=float)
    samples = np.asarray(run.curve.samples_seen, dtype=float)
    finite = np.isfinite(losses)
    if not finite.any():
        return None
    done = (run.steps or 0) / run.max_steps if run.max_steps else 1.0
    last = samples[-1] or 1.0
    return Curve(100 * done * samples[finite] / last, samples[finite], losses[finite])


def _points(curve: Curve) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": curve.samples.round().astype(int).tolist(),
        "y": rounded(curve.losses).tolist(),
        "customdata": curve.steps.round(1).tolist(),
    }


def as_text(text: str) -> str:
    """Text that Plotly, which reads a little HTML, shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
