"""Verdicts on simulated runs whose truth is known, with fixed seeds.

A scenario has 100 draws, and 200 where nothing is planted: a rate of a few percent is not to be
told from 5 percent in a hundred draws.

Every scenario draws the noise within runs (curves whose neighbouring steps may resemble each
other, or one logged value) and the difference between two runs of one configuration, plants an
effect or none, and says which verdicts are right of the contrast between the first and the last
value of the factor, or of all contrasts of the question.
"""

import math
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import pytest

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.contrasts import contrasts
from gr00t_assets.comparison.run import Run
from gr00t_assets_tests.comparison.synthetic_runs import drawn_curve, synthetic_run

DRAWS, DRAWS_WITHOUT_EFFECT = 100, 200
QUIET = ("within_noise", "inconclusive")
RATES = (1e-4, 2e-4, 5e-4)


@dataclass(frozen=True)
class Scenario:
    """What is planted, what is asked, and what a right answer is.

    Attributes:
        make: Makes the runs of one draw.
        factor: What is asked about.
        right: Verdicts that are right.
        effect: Whether there is one to be found, and its sign.
        basis: Only contrasts whose losses are taken there are judged.
        which: Whether only clean contrasts, or only those of matched pairs, are judged.
    """

    make: Callable[[np.random.Generator], list[Run]]
    factor: str
    right: Collection[str]
    effect: int = 0
    basis: str = "end"
    which: Literal["all", "clean", "matched"] = "all"


def runs(
    draw: np.random.Generator,
    configurations: list[dict[str, Any]],
    levels: list[float],
    seeds: int = 1,
    spread: float = 0.1,
    memory: float = 0.0,
    curves: bool = True,
) -> list[Run]:
    """Runs of configurations whose losses are ``levels`` but for noise, with so many seeds each."""
    found = []
    for (place, settings), seed in product(enumerate(configurations), range(seeds)):
        level = levels[place] * math.exp(draw.normal(0, spread))
        steps, batch = settings.get("max_steps", 400), settings.get("batch_size", 8)
        assert isinstance(steps, int) and isinstance(batch, int)
        name = f"run-{place}-{seed}"
        if curves:
            curve = drawn_curve(draw, level, steps, batch, memory=memory)
            found.append(synthetic_run(name, curve=curve, **{"seed": seed, **settings}))
        else:
            samples = 10 * batch
            value = level * draw.gamma(samples, 1 / samples)
            found.append(synthetic_run(name, float(value), **{"seed": seed, **settings}))
    return found


def rates(*values: float, **more: Any) -> list[dict[str, Any]]:
    return [{"learning_rate": value, **more} for value in values]


def moved(draw: np.random.Generator) -> list[Run]:
    """Learning rate and steps together; the loss follows the samples seen."""
    settings = [
        {"learning_rate": rate, "max_steps": steps}
        for rate, steps in zip(RATES, (400, 300, 200), strict=True)
    ]
    return runs(draw, settings, [0.1, 0.13, 0.2], seeds=3)


def same_samples(draw: np.random.Generator) -> list[Run]:
    settings: list[dict[str, Any]] = [
        {"batch_size": 8, "max_steps": 400},
        {"batch_size": 32, "max_steps": 100},
    ]
    return runs(draw, settings, [0.2, 0.1], seeds=4)


def constant(draw: np.random.Generator) -> list[Run]:
    """Equal steps under a constant schedule: at equal samples only the batch size differs."""
    settings: list[dict[str, Any]] = [
        {"batch_size": size, "lr_scheduler_type": "constant"} for size in (8, 32)
    ]
    found = runs(draw, settings[:1], [0.3], seeds=4)
    more = runs(draw, settings[1:], [0.1], seeds=4)
    return found + [_renamed(run) for run in more]


def _renamed(run: Run) -> Run:
    return replace(run, run_id=run.run_id + "-large")


def grid(levels: list[float]) -> Callable[[np.random.Generator], list[Run]]:
    return lambda draw: runs(draw, rates(*RATES), levels, seeds=3)


def factorial(levels: list[float]) -> Callable[[np.random.Generator], list[Run]]:
    """Two rates beside three decays and two warm-ups, which have effects of their own."""

    def make(draw: np.random.Generator) -> list[Run]:
        settings, losses = [], []
        for rate, level in zip((1e-4, 5e-4), levels, strict=True):
            for decay, warmup in product((0.0, 1e-5, 1e-2), (0.0, 0.05)):
                settings.append(
                    {"learning_rate": rate, "weight_decay": decay, "warmup_ratio": warmup}
                )
                losses.append(level * (1 + 40 * decay) * (1 + 4 * warmup))
        return runs(draw, settings, losses, spread=0.2)

    return make


SCENARIOS = {
    "effect of 2, four seeds": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.1, 0.2], seeds=4),
        "learning_rate", {"controlled"}, 1,
    ),
    "effect of 1/3, curves, one seed": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.45, 0.1]),
        "learning_rate", {"controlled"}, -1,
    ),
    "effect of 2, correlated steps": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.1, 0.2], seeds=4, memory=0.9),
        "learning_rate", {"controlled"}, 1,
    ),
    "effect of 15, one logged value": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4, batch_size=1), [0.1, 1.5], curves=False),
        "learning_rate", {"controlled"}, 1,
    ),
    "batch size at equal samples": Scenario(same_samples, "batch_size", {"controlled"}, -1),
    "batch size, constant schedule": Scenario(
        constant, "batch_size", {"controlled"}, -1, "equal samples"
    ),
    "twice the steps, four seeds": Scenario(
        lambda draw: runs(draw, [{"max_steps": 200}, {"max_steps": 400}], [0.2, 0.1], seeds=4),
        "max_steps", {"controlled"}, -1,
    ),
    "grid with one seed, effect of 3": Scenario(
        factorial([0.1, 0.3]), "learning_rate", {"controlled"}, 1, which="matched"
    ),
    "samples seen planted": Scenario(
        lambda draw: runs(draw, [{"batch_size": 8}, {"batch_size": 32}], [0.2, 0.1], seeds=3),
        "batch_size", {"confounded"},
    ),
    "steps planted beside the rate": Scenario(moved, "learning_rate", {"confounded"}),
    "second factor planted": Scenario(
        lambda draw: runs(
            draw,
            [{"learning_rate": 1e-4}, {"learning_rate": 5e-4, "warmup_ratio": 0.0}],
            [0.1, 0.3], seeds=4,
        ),
        "learning_rate", {"confounded"},
    ),
    "no effect, four seeds": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.1, 0.1], seeds=4),
        "learning_rate", QUIET,
    ),
    "no effect, wide spread": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.1, 0.1], seeds=3, spread=0.25),
        "learning_rate", QUIET,
    ),
    "no effect, two seeds": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.1, 0.1], seeds=2, spread=0.15),
        "learning_rate", QUIET,
    ),
    "no effect, one seed": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.1, 0.1], spread=0.2),
        "learning_rate", QUIET,
    ),
    "no effect, correlated steps": Scenario(
        lambda draw: runs(draw, rates(1e-4, 5e-4), [0.1, 0.1], seeds=3, memory=0.95),
        "learning_rate", QUIET,
    ),
    "no effect, three rates": Scenario(grid([0.1, 0.1, 0.1]), "learning_rate", QUIET),
    "no effect, grid with one seed": Scenario(
        factorial([0.1, 0.1]), "learning_rate", QUIET, which="clean"
    ),
    "no effect, one logged value": Scenario(
        lambda draw: runs(
            draw, rates(*RATES, batch_size=1), [0.1, 0.1, 0.1], curves=False, spread=0.2
        ),
        "learning_rate", QUIET,
    ),
    "no effect, immaterial change": Scenario(
        lambda draw: runs(
            draw,
            [{"learning_rate": 1e-4}, {"learning_rate": 5e-4, "save_steps": 50}],
            [0.1, 0.1], seeds=3,
        ),
        "learning_rate", QUIET,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Tally:
    """Of the draws of a scenario: right verdicts, and effects claimed that are not there."""

    draws: int
    right: int
    false: int

    @property
    def share_right(self) -> float:
        return self.right / self.draws

    @property
    def share_false(self) -> float:
        return self.false / self.draws


def tally(name: str, scenario: Scenario) -> Tally:
    right = false = 0
    draws = DRAWS_WITHOUT_EFFECT if name.startswith("no effect") else DRAWS
    for number in range(draws):
        draw = np.random.default_rng([number, *name.encode()])
        found = [
            contrast
            for contrast in contrasts(scenario.make(draw), scenario.factor)
            if contrast.basis == scenario.basis
            and (scenario.which != "clean" or not contrast.confounders)
            and (scenario.which != "matched" or len(contrast.low) > 1)
        ]
        judged = [_is_right(contrast, scenario) for contrast in found]
        right += bool(judged) and all(judged)
        false += not scenario.effect and any(one.verdict == "controlled" for one in found)
    return Tally(draws, right, false)


def _is_right(contrast: Contrast, scenario: Scenario) -> bool:
    assert contrast.effect is not None
    signed = not scenario.effect or contrast.effect * scenario.effect > 0
    return contrast.verdict in scenario.right and signed


@pytest.fixture(scope="module")
def tallies() -> dict[str, Tally]:
    return {name: tally(name, scenario) for name, scenario in SCENARIOS.items()}


def table(tallies: dict[str, Tally]) -> str:
    lines = [f"{'scenario':<34}{'draws':>6}{'right':>7}{'false controlled':>18}"]
    for name, one in tallies.items():
        shown = "" if SCENARIOS[name].effect else str(one.false)
        lines.append(f"{name:<34}{one.draws:>6}{one.right:>7}{shown:>18}")
    return "\n".join(lines)


def test_verdicts_are_right_in_95_of_100_draws(
    tallies: dict[str, Tally], capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{table(tallies)}\n")
    assert {name: one for name, one in tallies.items() if one.share_right < 0.95} == {}


def test_less_than_5_percent_of_what_has_no_effect_is_called_controlled(
    tallies: dict[str, Tally],
) -> None:
    without = {name: one for name, one in tallies.items() if name.startswith("no effect")}
    assert len(without) >= 8
    assert {name: one for name, one in without.items() if one.share_false >= 0.05} == {}
    false = sum(one.false for one in without.values())
    assert false < 0.03 * sum(one.draws for one in without.values())


def test_a_confounded_effect_is_never_called_controlled(tallies: dict[str, Tally]) -> None:
    planted = [one for name, one in tallies.items() if "planted" in name]
    assert len(planted) == 3
    assert all(one.false == 0 for one in planted)
