"""Verdicts on simulated runs whose truth is known, with fixed seeds.

``benchmarks/studies.py`` measures the rates; here they are held to bounds that chance alone breaks
once in a thousand changes, over designs that hurt.
"""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets_tests.comparison.statistics.made_runs import DECAYS, RATES, effect, run
from gr00t_assets_tests.comparison.synthetic_runs import drawn_curve, synthetic_run

DRAWS = 60
Settings = dict[str, Any]
GRID = [{"learning_rate": a, "weight_decay": b} for a, b in product(RATES, DECAYS)]
CUBE = [item | {"warmup_ratio": ratio} for item, ratio in product(GRID, (0.0, 0.05, 0.1))]
TWO = [{"learning_rate": 1e-4}, {"learning_rate": 5e-4}]


def simulated(
    draw: np.random.Generator,
    cells: list[Settings],
    seeds: int,
    spread: Callable[[Settings], float],
    loss: Callable[[Settings], float] = lambda item: 0.1,
) -> list[Run]:
    """Runs of each configuration; what seeds have in common is as large as what they do not."""
    common = draw.normal(0, 0.05, seeds)
    return [
        run(f"run-{place}-{seed}",
            loss(item) * math.exp(common[seed] + draw.normal(0, spread(item))),
            **item, seed=seed)
        for place, item in enumerate(cells)
        for seed in range(seeds)
    ]  # fmt: skip


SPREADS: dict[str, Callable[[Settings], float]] = {
    "narrow": lambda item: 0.03,
    "wide": lambda item: 0.4,
    "by learning rate": lambda item: 0.05 if item["learning_rate"] < 5e-4 else 0.4,
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize(("cells", "seeds"), [(GRID, 1), (GRID, 3), (CUBE, 1)])
def test_what_has_no_effect_is_hardly_ever_called_controlled(
    cells: list[Settings], seeds: int, spread: str
) -> None:
    false = 0
    for number in range(DRAWS):
        draw = np.random.default_rng([number, len(cells), seeds])
        found = all_effects(simulated(draw, cells, seeds, SPREADS[spread]))
        false += any(item.verdict == "controlled" for group in found.values() for item in group)
    assert false <= 10, "5 of 100 are 3 of 60"


@pytest.mark.parametrize(("cells", "seeds"), [(GRID, 2), (CUBE, 1), (TWO, 6)])
def test_an_effect_of_30_percent_is_found(cells: list[Settings], seeds: int) -> None:
    top = max(item["learning_rate"] for item in cells)
    shown = held = 0
    for number in range(DRAWS):
        draw = np.random.default_rng([number, 7])
        runs = simulated(draw, cells, seeds, lambda item: 0.05,
                         lambda item: 0.13 if item["learning_rate"] == top else 0.1)  # fmt: skip
        found = effect(runs)
        shown += found.verdict == "controlled"
        assert found.interval is not None
        held += found.interval[0] <= 1.3 <= found.interval[1]
    assert shown >= 0.9 * DRAWS
    assert held >= 0.85 * DRAWS


def test_steps_that_move_with_the_rate_confound_it_in_every_draw() -> None:
    cells = [
        {"learning_rate": rate, "max_steps": steps}
        for rate, steps in zip(RATES, (400, 300, 200), strict=True)
    ]
    for number in range(DRAWS):
        draw = np.random.default_rng(number)
        runs = simulated(draw, cells, 3, lambda item: 0.1, lambda item: 40 / item["max_steps"])
        assert effect(runs).verdict == "confounded"


def test_a_batch_size_that_only_saw_more_samples_is_confounded_in_every_draw() -> None:
    cells = [{"batch_size": 8}, {"batch_size": 32}]
    for number in range(DRAWS):
        draw = np.random.default_rng(number)
        runs = simulated(draw, cells, 3, lambda item: 0.1, lambda item: 1 / item["batch_size"])
        assert effect(runs, "batch_size").verdict == "confounded"


def test_of_two_equal_configurations_neither_is_named_the_best() -> None:
    named = 0
    for number in range(DRAWS):
        draw = np.random.default_rng([number, 3])
        (found,) = comparability_classes(simulated(draw, TWO, 4, lambda item: 0.1))
        named += found.best is not None
    assert named <= 10


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_curves_whose_steps_resemble_one_another_are_told_apart_by_their_seeds(
    memory: float,
) -> None:
    right = false = 0
    for number in range(DRAWS):
        draw = np.random.default_rng(number)
        losses = dict(enumerate(draw.normal(0, 0.1, 8)))
        for level, count in ((0.2, "right"), (0.1, "false")):
            runs = [
                synthetic_run(
                    f"{rate}-{seed}",
                    curve=drawn_curve(draw, base * math.exp(losses[4 * place + seed]),
                                      memory=memory),
                    learning_rate=rate, seed=4 * place + seed,
                )
                for place, (rate, base) in enumerate(((1e-4, 0.1), (5e-4, level)))
                for seed in range(4)
            ]  # fmt: skip
            found = effect(runs).verdict == "controlled"
            right += found and count == "right"
            false += found and count == "false"
    assert right >= 0.9 * DRAWS
    assert false <= 9
