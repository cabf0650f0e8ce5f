"""The kinds of studies that ``studies`` simulates, with their targets."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks import study_designs as designs
from benchmarks.study_designs import Design, Truth, constant, grid

SPREAD = constant(0.05)
NONE = constant(0.0)
BY_RATE = (NONE, designs.line, designs.one_rate, designs.bowl)
"""Truths in which the learning rate alone has an effect, if anything has."""

COVERED = {"effects": (92, 98), "losses": (92, 98)}
NULL = {"false": (0, 6), "best": (0, 6)}
FOUND, FOUND_OF_TWO = {"found": (90, 100)}, {"found": (60, 100)}
RIGHT, EQUAL_BESTS = {"right": (97, 100)}, {"best": (0, 6)}


@dataclass(frozen=True)
class Cell:
    """A kind of study, and by column from where to where its number may be, of 100."""

    design: Design
    truth: Truth = NONE
    spread: Truth = SPREAD
    targets: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    common_seeds: float = 0.0
    """Correlation of the noise of two configurations with one seed."""

    heavy_tails: bool = False
    follow: bool = False
    """Whether the runs that are proposed for the learning rate are made, until none is proposed."""


PLANS: dict[str, Design] = {
    "3 x 3": grid(2, 1),
    "3 x 3, 2 seeds": grid(2, 2),
    "3 x 3, 3 seeds": grid(2, 3),
    "3 x 3 x 3": grid(3, 1),
    "one at a time": designs.one_at_a_time(1),
    "one at a time, 3 seeds": designs.one_at_a_time(3),
    "random search of 30": designs.random_search,
}
POWERFUL = ("3 x 3, 2 seeds", "3 x 3 x 3", "random search of 30")
UNEQUAL: dict[str, Truth] = {
    "3 to 40 by learning rate": designs.by_rate,
    "5, 5, 40 by weight decay": designs.by_decay,
    "one configuration at 40": designs.one_wild,
    "3 to 40 by configuration": designs.by_configuration,
}
PAIR, SIX = grid(1, 3, levels=2), designs.separate(6, 3)


def all_cells() -> dict[str, Cell]:
    """By name."""
    cells = {
        f"no effect, {name}, spread {percent}": Cell(
            plan, spread=constant(percent / 100), targets=NULL | COVERED
        )
        for name, plan in PLANS.items()
        for percent in (3, 10, 25, 40)
    }
    for kind, spread in UNEQUAL.items():
        for name, plan in PLANS.items():
            if name != "one at a time":
                cells[f"no effect, {name}, {kind}"] = Cell(plan, spread=spread, targets=NULL)
    for name in POWERFUL:
        cells[f"effect, {name}, a line"] = Cell(
            PLANS[name], designs.line, targets=FOUND | EQUAL_BESTS | COVERED
        )
    for name in POWERFUL[:2]:
        cells[f"effect, {name}, one rate"] = Cell(
            PLANS[name], designs.one_rate, targets=FOUND | EQUAL_BESTS | COVERED
        )
    cells["effect, 2 values, 3 seeds"] = Cell(
        PAIR, designs.line, targets=FOUND_OF_TWO | RIGHT | COVERED
    )
    cells |= {
        "best, six, one 20 better": Cell(SIX, designs.one_best, targets=RIGHT),
        "best, six, drawn": Cell(SIX, designs.drawn, targets=RIGHT),
        "best, 3 x 3, 2 seeds, drawn": Cell(grid(2, 2), designs.drawn, targets=RIGHT),
        "best, random search of 30, a bowl": Cell(
            designs.random_search, designs.bowl, targets=RIGHT
        ),
        "best, six, drawn, unequal spreads": Cell(
            SIX, designs.drawn, designs.by_configuration, targets=RIGHT
        ),
        "equal bests, two of six, 3 seeds": Cell(SIX, designs.two_bests, targets=EQUAL_BESTS),
        "equal bests, two of six, 5 seeds": Cell(
            designs.separate(6, 5), designs.two_bests, targets=EQUAL_BESTS
        ),
        "equal bests, two of two, 3 seeds": Cell(PAIR, targets=EQUAL_BESTS),
        "equal bests, 3 x 3, 2 seeds": Cell(grid(2, 2), designs.two_bests, targets=EQUAL_BESTS),
        "equal bests, two of six, unequal spreads": Cell(
            SIX, designs.two_bests, designs.by_configuration
        ),
        "proposals, 3 x 3, a line": Cell(
            grid(2, 1), designs.line, targets={"found": (95, 100)}, follow=True
        ),
        "proposals, 3 x 3, no effect": Cell(grid(2, 1), targets=NULL, follow=True),
    }
    for name in ("3 x 3, 2 seeds", "3 x 3, 3 seeds"):
        cells[f"common seeds, no effect, {name}"] = Cell(PLANS[name], common_seeds=0.83)
        cells[f"common seeds, effect, {name}"] = Cell(
            PLANS[name], designs.line, constant(0.15), common_seeds=0.83
        )
    for name in ("3 x 3", "3 x 3, 3 seeds", "3 x 3 x 3", "random search of 30"):
        cells[f"heavy tails, no effect, {name}"] = Cell(PLANS[name], heavy_tails=True)
    for seeds in (1, 3):
        cells[f"ten equal configurations, {seeds} seeds"] = Cell(designs.separate(10, seeds))
    return cells
