"""Effects as the page draws them, from runs whose truth is known."""

from dataclasses import replace
from typing import get_args

from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.statistics.effects import LevelEstimate, Verdict
from gr00t_assets.reporting.effect_table import (
    BADGES,
    MOST_LEVELS,
    answered,
    loss_axis,
    ratio_axis,
    ratio_text,
    residuals,
    shown_levels,
)
from gr00t_assets.reporting.html import render_page
from gr00t_assets_tests.reporting.report_runs import compared, finished_run, replicated


def test_every_verdict_has_a_symbol_and_a_word_of_its_own():
    assert set(BADGES) == set(get_args(Verdict))
    assert len({badge.symbol for badge in BADGES.values()}) == len(BADGES)
    assert len({badge.word for badge in BADGES.values()}) == len(BADGES)


def test_an_effect_has_its_ratio_on_an_axis_with_no_difference_and_a_loss_for_each_level():
    runs = replicated()
    assert runs[0].loss is not None
    runs[0] = replace(runs[0], loss=Loss(1.03 * runs[0].loss.mean, 0.001, 160))
    comparison = compared(*runs)
    answers = {answer.factor: answer for answer in comparison.answers}
    rate = answers["learning_rate"]
    (effect,) = rate.effects
    assert BADGES[rate.verdict].verdict == "controlled" == effect.verdict
    assert "<td>1e-4 → 1e-3</td>" in render_page([comparison], [], [])
    assert ratio_text(effect)[1:].startswith("0.505 (0.4")
    axis = ratio_axis([rate])
    assert axis is not None and effect.interval is not None and effect.ratio is not None
    start, middle, end = map(axis.percent, (effect.interval[0], effect.ratio, effect.interval[1]))
    assert 0 == start < middle < end < axis.percent(1) == 100
    assert [(level.value, len(level.runs)) for level in shown_levels(effect)] == [
        (1e-4, 3), (1e-3, 3),
    ]  # fmt: skip
    losses = loss_axis(effect.levels)
    assert losses is not None and losses.percent(effect.levels[1].loss) < 50
    assert not answered(answers["weight_decay"])


def test_an_axis_ends_where_an_interval_says_nothing():
    wide = [LevelEstimate(1, 0.1, (1e-9, 1e9), ()), LevelEstimate(2, 0.2, (0.15, 0.25), ())]
    axis = loss_axis(wide)
    assert axis is not None and axis.low > 1e-3 and axis.high < 10
    assert axis.percent(1e-9) == 0 and axis.percent(1e9) == 100
    assert axis.percent(0.25) - axis.percent(0.15) > 5, "what is known is still seen"


def test_simple_effects_have_a_line_each_where_an_effect_depends_on_another_factor():
    def loss(rate: float, size: int, seed: int) -> float:
        return 0.05 * (10 * rate / 1e-3 if size == 4 else 1.0) * (1 + 0.01 * seed)

    runs = [
        finished_run(f"b{size}-lr{rate:g}-s{seed}", loss(rate, size, seed), learning_rate=rate,
                     batch_size=size, seed=seed, max_steps=800 // size, samples_seen=800)
        for rate in (1e-4, 1e-3) for size in (4, 8) for seed in (1, 2, 3)
    ]  # fmt: skip
    comparison = compared(*runs)
    rate = next(answer for answer in comparison.answers if answer.factor == "learning_rate")
    assert rate.effects[0].depends_on == "batch_size"
    page = render_page([comparison], [], [])
    rows = page.split('id="effect-learning_rate"')[1].split("</tbody>")[0]
    assert rows.count('class="at"') == 2
    assert "at batch size 4" in rows and "at batch size 8" in rows


def test_of_many_levels_the_ends_are_drawn():
    rates = [1e-5 * 1.2**place for place in range(40)]
    runs = [finished_run(f"r{rate:g}", 0.05 + rate, learning_rate=rate) for rate in rates]
    (effect,) = compared(*runs).effects["learning_rate"]
    drawn = shown_levels(effect)
    assert len(drawn) == MOST_LEVELS
    assert (drawn[0].value, drawn[-1].value) == (rates[0], rates[-1])


def test_the_run_that_the_model_does_not_fit_is_the_largest_residual():
    runs = replicated()
    assert runs[2].loss is not None
    runs[2] = replace(runs[2], loss=Loss(2 * runs[2].loss.mean, 0.001, 160))
    comparison = compared(*runs)
    left = residuals(comparison.ranked_classes[0])
    assert len(left) == 6
    largest = max(left, key=lambda point: abs(point.percent))
    assert largest.name == "lr0.001-s1" and largest.percent > 0
    points = render_page([comparison], [], []).split("<circle ")[1:]
    (top,) = (point for point in points if 'cy="14.0"' in point)
    assert f"<title>{largest.name}: " in top
    assert residuals(compared(*runs[:1]).ranked_classes[0]) == [], "nothing is left over"
