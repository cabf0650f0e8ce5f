"""What the runs of a class are said to show of a factor, on losses whose truth is known."""

import math

import numpy as np
import pytest

from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets_tests.comparison.statistics.made_runs import (
    DECAYS,
    RATES,
    effect,
    run,
    said,
    seeds,
    sentence,
)
from gr00t_assets_tests.comparison.synthetic_runs import DATA


def search(count: int = 12, seed: int = 0) -> list[Run]:
    """Losses that follow the learning rate as an exact power law, the decays drawn beside it."""
    rng = np.random.default_rng(seed)
    rates, decays = 10 ** rng.uniform(-5, -3, count), 10 ** rng.uniform(-5, -1, count)
    return [
        run(f"r{n}", 0.1 * (rate / 1e-4) ** 0.3, learning_rate=rate, weight_decay=decay, seed=n)
        for n, (rate, decay) in enumerate(zip(rates.tolist(), decays.tolist(), strict=True))
    ]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        ((0.1,), (0.11,), "inconclusive"),
        ((0.1,), (0.25,), "inconclusive"),
        ((0.1, 0.11, 0.105), (0.106, 0.104, 0.108), "within_noise"),
        ((0.1, 0.11, 0.105), (0.2, 0.21, 0.205), "controlled"),
        ((0.1, 0.105, 0.1005), (0.2, 0.19, 0.205), "controlled"),
    ],
)
def test_verdicts_on_two_values(low: tuple[float, ...], high: tuple[float, ...], verdict: str):
    runs = seeds("low", *low, learning_rate=1e-4)
    runs += seeds("high", *high, first_seed=10, learning_rate=5e-4)
    found = effect(runs)
    assert found.verdict == verdict
    if found.interval and found.ratio:
        assert (not found.interval[0] < 1 < found.interval[1]) == (verdict == "controlled")
        assert found.interval[0] < found.ratio < found.interval[1]


def test_a_pair_without_repeats_says_how_small_the_spread_would_have_to_be():
    found = effect([run("a", 0.1, learning_rate=1e-4), run("b", 0.13, learning_rate=5e-4)])
    assert (found.verdict, found.p, found.interval) == ("inconclusive", None, None)
    # a t-test of two runs a side: d = ratio * sqrt(2) / t, t the 97.5 percent quantile, 4.303
    assert found.needed == pytest.approx(math.log(1.3) * math.sqrt(2) / 4.3027, rel=1e-4)
    text = sentence([run("a", 0.1, learning_rate=1e-4), run("b", 0.13, learning_rate=5e-4)])
    assert "Unknown" in text and "30 percent" in text and "less than 9 percent" in text


def test_an_exact_power_law_in_a_random_search_is_a_yes():
    runs = search()
    found = effect(runs)
    rates = [float(str(item.settings["learning_rate"])) for item in runs]
    low, high = min(rates), max(rates)
    assert found.verdict == "controlled"
    assert found.ratio == pytest.approx((high / low) ** 0.3)
    assert found.lower == {low: (high,)}
    assert effect(runs, "weight_decay").verdict != "controlled"


def test_the_lowest_place_of_a_curve_can_be_inside():
    runs = [
        run(f"r{n}", math.exp((math.log10(rate) + 4) ** 2), learning_rate=rate, seed=n)
        for n, rate in enumerate(np.geomspace(1e-5, 1e-3, 9).tolist())
    ]
    found = effect(runs)
    assert found.verdict == "controlled"
    (lowest,) = found.lower
    assert lowest == pytest.approx(1e-4)
    assert found.lower[lowest] == pytest.approx((1e-5, 1e-3))


def test_an_effect_that_turns_with_another_factor_is_said_to_depend_on_it():
    noise = (0.99, 1.02, 1.0, 0.985)
    runs = [
        item
        for decay, factor in zip(DECAYS, (0.5, 1.0, 2.0), strict=True)
        for rate, level in ((1e-4, 0.1), (1e-3, 0.1 * factor))
        for item in seeds(f"{decay}-{rate}", *(level * x for x in noise), learning_rate=rate,
                          weight_decay=decay)
    ]  # fmt: skip
    found = effect(runs)
    assert (found.verdict, found.depends_on) == ("controlled", "weight_decay")
    assert [item.shown for item in found.at] == [True, False, True]
    assert [item.ratio for item in found.at] == pytest.approx([0.5, 1.0, 2.0])
    text = sentence(runs)
    assert text.startswith("It depends on weight_decay: at weight_decay 0 the loss with")
    assert "at 1e-4 no difference is shown" in text


def test_a_factor_that_moves_with_another_is_confounded():
    runs = seeds("a", 0.1, 0.11, learning_rate=1e-4, weight_decay=0.0)
    runs += seeds("b", 0.3, 0.31, learning_rate=1e-3, weight_decay=0.1)
    found = effect(runs)
    assert (found.verdict, found.confounders) == ("confounded", ("weight_decay",))
    assert "cannot be put down to learning_rate" in sentence(runs)


def test_steps_are_compared_at_equal_batch_size_and_batch_size_at_equal_samples():
    noise = (0.99, 1.01, 1.0)
    runs = [
        item
        for batch in (4, 8)
        for steps in (200, 400, 800)
        for item in seeds(f"{batch}-{steps}", *(80 / (batch * steps) * x for x in noise),
                          batch_size=batch, max_steps=steps)
    ]  # fmt: skip
    assert effect(runs, "max_steps").ratio == pytest.approx(0.25)
    found = effect(runs, "batch_size")
    assert found.verdict == "within_noise", "the loss follows the samples seen"
    assert found.ratio == pytest.approx(1.0)


def test_a_value_that_ran_once_beside_repeated_ones_takes_no_part():
    runs = seeds("a", 0.1, 0.102, 0.099, learning_rate=1e-4)
    runs += seeds("b", 0.2, 0.204, 0.198, learning_rate=5e-4)
    found = effect([*runs, run("lucky", 0.01, learning_rate=1e-3)])
    assert found.single == (1e-3,)
    assert found.lower == {1e-4: (5e-4,)}
    only = [*seeds("a", 0.1, 0.102, 0.099), run("lucky", 0.01, learning_rate=1e-3)]
    assert effect(only).ratio is None
    assert "1e-3 ran once beside configurations that were repeated" in sentence(only)
    assert said(only).classes[0].best is None


def test_unequal_numbers_of_seeds_are_weighted_as_least_squares_does():
    runs = seeds("a", 0.1, 0.11, 0.12, 0.13, learning_rate=1e-4)
    runs += seeds("b", 0.2, 0.22, first_seed=10, learning_rate=5e-4)
    found = effect(runs)
    means = [math.log(0.1 * 0.11 * 0.12 * 0.13) / 4, math.log(0.2 * 0.22) / 2]
    assert found.ratio == pytest.approx(math.exp(means[1] - means[0]))
    assert found.spread.degrees == 4
    assert found.verdict == "controlled"


def test_values_that_are_not_known_take_no_part():
    runs = seeds("a", 0.1, 0.102, 0.099, weight_decay=0.0)
    runs += seeds("b", 0.2, 0.204, 0.198, weight_decay=0.1)
    runs += seeds("c", 0.9, 0.91, 0.92, weight_decay=None)
    found = effect(runs, "weight_decay")
    assert (found.low, found.high) == (0.0, 0.1)
    assert found.ratio == pytest.approx(2.0, rel=1e-3)
    assert [level.value for level in found.levels] == [0.0, 0.1]


def test_classes_of_other_data_are_told_apart_and_share_the_spread_of_their_runs():
    other = DATA | {"dataset": "other"}
    runs = seeds("a", 0.1, 0.11, 0.105, learning_rate=1e-4)
    runs += seeds("b", 0.2, 0.21, 0.205, learning_rate=1e-3)

    def pair(**data: str) -> list[Run]:
        rates = ((1e-4, 0.1), (1e-3, 0.4))
        return [run(f"c{rate}", x, learning_rate=rate, data=other | data) for rate, x in rates]

    first, second = all_effects([*runs, *pair()])["learning_rate"]
    assert (first.spread.source, second.spread.source) == ("repeated seeds", "similar classes")
    assert second.verdict == "controlled"
    _, unlike = all_effects([*runs, *pair(trainer="isaac-gr00t")])["learning_rate"]
    assert unlike.p is None, "another trainer scatters otherwise"


def test_runs_of_one_seed_and_equal_losses_count_once():
    twice = [run(f"a{n}", 0.1, seed=1, save_steps=n + 1) for n in range(5)]
    assert effect([*twice, run("b", 0.2, learning_rate=1e-3)]).spread.source == "none"
    equal = [*seeds("a", 0.1, 0.1, 0.1), *seeds("b", 0.2, 0.2, 0.2, learning_rate=1e-3)]
    assert effect(equal).p is None
    limits = " ".join(said(equal).answers[0].limits)
    assert "equal to the last digit under different seeds" in limits


def test_only_survivors_are_said_to_be_that():
    runs = [
        *seeds("a", 0.1, 0.102, 0.101),
        *seeds("b", 0.06, 0.061, None, None, learning_rate=1e-3),
    ]
    assert "of 4 runs with learning_rate 1e-3 only 2 finished" in sentence(runs)
    comparison = said(runs)
    assert comparison.classes[0].best is None
    assert "2 of 4 finished" in comparison.headline


def test_a_word_factor_is_compared_value_by_value():
    runs = [
        item
        for name, level in (("cosine", 0.1), ("linear", 0.1), ("constant", 0.2))
        for item in seeds(name, *(level * x for x in (0.98, 1.0, 1.01)), lr_scheduler_type=name,
                          warmup_ratio=0.05)
    ]  # fmt: skip
    found = effect(runs, "lr_scheduler_type")
    assert found.lower == {"cosine": ("constant",), "linear": ("constant",)}


def test_what_was_compared_at_equal_settings_is_called_clean():
    grid = [
        item
        for rate in RATES
        for decay in DECAYS
        for item in seeds(f"{rate}-{decay}", 0.1 + rate, 0.101 + rate, learning_rate=rate,
                          weight_decay=decay)
    ]  # fmt: skip
    assert effect(grid).clean
    assert not effect(search()).clean
