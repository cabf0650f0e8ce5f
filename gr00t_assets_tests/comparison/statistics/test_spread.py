"""How much two runs of one configuration differ, and the losses that it is told from."""

import math
from typing import Any

import pytest

from gr00t_assets.comparison.answers.headline import cautions
from gr00t_assets.comparison.curves import Loss, logged_value_error
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.factors import (
    Spread,
    configurations,
    observations,
    pooled,
    repeated_spread,
)
from gr00t_assets.comparison.wording import first_label
from gr00t_assets_tests.comparison.statistics.made_runs import effect, run, said, seeds
from gr00t_assets_tests.comparison.synthetic_runs import synthetic_run


def spread_of(runs: list[Run]) -> Spread:
    return repeated_spread(configurations(runs))


def test_one_logged_value_is_known_to_its_number_of_samples():
    assert logged_value_error(0.2, 100) == pytest.approx(0.02)
    assert logged_value_error(0.2, 800) < logged_value_error(0.2, 100)


def test_the_spread_is_that_of_the_log_loss_pooled_over_replicates():
    runs = seeds("a", 0.1, 0.2) + seeds("b", 1.0, 2.0, learning_rate=5e-4)
    spread = spread_of(runs + seeds("alone", 7.0, learning_rate=1e-3))
    assert (spread.source, spread.degrees, spread.runs) == ("repeated seeds", 2, 4)
    assert spread.deviation == pytest.approx(math.log(2) / math.sqrt(2))
    assert spread.percent == pytest.approx(100 * math.expm1(math.log(2) / math.sqrt(2)))


def test_without_replicates_nothing_is_assumed():
    spread = spread_of(seeds("a", 0.1) + seeds("b", 0.2, learning_rate=5e-4))
    assert (spread.deviation, spread.percent, spread.source) == (None, None, "none")


def test_runs_with_one_seed_repeat_each_other():
    runs = [run(f"a{n}", 0.1 + n / 100, seed=1, save_steps=n + 1) for n in range(5)]
    (one,) = configurations(runs)
    assert len(one.runs) == 5
    assert first_label(one.runs) == "a0 (5 runs of 1 seed)"
    assert len(observations([one])) == 1
    assert spread_of(runs).source == "none"
    assert one.log_loss == pytest.approx(sum(math.log(0.1 + n / 100) for n in range(5)) / 5)


def test_unknown_seeds_are_taken_as_different_ones():
    runs = [run(f"a{n}", loss, seed=None) for n, loss in enumerate((0.1, 0.11, 0.12))]
    assert spread_of(runs).degrees == 2


def test_spreads_of_similar_classes_are_pooled_by_their_degrees_of_freedom():
    both = pooled([Spread(0.1, 1, "repeated seeds", 2), Spread(0.2, 3, "repeated seeds", 4)])
    assert both.deviation == pytest.approx(math.sqrt((0.01 + 3 * 0.04) / 4))
    assert (both.degrees, both.runs, both.source) == (4, 6, "similar classes")
    assert pooled([Spread(), Spread()]).source == "none"


def unknown(name: str, *means: float, **settings: Any) -> list[Run]:
    """Runs whose final window is too short to tell its standard error."""
    return [
        synthetic_run(f"{name}-{seed}", Loss(mean, None, 100), seed=seed, **settings)
        for seed, mean in enumerate(means)
    ]


def test_an_unknown_error_within_the_runs_is_never_taken_as_none():
    runs = unknown("low", 0.1) + unknown("high", 0.9, learning_rate=5e-4)
    found = effect(runs)
    assert (found.verdict, found.interval) == ("inconclusive", None)
    comparison = said(runs)
    first, second = comparison.classes[0].ranking
    assert second.tied and second.place == 2
    assert (first.interval, first.loss.standard_error) == (None, None)
    assert "low-0, 0.1 ± ?" in comparison.headline
    assert any("cannot be told" in caution for caution in cautions(runs))


def test_an_unknown_error_beside_a_measured_spread_is_that_between_runs():
    runs = unknown("low", 0.1, 0.11, 0.105) + unknown("high", 0.2, 0.21, 0.2, learning_rate=5e-4)
    assert effect(runs).verdict == "controlled"
    first, second = said(runs).classes[0].ranking
    assert first.interval is not None and first.loss.standard_error is not None
    assert not second.tied_with_best


def test_the_seed_is_a_question_of_its_own():
    (answer,) = [x for x in said(seeds("a", 0.1, 0.12)).answers if x.factor == "seed"]
    assert answer.verdict == "within_noise"
    assert answer.sentence.startswith("Runs that differ in the seed alone differ by about 14 perc")
