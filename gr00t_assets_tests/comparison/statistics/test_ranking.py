"""The order of configurations, the chance to be the best, and what may be called the best."""

import math

import numpy as np
import pytest

from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets_tests.comparison.statistics.made_runs import run, said, seeds

NOISE = (0.98, 1.0, 1.02)


def configurations_of(*levels: float, noise: tuple[float, ...] = NOISE) -> list[Run]:
    """Of each level three runs; no two have the same seed's luck."""
    return [
        item
        for n, level in enumerate(levels)
        for item in seeds(
            f"c{n}",
            *(level * noise[(seed + n) % len(noise)] for seed in range(len(noise))),
            learning_rate=1e-4 * (n + 1),
        )
    ]


def only_class(runs: list[Run], band: float = 0.05):
    (found,) = comparability_classes(runs, band)
    return found


def test_replicates_share_a_place_and_their_geometric_mean():
    first, second = only_class(
        [*seeds("b", 0.03), *seeds("a", 0.02, 0.005, learning_rate=1e-3)]
    ).ranking
    assert [item.run_id for item in first.runs] == ["a-0", "a-1"]
    assert first.loss.mean == pytest.approx(0.01)
    assert (first.place, second.place) == (1, 2)
    assert first.interval is not None and first.loss.standard_error is not None
    assert first.interval[0] < first.loss.mean < first.interval[1]


def test_the_interval_is_students_with_the_spread_between_runs():
    """Log losses -0.02, 0 and 0.02 twice: deviation 0.02 with four degrees, t is 2.7764."""
    shift = tuple(math.exp(x) for x in (-0.02, 0.0, 0.02))
    first = only_class(configurations_of(0.1, 0.2, noise=shift)).ranking[0]
    half = 2.7764 * 0.02 / math.sqrt(3)
    assert first.interval == pytest.approx((0.1 * math.exp(-half), 0.1 * math.exp(half)), rel=1e-4)


def test_the_best_is_named_where_it_is_apart_from_every_other():
    found = only_class(configurations_of(0.1, 0.2, 0.3))
    assert found.best is not None and found.best.run.run_id == "c0-0"
    assert [place.tied_with_best for place in found.ranking] == [True, False, False]
    assert found.best.chance_best == pytest.approx(1, abs=0.01)


def test_equal_ones_are_tied_and_none_is_named():
    found = only_class(configurations_of(0.1, 0.1005, 0.3, noise=(0.99, 1.0, 1.01)))
    assert found.best is None
    assert [place.tied for place in found.ranking] == [False, True, False]
    chances = [place.chance_best or 0.0 for place in found.ranking]
    assert sum(chances) == pytest.approx(1)
    assert chances[0] > chances[1] > 0.1 > chances[2]
    assert [place.run.run_id for place in found.good] == ["c0-0", "c1-0"]
    assert only_class(list(found.runs), band=1e-4).good == ()


def test_one_run_beside_repeated_ones_is_not_the_best():
    found = only_class([*configurations_of(0.1, 0.2), run("lucky", 0.01, learning_rate=9e-3)])
    assert found.ranking[0].run.run_id == "lucky"
    assert found.best is None
    assert "it ran once where others were repeated" in said(list(found.runs)).headline


def test_two_runs_that_agree_are_the_best_only_where_they_are_far_apart_from_the_others():
    others = configurations_of(0.1, 0.1, 0.1, 0.1, noise=(0.95, 1.05))

    def with_first(*losses: float) -> list[Run]:
        return [*others, *seeds("low", *losses, first_seed=7, learning_rate=9e-3)]

    twice = with_first(0.0749, 0.0751)
    assert only_class(twice).ranking[0].run.run_id == "low-0"
    assert only_class(twice).best is None
    assert "it ran twice, which tells little of its own noise" in said(twice).headline
    assert only_class(with_first(0.0749, 0.075, 0.0751, 0.075)).best is not None
    assert only_class(with_first(0.0299, 0.0301)).best is not None


def test_a_configuration_of_which_runs_failed_is_not_the_best():
    runs = [*configurations_of(0.2), *seeds("risky", 0.1, 0.101, 0.099, None, learning_rate=1e-3)]
    found = only_class(runs)
    first = found.ranking[0]
    assert (first.finished, first.started, first.failed) == (3, 4, 1)
    assert first.survivors == "3 of 4 finished"
    assert found.best is None


def test_the_lowest_of_many_equal_ones_is_expected_to_rise():
    rng = np.random.default_rng(1)
    runs = [
        item
        for n in range(10)
        for item in seeds(f"c{n}", *np.exp(rng.normal(0, 0.1, 2)).tolist(),
                          learning_rate=1e-4 * (n + 1))
    ]  # fmt: skip
    first = only_class(runs).ranking[0]
    assert first.expected is not None and first.chance_best is not None
    assert first.loss.mean < first.expected < 1.05
    assert first.chance_best < 0.5
    assert "the lowest of 10 and so probably" in said(runs).headline


def test_what_a_common_seed_adds_does_not_tie_configurations():
    shift, noise = np.array([0.5, 1.0, 2.0]), np.array([1.0, 1.01, 0.99])
    runs = [
        item
        for n, level in enumerate((0.1, 0.12, 0.15))
        for item in seeds(
            f"c{n}", *(level * shift * np.roll(noise, n)).tolist(), learning_rate=1e-4 * (n + 1)
        )
    ]
    found = only_class(runs)
    assert found.spread.deviation is not None and found.spread.deviation > 0.5
    assert found.best is not None, "every seed has the same order"
    first = found.ranking[0]
    assert first.interval is not None and first.expected_interval is not None
    assert first.interval[1] / first.interval[0] == pytest.approx(math.exp(2 * 1.724), rel=0.01), (
        "three seeds that all share are two degrees of freedom, not six"
    )
    assert first.expected_interval[0] < 0.05 and first.expected_interval[1] > 0.3


def test_two_runs_without_a_spread_are_tied():
    found = only_class([run("a", 0.1), run("b", 0.2, learning_rate=5e-4)])
    assert found.best is None
    assert [place.interval for place in found.ranking] == [None, None]
    assert found.ranking[1].tied
