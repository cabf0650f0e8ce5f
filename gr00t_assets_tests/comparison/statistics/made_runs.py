"""Runs whose losses are known to the last digit, and what is said of them."""

import json
from collections.abc import Sequence
from typing import Any

from gr00t_assets.comparison import Comparison, compare
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.effects import Effect
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets_tests.comparison.synthetic_runs import synthetic_run

RATES = (1e-4, 3e-4, 1e-3)
DECAYS = (0.0, 1e-4, 1e-2)


def run(name: str, loss: float | None, **settings: Any) -> Run:
    """A run with next to no noise within it; without a loss it failed."""
    if loss is None:
        return synthetic_run(name, None, status="failed", **settings)
    return synthetic_run(name, Loss(loss, 1e-6 * loss, 1024), **settings)


def seeds(name: str, *losses: float | None, first_seed: int = 0, **settings: Any) -> list[Run]:
    """Runs of one configuration."""
    return [
        run(f"{name}-{seed}", loss, seed=first_seed + seed, **settings)
        for seed, loss in enumerate(losses)
    ]


def effect(runs: Sequence[Run], factor: str = "learning_rate") -> Effect:
    """What the only class says of a factor."""
    (found,) = all_effects(runs)[factor]
    return found


def said(runs: Sequence[Run]) -> Comparison:
    """The comparison, with all that must hold of any."""
    comparison = compare(list(runs))
    json.dumps(comparison.to_json(), allow_nan=False)
    assert comparison.headline
    assert all(answer.sentence and answer.question for answer in comparison.answers)
    assert all(limit for answer in comparison.answers for limit in answer.limits)
    return comparison


def sentence(runs: Sequence[Run], factor: str = "learning_rate") -> str:
    """The answer to one question."""
    return next(answer.sentence for answer in said(runs).answers if answer.factor == factor)
