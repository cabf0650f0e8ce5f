"""A loss curve small enough that Dagster's page shows it in place, without a click."""

import math
from collections.abc import Sequence
from itertools import pairwise

from gr00t_assets.comparison.curve_groups import PALETTE
from gr00t_assets.comparison.curves import Curve, loss_curve
from gr00t_assets.defs.metadata import INLINE
from gr00t_assets.runs.metrics import Metric

_WIDTH, _HEIGHT = 440, 130
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 434, 10, 108
_ESCAPES = str.maketrans({"<": "%3C", ">": "%3E", "#": "%23"})


def inline_curve(metrics: Sequence[Metric]) -> str:
    """The moving mean of the loss against steps, log y, as an SVG image inside Markdown.

    Single steps are left out, and points of the line until it fits into ``INLINE`` characters.

    Returns:
        Markdown; words where no finite loss above zero was logged.
    """
    curve = loss_curve(metrics)
    line = curve.smoothed()
    if not len(curve) or line.losses.min() <= 0:
        return "no loss to draw"
    last = int(curve.steps[-1])
    for points in range(90, 1, -4):
        drawn = f"![training loss](<data:image/svg+xml,{_svg(line.thinned(points), last)}>)"
        if len(drawn) < INLINE:
            break
    return drawn


def _svg(line: Curve, last: int) -> str:
    """Text in SVG, the characters escaped that neither a data URL nor Markdown can hold."""
    low, high = math.log(line.losses.min()), math.log(line.losses.max())
    spread = (high - low) or 1.0
    places = [
        (
            round(_LEFT + (_RIGHT - _LEFT) * float(step) / last),
            round(_BOTTOM - 4 - (_BOTTOM - _TOP - 8) * (math.log(loss) - low) / spread),
        )
        for step, loss in zip(line.steps, line.losses, strict=True)
    ]
    (left, top), *_ = places
    moves = [f"{x - x_before} {y - y_before}" for (x_before, y_before), (x, y) in pairwise(places)]
    path = f"M{left} {top}l" + " ".join(moves or ["1 0"])
    labels = [
        f"<text x='0' y='{_TOP + 8}'>{math.exp(high):.3g}</text>",
        f"<text x='0' y='{_BOTTOM}'>{math.exp(low):.3g}</text>",
        f"<text x='{_LEFT}' y='{_HEIGHT - 6}'>0</text>",
        f"<text x='{_RIGHT}' y='{_HEIGHT - 6}' text-anchor='end'>{last:,} steps</text>",
    ]
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}' "
        "fill='#888' font-family='sans-serif' font-size='12'>",
        f"<path d='M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}' fill='none' stroke='#bbb'/>",
        f"<path d='{path}' fill='none' stroke='{PALETTE[0]}' stroke-width='2'/>",
        *labels,
        "</svg>",
    ]
    return "".join(parts).translate(_ESCAPES)
