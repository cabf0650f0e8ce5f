"""The tests of factors are those of statsmodels' analysis of variance, plain and robust."""

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import ttest_ind
from statsmodels.stats.anova import anova_lm

from gr00t_assets.comparison.statistics.effects import holm
from gr00t_assets_tests.comparison.statistics.made_runs import DECAYS, RATES, effect, run

GRID = list(itertools.product(RATES, DECAYS))


def table(cells: list[tuple[float, float]], seed: int = 0, common: bool = False) -> pd.DataFrame:
    """Log losses with an effect of either factor; each row has a seed of its own, or its place."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(cells, columns=["rate", "decay"])
    rows["seed"] = rows.groupby(["rate", "decay"]).cumcount() if common else range(len(rows))
    effects = 0.06 * rows.rate.rank(method="dense") - 0.03 * rows.decay.rank(method="dense")
    rows["y"] = effects + rng.normal(0, 0.05, len(rows))
    return rows


def effect_of(rows: pd.DataFrame, factor: str = "learning_rate") -> Any:
    return effect(
        [
            run(f"r{n}", math.exp(row["y"]), learning_rate=row["rate"], weight_decay=row["decay"],
                seed=row["seed"])
            for n, row in enumerate(rows.to_dict("records"))
        ],
        factor,
    )  # fmt: skip


def larger_p(formula: str, rows: pd.DataFrame, term: str, robust: str) -> float:
    """Of the plain and the robust test of type II, which do not depend on the order of terms."""
    fit = smf.ols(formula, rows).fit()
    tables = [anova_lm(fit, typ=2), anova_lm(fit, typ=2, robust=robust)]
    return max(float(table["PR(>F)"][term]) for table in tables)


UNBALANCED = [cell for n, cell in enumerate(GRID) for _ in range((1, 3, 2)[n % 3])]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("cells", "robust"),
    [(GRID * 2, "hc3"), (UNBALANCED, "hc3"), (GRID + GRID[:2], "hc2"), (GRID, "hc2")],
    ids=["balanced", "unbalanced", "seven degrees of freedom", "one seed"],
)
def test_factors_are_tested_as_in_an_analysis_of_variance(cells, robust: str, seed: int) -> None:
    rows = table(cells, seed)
    for factor, term in (("learning_rate", "C(rate)"), ("weight_decay", "C(decay)")):
        found = effect_of(rows, factor)
        expected = larger_p("y ~ C(rate) + C(decay)", rows, term, robust)
        assert found.p == pytest.approx(expected, rel=1e-5)
        assert found.spread.degrees == len(rows) - 5


def test_common_seeds_are_blocks() -> None:
    rows = table(GRID * 2, common=True)
    rows["y"] += 0.5 * rows.seed
    found = effect_of(rows)
    expected = larger_p("y ~ C(rate) + C(decay) + C(seed)", rows, "C(rate)", "hc3")
    assert found.p == pytest.approx(expected, rel=1e-5)
    assert found.spread.degrees == len(rows) - 6
    assert found.spread.source == "repeated seeds"


def test_a_curve_is_a_quadratic_in_the_logarithm() -> None:
    rng = np.random.default_rng(4)
    rates = 10 ** rng.uniform(-5, -3, 14)
    rows = pd.DataFrame({"rate": rates, "decay": 0.0, "seed": range(14), "x": np.log10(rates)})
    rows["y"] = 0.1 * (rows.x + 4) ** 2 + rng.normal(0, 0.05, 14)
    fit = smf.ols("y ~ x + I(x ** 2)", rows).fit()
    found = effect_of(rows)
    assert found.p == pytest.approx(float(fit.f_pvalue), rel=1e-5)
    assert found.spread.deviation == pytest.approx(math.sqrt(fit.mse_resid))
    ends = fit.predict(pd.DataFrame({"x": [rows.x.min(), rows.x.max()]}))
    assert found.ratio == pytest.approx(math.exp(ends[1] - ends[0]))


def test_an_interaction_is_tested_beside_both_main_effects() -> None:
    rows = table(GRID * 3)
    rows["y"] += 0.4 * ((rows.rate == RATES[2]) & (rows.decay == DECAYS[0]))
    found = effect_of(rows)
    p = larger_p("y ~ C(rate, Sum) * C(decay, Sum)", rows, "C(rate, Sum):C(decay, Sum)", "hc3")
    assert found.depends_on == "weight_decay"
    # p is the least of the report's, which are two factors and their interaction
    assert found.interaction_p == pytest.approx(3 * p, rel=1e-4)
    assert [item.value for item in found.at] == list(DECAYS)
    assert found.at[0].ratio > 1.4 > max(item.ratio for item in found.at[1:])


def test_two_values_are_compared_by_a_t_test_worked_by_hand() -> None:
    """Means 0.1 and 0.5 apart by 0.4, variance 0.01: t = 0.4 / sqrt(0.01 * 2 / 3) = 4.899."""
    rows = pd.DataFrame(
        {"rate": [1e-4] * 3 + [1e-3] * 3, "decay": 0.0, "seed": range(6),
         "y": [0.0, 0.1, 0.2, 0.4, 0.5, 0.6]}
    )  # fmt: skip
    found = effect_of(rows)
    assert found.spread.deviation == pytest.approx(0.1)
    assert found.spread.degrees == 4
    assert found.ratio == pytest.approx(math.exp(0.4))
    assert found.p == pytest.approx(0.00805, abs=1e-5)
    assert found.p_adjusted == found.p, "nothing else was asked"
    assert found.interval == pytest.approx(
        (math.exp(0.4 - 2.7764 * 0.08165), math.exp(0.4 + 2.7764 * 0.08165)), rel=1e-4
    )
    assert found.verdict == "controlled"
    assert found.lower == {1e-4: (1e-3,)}


def test_two_values_with_common_seeds_are_compared_in_pairs() -> None:
    """Differences 0.1, 0.2, 0.3, 0.2 and 0.2: t = 0.2 / sqrt(0.005 / 5) = 6.325, four degrees."""
    low = [0.0, 1.0, 2.0, 0.5, 1.5]
    high = [0.1, 1.2, 2.3, 0.7, 1.7]
    rows = pd.DataFrame(
        {"rate": [1e-4] * 5 + [1e-3] * 5, "decay": 0.0, "seed": [*range(5)] * 2, "y": low + high}
    )
    found = effect_of(rows)
    assert found.p == pytest.approx(0.003199, abs=1e-5)
    assert found.ratio == pytest.approx(math.exp(0.2))


def test_few_common_seeds_are_not_taken_out_and_widen_the_spread() -> None:
    rows = pd.DataFrame(
        {"rate": [1e-4] * 3 + [1e-3] * 3, "decay": 0.0, "seed": [0, 1, 2] * 2,
         "y": [0.0, 1.0, 2.0, 0.1, 1.2, 2.3]}
    )  # fmt: skip
    found = effect_of(rows)
    assert found.spread.degrees == 4
    assert found.p == pytest.approx(ttest_ind(rows.y[:3], rows.y[3:])[1])


def test_holm_adjusts_step_by_step() -> None:
    assert holm([0.9, 0.001, 0.02, 0.04]) == pytest.approx([0.9, 0.004, 0.06, 0.08])
    assert holm([0.04, 0.5, 0.04]) == pytest.approx([0.12, 0.5, 0.12])
    assert holm([]) == []


def test_all_questions_of_a_report_are_adjusted_together() -> None:
    rows = table(GRID * 2)
    effects = [effect_of(rows, name) for name in ("learning_rate", "weight_decay")]
    chances = sorted(item.p for item in effects)
    adjusted = sorted(item.p_adjusted for item in effects)
    assert adjusted[0] == pytest.approx(3 * chances[0], rel=1e-6), "the interaction is the third"
    assert adjusted[0] <= adjusted[1]
