"""The error at each step of the horizon as an SVG of a few hundred characters.

Dagster's page shows Markdown in place where it is shorter than 1,000 characters, and behind a link
where it is longer.
"""

from collections.abc import Sequence

from gr00t_assets.evaluation.figures import PREDICTED, RULES
from gr00t_assets.evaluation.result import Evaluation

_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 300, 8, 84
_POINTS = 9
_ESCAPES = str.maketrans({"<": "%3C", ">": "%3E", "#": "%23"})
_DASHES = {"dash": "6", "dot": "2"}


def horizon_svg(evaluation: Evaluation) -> str:
    """The policy as a full line, holding as a dashed one, the mean action as a dotted one.

    Returns:
        SVG for a data URL, its special characters escaped.
    """
    part = evaluation.main
    lines = [(PREDICTED, "0", [each.mean for each in part.by_step])]
    for rule in part.baselines:
        color, dash = RULES[rule.name]
        lines.append((color, _DASHES[dash], list(rule.by_step)))
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
