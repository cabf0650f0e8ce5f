"""Noise: its parts, how they are pooled, and where each is the one that decides."""

import json
import math
from typing import Any

import numpy as np
import pytest

from gr00t_assets.comparison.answers.headline import cautions
from gr00t_assets.comparison.compare import compare
from gr00t_assets.comparison.contrasts.contrasts import contrasts
from gr00t_assets.comparison.contrasts.factors import configurations
from gr00t_assets.comparison.contrasts.noise import (
    ASSUMED_SPREAD,
    Spread,
    end_level,
    holm_levels,
    logged_value_error,
    pooled_spread,
    quantiles,
    spread_of,
    tails,
)
from gr00t_assets.comparison.contrasts.ranking import comparability_classes
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.run import Run
from gr00t_assets_tests.comparison.synthetic_runs import synthetic_run


def sharp(mean: float) -> Loss:
    """A loss with next to no noise within its run."""
    return Loss(mean, 1e-6 * mean, 1024)


def seeds(name: str, *means: float, **settings: Any) -> list[Run]:
    return [
        synthetic_run(f"{name}-{seed}", sharp(mean), seed=seed, **settings)
        for seed, mean in enumerate(means)
    ]


def test_one_logged_value_is_known_to_its_number_of_samples() -> None:
    assert logged_value_error(0.2, 100) == pytest.approx(0.02)
    assert logged_value_error(0.2, 800) < logged_value_error(0.2, 100)


def test_the_spread_is_that_of_the_log_loss_pooled_over_replicates() -> None:
    runs = seeds("a", 0.1, 0.2) + seeds("b", 1.0, 2.0, learning_rate=5e-4)
    runs += seeds("alone", 7.0, learning_rate=1e-3)
    spread = spread_of(configurations(runs))
    assert (spread.measured, spread.repeats, spread.runs) == (True, 2, 4)
    assert spread.between == pytest.approx(math.log(2) / math.sqrt(2))


def test_without_replicates_the_spread_is_assumed() -> None:
    spread = spread_of(configurations(seeds("a", 0.1) + seeds("b", 0.2, learning_rate=5e-4)))
    assert not spread.measured
    assert spread.between == ASSUMED_SPREAD
    assert spread.variance(0.01) == pytest.approx(ASSUMED_SPREAD**2 + 0.01)


def test_two_runs_that_agree_by_luck_do_not_make_the_spread_none() -> None:
    lucky = spread_of(configurations(seeds("a", 0.1, 0.1)))
    assert lucky.between == pytest.approx(0, abs=1e-4)
    assert lucky.total == pytest.approx(ASSUMED_SPREAD**2 / 2, rel=1e-3)
    often = spread_of(configurations(seeds("a", *[0.1] * 40)))
    assert often.total == pytest.approx(ASSUMED_SPREAD**2 / 40, rel=1e-3)


def test_a_wide_spread_is_taken_as_measured() -> None:
    wide = spread_of(configurations(seeds("a", 0.1, 0.3, 0.2, 0.9)))
    assert wide.total == wide.measured_total


def test_runs_with_one_seed_repeat_each_other() -> None:
    runs = [
        synthetic_run(f"a{place}", sharp(0.1), seed=1, save_steps=place + 1) for place in range(5)
    ]
    one = configurations(runs)
    assert len(one) == 1
    assert len(one[0].runs) == 5
    assert not spread_of(one).measured
    assert end_level(one[0]).mean == pytest.approx(math.log(0.1))


def test_spreads_of_two_classes_are_pooled_by_their_repeats() -> None:
    both = pooled_spread([Spread(0.01, 0.0, 1, 2), Spread(0.04, 0.0, 3, 4), Spread()])
    assert both.measured_total == pytest.approx((0.01 + 3 * 0.04) / 4)
    assert (both.repeats, both.runs) == (4, 6)
    assert not pooled_spread([Spread(), Spread()]).measured


def test_quantiles_are_those_of_t_or_of_the_normal_distribution() -> None:
    degrees = np.array([0, 1, 10])
    found = quantiles(degrees, np.full(3, 0.025))
    np.testing.assert_allclose(found, [1.959964, 12.706205, 2.228139], rtol=1e-6)
    np.testing.assert_allclose(tails(degrees, found), 0.025, rtol=1e-6)


def test_holm_tests_the_least_likely_first() -> None:
    levels = holm_levels(np.array([0.9, 0.001, 0.02, 0.04]), 0.05)
    np.testing.assert_allclose(levels, [0.05 / 3, 0.0125, 0.05 / 3, 0.05 / 3])
    np.testing.assert_allclose(holm_levels(np.array([0.01, 0.02]), 0.05), [0.025, 0.05])
    assert len(holm_levels(np.zeros(0), 0.05)) == 0


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        ((0.1,), (0.11,), "inconclusive"),
        ((0.1,), (0.25,), "controlled"),
        ((0.1, 0.11, 0.105), (0.106, 0.104, 0.108), "within_noise"),
        ((0.1, 0.11, 0.105), (0.2, 0.21, 0.205), "controlled"),
        ((0.1, 0.1), (0.2,), "inconclusive"),
    ],
)
def test_verdicts_of_sharp_losses(
    low: tuple[float, ...], high: tuple[float, ...], verdict: str
) -> None:
    runs = seeds("low", *low, learning_rate=1e-4) + seeds("high", *high, learning_rate=5e-4)
    (found,) = contrasts(runs, "learning_rate")
    assert found.verdict == verdict
    assert (len(found.low), len(found.high)) == (len(low), len(high))
    assert found.effect is not None and found.interval is not None
    outside = not found.interval[0] < 0 < found.interval[1]
    assert outside == (verdict == "controlled")
    assert found.interval[0] < found.effect < found.interval[1]


def test_the_seed_itself_is_held_against_noise_within_the_runs() -> None:
    noisy = [
        synthetic_run("a", Loss(0.1, 0.02, 100), seed=1),
        synthetic_run("b", Loss(0.12, 0.02, 100), seed=2),
    ]
    (found,) = contrasts(noisy, "seed")
    assert (found.verdict, found.confounders) == ("within_noise", ())
    (found,) = contrasts(seeds("a", 0.1, 0.12), "seed")
    assert found.verdict == "controlled"


def unknown(name: str, *means: float, **settings: Any) -> list[Run]:
    """Runs whose final window is too short to tell its standard error."""
    return [
        synthetic_run(f"{name}-{seed}", Loss(mean, None, 100), seed=seed, **settings)
        for seed, mean in enumerate(means)
    ]


def test_an_unknown_error_is_never_taken_as_none() -> None:
    runs = unknown("low", 0.1) + unknown("high", 0.9, learning_rate=5e-4)
    (found,) = contrasts(runs, "learning_rate")
    assert (found.verdict, found.interval) == ("inconclusive", None)
    assert "the noise within the runs cannot be told" in found.reason
    assert found.effect == pytest.approx(0.8)
    first, second = comparability_classes(runs)[0].ranking
    assert second.tied_with_best and second.place == 2
    assert (first.interval, first.loss.standard_error) == (None, None)


def test_an_unknown_error_beside_a_measured_spread_is_that_of_the_replicates() -> None:
    runs = unknown("low", 0.1, 0.11, 0.105) + unknown("high", 0.2, 0.21, 0.2, learning_rate=5e-4)
    (found,) = contrasts(runs, "learning_rate")
    assert found.verdict == "controlled"
    assert found.interval is not None


def test_a_comparison_with_unknown_errors_has_only_numbers_that_json_has() -> None:
    runs = unknown("low", 0.1) + unknown("high", 0.9, learning_rate=5e-4)
    comparison = compare(runs)
    json.dumps(comparison.as_json(), allow_nan=False)
    assert "low-0, 0.1 ± ?" in comparison.headline
    assert any("cannot be told" in caution for caution in cautions(runs))
    assert "cannot be told" in comparison.answers[0].sentence
    assert not any(" inf " in proposal.reason for proposal in comparison.proposals)
