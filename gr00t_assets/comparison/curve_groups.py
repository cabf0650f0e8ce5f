"""Which curves share axes, and how each experiment is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.standings import class_of, ranked_classes, shown_runs

DRAWN = 60
"""Curves on shared axes at most; no one can tell more of them apart."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31")
"""Okabe and Ito's colours for the colour-blind without black and yellow, and one brown."""

DASHES = ("solid", "dash", "dot", "dashdot")
"""Line styles that tell apart experiments that share a colour."""


@dataclass(frozen=True)
class Style:
    """How an experiment is drawn, in every plot and table of one sweep."""

    color: str
    dash: str


def run_styles(runs: Sequence[Run]) -> dict[str, Style]:
    """A style for each experiment, by name: the colour is that of its place in the sweep."""
    names = [run.name for run in shown_runs(runs)]
    return {
        name: Style(PALETTE[index % len(PALETTE)], DASHES[index // len(PALETTE) % len(DASHES)])
        for index, name in enumerate(names)
    }


def curve_groups(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """The runs to draw on shared axes: one group where no two classes meet, else one a class.

    Stale runs and runs without a logged loss are left out. Within a group ranked runs come first,
    in order of rank. Of more than :data:`DRAWN` the first are drawn, and the title says so.
    """
    drawn = [run for run in shown_runs(runs) if not run.stale and np.isfinite(run.losses).any()]
    ranked = [run for each in ranked_classes(runs) for run in each.runs]
    order = {run.name: place for place, run in enumerate(ranked)}
    drawn.sort(key=lambda run: order.get(run.name, len(order)))
    groups: dict[str, list[Run]] = {}
    for run in drawn:
        group = class_of(run)
        groups.setdefault(f"class {group}" if group else "no class yet", []).append(run)
    if sum(name != "no class yet" for name in groups) < 2:
        groups = {"": drawn} if drawn else {}
    return [_drawn(title, members) for title, members in groups.items()]


def _drawn(title: str, members: list[Run]) -> tuple[str, list[Run]]:
    if len(members) <= DRAWN:
        return title, members
    cut = f"the first {DRAWN} of {len(members):,} runs, by rank"
    return f"{title}, {cut}" if title else cut, members[:DRAWN]
