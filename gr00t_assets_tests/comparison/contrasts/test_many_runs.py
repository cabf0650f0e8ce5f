"""With many runs the number of contrasts grows in proportion to theirs."""

from dataclasses import replace

import numpy as np
import pytest

from gr00t_assets.comparison.contrasts.contrasts import ALL_PAIRS, all_contrasts, contrasts
from gr00t_assets.comparison.contrasts.ranking import comparability_classes
from gr00t_assets.comparison.run import Run
from gr00t_assets_tests.comparison.synthetic_runs import DATA, synthetic_run

FACTORS = ("learning_rate", "batch_size", "weight_decay")


def searched(count: int) -> list[Run]:
    """A random search: hardly two runs share a learning rate."""
    draw = np.random.default_rng(0)
    return [
        synthetic_run(
            f"run-{place}",
            float(draw.lognormal(-2, 0.3)),
            learning_rate=float(f"{10 ** draw.uniform(-5, -3):.5g}"),
            batch_size=int(draw.choice([1, 8, 32])),
            weight_decay=float(draw.choice([0.0, 1e-5, 1e-4])),
            seed=place,
        )
        for place in range(count)
    ]


def planned(rates: int) -> list[Run]:
    """A grid over learning rate and batch size at equal samples."""
    return [
        synthetic_run(
            f"{rate}-{batch}",
            0.1,
            learning_rate=(rate + 1) * 1e-5,
            batch_size=batch,
            max_steps=steps,
        )
        for rate in range(rates)
        for batch, steps in ((8, 400), (32, 100))
    ]


def counted(runs: list[Run]) -> int:
    return sum(len(found) for found in all_contrasts(runs).values())


@pytest.mark.parametrize("make", [searched, lambda count: planned(count // 2)])
def test_the_number_of_contrasts_is_in_proportion_to_that_of_runs(make) -> None:
    few, many = counted(make(200)), counted(make(800))
    assert 0 < many < 5 * few
    assert many < 12 * 800


@pytest.mark.parametrize("factor", FACTORS)
def test_every_value_of_a_search_is_in_a_contrast(factor: str) -> None:
    runs = searched(120)
    found = contrasts(runs, factor)
    values = {run.settings[factor] for run in runs}
    seen = {run.settings[factor] for one in found for run in (*one.low, *one.high)}
    assert seen == values
    assert {one.verdict for one in found if one.confounders} <= {"confounded"}


def test_near_neighbours_of_a_search_are_passed_over() -> None:
    found = contrasts(searched(300), "learning_rate")
    widths = [
        float(str(one.high[0].settings["learning_rate"]))
        / float(str(one.low[0].settings["learning_rate"]))
        for one in found
    ]
    assert not any(one.confounders for one in found)
    assert np.median(widths) >= 2


def test_of_a_grid_every_clean_contrast_of_neighbours_is_found() -> None:
    runs = planned(ALL_PAIRS)
    rates = contrasts(runs, "learning_rate")
    assert len(rates) == 2 * (ALL_PAIRS - 1)
    sizes = contrasts(runs, "batch_size")
    assert len(sizes) == ALL_PAIRS
    assert not any(one.confounders for one in [*rates, *sizes])


def test_of_few_every_pair_that_differs_is_contrasted() -> None:
    runs = planned(5)
    assert len(contrasts(runs, "batch_size")) == 25
    assert len(contrasts(runs, "learning_rate")) == 40


def test_many_kinds_of_data_are_not_named_in_every_pair() -> None:
    runs = [
        synthetic_run(
            f"run-{place}", data=DATA | {"dataset": f"d{place}"}, learning_rate=place + 1.0
        )
        for place in range(100)
    ]
    found = contrasts(runs, "learning_rate")
    assert {one.verdict for one in found} == {"not_comparable"}
    assert len(found) == 99
    assert len(comparability_classes(runs)) == 100


def test_a_ranking_pools_replicates_and_orders_by_loss() -> None:
    runs = [
        *(replace(run, run_id=run.run_id + "x") for run in planned(1)),
        synthetic_run("better", 0.02, learning_rate=1.0, seed=1),
        synthetic_run("better too", 0.03, learning_rate=1.0, seed=2),
    ]
    (group,) = comparability_classes(runs)
    first, *others = group.ranking
    assert [run.run_id for run in first.runs] == ["better", "better too"]
    assert first.loss.mean == pytest.approx((0.02 * 0.03) ** 0.5)
    assert first.place == 1 and first.tied_with_best
    assert [one.place for one in others] == [2, 3]
    assert first.interval is not None
    assert first.interval[0] < first.loss.mean < first.interval[1]
