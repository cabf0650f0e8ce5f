"""Cells and figures of the report, from runs whose truth is known."""

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from gr00t_assets.comparison.columns import COLUMNS, Column
from gr00t_assets.comparison.curves import Loss
from gr00t_assets.comparison.wording import first_label, loss_and_interval
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.reporting.evaluation_ranking import evaluation_ranking
from gr00t_assets.reporting.html import (
    best_badge,
    compressed_json,
    compressed_plotly,
    heading,
    ranking_axis,
    render_page,
)
from gr00t_assets.reporting.markdown import comparison_markdown
from gr00t_assets.reporting.plots import (
    FIGURE_POINTS,
    MOST_DRAWN,
    curves_figure,
    error_figure,
    run_styles,
    trajectory_figures,
)
from gr00t_assets.reporting.ranking_table import (
    MOST_RATES,
    evaluation_sentence,
    frames_warning,
    loss_grid,
    ranking_table,
)
from gr00t_assets.reporting.summaries import (
    Price,
    configuration_costs,
    hours_sentence,
    price_per_gpu_hour,
)
from gr00t_assets_tests.reporting.report_runs import compared, evaluation, finished_run, replicated


def only_ranking(*runs, **fields):
    (ranked_class,) = compared(*runs, **fields).ranked_classes
    return ranked_class.ranking


def test_replicates_are_one_row_with_the_lowest_loss_first():
    ranking = only_ranking(*replicated())
    table = ranking_table(ranking, {})
    assert [(ranked.place, first_label(ranked.runs), ranked.tied) for ranked, _ in table.rows] == [
        (1, "lr0.001-s1 (3 runs)", False),
        (2, "lr0.0001-s1 (3 runs)", False),
    ]
    headings = [column.heading for column in table.columns]
    cells = dict(zip(headings, table.rows[0][1], strict=True))
    assert cells["learning rate"].text == "1e-3"
    assert cells["chance best"].text == "> 99 %"
    assert cells["epochs"].text == "0.80"
    assert "GPU h" not in headings, "a column without a value is left out"
    axis = ranking_axis(ranking)
    assert axis is not None and ranking[0].interval and ranking[1].interval
    low, high = ranking[0].interval
    assert loss_and_interval(ranking[0]) == ("0.051", f"{low:.3g} to {high:.3g}")
    assert axis.percent(low) == 0 < axis.percent(ranking[0].loss.mean) < axis.percent(high)
    assert axis.percent(high) < axis.percent(ranking[1].interval[1]) == 100


def test_what_cannot_change_the_loss_has_no_column():
    runs = [finished_run("a", save_steps=10, weight_decay=0.1), finished_run("b", save_steps=20)]
    headings = [column.heading for column in ranking_table(only_ranking(*runs), {}).columns]
    assert "weight decay" in headings and "save steps" not in headings


def test_a_column_of_the_comparison_is_on_the_page_and_in_markdown(monkeypatch):
    column = Column("twice", "Float64", "", "Twice the epochs", lambda row: 4.0, "twice")
    monkeypatch.setitem(COLUMNS, column.name, column)
    comparison = compared(*replicated())
    assert "Twice the epochs" in render_page([comparison], [], [])
    assert "| twice |" in comparison_markdown(comparison)


def test_the_grid_has_the_best_of_each_cell_and_counts_its_runs():
    runs = [
        finished_run("a", 0.10, learning_rate=1e-4, batch_size=1),
        finished_run("b", 0.08, learning_rate=1e-4, batch_size=1, weight_decay=0.1),
        finished_run("c", 0.20, learning_rate=1e-3, batch_size=8),
    ]
    grid = loss_grid(only_ranking(*runs))
    assert grid is not None
    assert grid.rates == ("1e-4", "1e-3")
    assert {at: [ranked.run.name for ranked in cell] for at, cell in grid.cells.items()} == {
        (1, "1e-4"): ["b", "a"], (8, "1e-3"): ["c"],
    }  # fmt: skip
    assert grid.other_settings == ("weight decay",)
    shown = render_page([compared(*runs)], [], []).split('<table class="grid">')[1]
    best, empty, also_empty, worst = shown.split("</table>")[0].split("<td ")[1:]
    assert '--s:100" class="best" title="b"' in best and "<span>2 runs</span>" in best
    assert "not run" in empty and "not run" in also_empty
    assert worst.startswith('style="--s:0" title="c"') and "<span>1 run</span>" in worst


def test_many_learning_rates_share_columns():
    runs = [finished_run(f"r{index}", learning_rate=1e-5 * 1.3**index) for index in range(30)]
    grid = loss_grid(only_ranking(*runs))
    assert grid is not None and len(grid.rates) <= MOST_RATES
    assert sum(map(len, grid.cells.values())) == 30


def test_a_figure_has_points_by_samples_and_by_the_share_of_the_schedule():
    runs = [finished_run("a", batch_size=1), finished_run("b", steps=50, max_steps=100)]
    runs[1] = replace(runs[1], samples_seen=400)
    ranking = only_ranking(*runs)
    figure = curves_figure(ranking, run_styles(runs))
    assert figure is not None
    drawn: Any = go.Figure(figure).data
    assert len(drawn) == 4, "every property is one that Plotly knows"
    by_name = {
        trace["name"].split()[1]: trace for trace in figure["data"] if trace["mode"] == "lines"
    }
    assert by_name["a"]["x"][-1] < 100 < by_name["b"]["x"][-1]
    assert by_name["a"]["customdata"][-1] == pytest.approx(90, abs=6)
    assert by_name["b"]["customdata"][-1] == pytest.approx(45, abs=6)


def test_a_figure_of_many_long_runs_stays_small():
    runs = [finished_run(f"r{i}", 0.1 + i / 1000, max_steps=1000, seed=i) for i in range(3)]
    settings = runs[0].settings
    runs = [replace(runs[i % 3], run_id=f"{i}", settings={**settings, "weight_decay": i / 9})
            for i in range(90)]  # fmt: skip
    ranking = only_ranking(*runs)
    styles = run_styles(ranked.run for ranked in ranking[:MOST_DRAWN])
    figure = curves_figure(ranking, styles)
    assert figure is not None and len(figure["data"]) == len(styles) == MOST_DRAWN
    assert sum(len(trace["x"]) for trace in figure["data"]) <= FIGURE_POINTS
    assert curves_figure(ranking[MOST_DRAWN:], styles) is None


def test_losses_that_are_not_finite_are_left_out_of_the_figure():
    run = finished_run("a")
    assert run.curve is not None
    run.curve.losses[3] = np.nan
    ranking = only_ranking(run)
    json.dumps(curves_figure(ranking, run_styles([run])), allow_nan=False)


def test_the_ranking_by_open_loop_error_says_where_loss_disagrees():
    runs = [finished_run("low-loss", 0.05, learning_rate=1e-3), finished_run("high-loss", 0.5)]
    evaluations = {
        "id-low-loss": evaluation(runs[0], 0.3),
        "id-high-loss": evaluation(runs[1], 0.1),
    }
    table = evaluation_ranking(only_ranking(*runs, evaluations=evaluations), evaluations)
    assert table is not None
    assert [(row.ranked.run.name, row.by_error, row.by_loss) for row in table.rows] == [
        ("high-loss", 1, 2), ("low-loss", 2, 1),
    ]  # fmt: skip
    assert "Neither is success on a robot." in table.agreement.sentence
    baselines = table.rows[0].evaluation.main.baselines
    assert [baseline.beaten for baseline in baselines] == ["yes", "no"]
    assert len(go.Figure(error_figure(table)).data) == 3  # type: ignore[arg-type]
    ((figure, caption),) = trajectory_figures(table)
    assert "left_arm[0] in episode 3" in caption
    assert len(go.Figure(figure).data) == 3  # type: ignore[arg-type]


def test_the_leader_has_its_open_loop_error_in_a_sentence():
    runs = [finished_run("low-loss", 0.05, learning_rate=1e-3), finished_run("high-loss", 0.5)]
    errors = {"id-low-loss": evaluation(runs[0], 0.3), "id-high-loss": evaluation(runs[1], 0.1)}
    (ranked_class,) = compared(*runs).ranked_classes
    assert evaluation_sentence(ranked_class, {}) == ""
    assert "place 2 of 2; the lowest is that of high-loss" in evaluation_sentence(
        ranked_class, errors
    )
    only = {"id-high-loss": errors["id-high-loss"]}
    assert evaluation_sentence(ranked_class, only).startswith("It was not evaluated")
    page = render_page([compared(*runs, evaluations=errors)], [], [])
    assert "Its open-loop error is 0.3" in page.split("</header>")[0]


def test_a_limit_of_some_evaluations_names_them():
    runs = [finished_run("low", 0.05, learning_rate=1e-3), finished_run("high", 0.5)]
    evaluations = {run.run_id: evaluation(run, 0.1) for run in runs}
    own = (*evaluations["id-high"].limits, "No prompt.")
    evaluations["id-high"] = evaluations["id-high"].model_copy(update={"limits": own})
    table = evaluation_ranking(only_ranking(*runs, evaluations=evaluations), evaluations)
    assert table is not None
    assert table.limits == ["One episode was held out.", "high: No prompt."]


def test_errors_on_held_out_and_on_seen_episodes_are_not_ranked_together():
    runs = [finished_run("held", 0.05, learning_rate=1e-3), finished_run("seen", 0.5)]
    evaluations = {
        "id-held": evaluation(runs[0], 0.3),
        "id-seen": evaluation(runs[1], 0.1, held_out=False),
    }
    table = evaluation_ranking(only_ranking(*runs, evaluations=evaluations), evaluations)
    assert table is not None
    assert [row.ranked.run.name for row in table.rows] == ["held"]
    assert (table.part, table.not_evaluated) == ("held out", 1)


def test_memory_belongs_to_a_configuration_and_hours_cost_what_was_said():
    runs = [
        finished_run("a", batch_size=5, peak_memory_bytes=25_100_000_000, gpu_hours=1.0),
        finished_run("b", batch_size=5, seed=2, peak_memory_bytes=25_000_000_000, gpu_hours=3.0),
        finished_run("c", batch_size=32, peak_memory_bytes=60_000_000_000),
    ]
    costs = configuration_costs(runs, Price(2.5, "EUR"))
    assert [(cost.settings, cost.memory, cost.hours, cost.price) for cost in costs] == [
        ("batch size 32", "60.0", "", ""),
        ("batch size 5", "25.1", "4.00", "10.00 EUR"),
    ]


def test_hours_are_of_a_cpu_where_no_gpu_was_used():
    cpu = finished_run("cpu", gpu_hours=0.0, wall_seconds=1800.0)
    gpu = finished_run("gpu", gpu_hours=2.0, wall_seconds=7200.0)
    assert hours_sentence([cpu]) == "No GPU was used: 0.50 hours of a CPU."
    assert hours_sentence([cpu, gpu], Price(2.0, "EUR")) == (
        "All runs together took 2.00 GPU-hours, 4.00 EUR, and 0.50 hours of a CPU without one."
    )
    (cost,) = configuration_costs([cpu])
    assert (cost.hours, cost.cpu_hours) == ("", "0.50")
    page = render_page([compared(cpu)], [], [])
    assert "CPU h" in page and "GPU h<" not in page


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_price_that_is_none_is_refused(text, monkeypatch):
    monkeypatch.setenv("GR00T_ASSETS_GPU_PRICE", text)
    with pytest.raises(Gr00tAssetsError, match="is no price of a GPU-hour"):
        price_per_gpu_hour()


def test_a_price_may_have_a_currency_and_without_one_there_is_none(monkeypatch):
    for text, price in {"2.49 EUR": Price(2.49, "EUR"), "3": Price(3), " ": None}.items():
        monkeypatch.setenv("GR00T_ASSETS_GPU_PRICE", text)
        assert price_per_gpu_hour() == price


def test_the_first_screen_says_what_is_best_by_how_much_and_whether_it_is_known():
    comparison = compared(*replicated())
    (ranked_class,) = comparison.ranked_classes
    ranking = ranked_class.ranking
    assert heading([comparison]) == comparison.headline
    badge = best_badge(ranked_class)
    assert (first_label(ranking[0].runs), badge.verdict) == ("lr0.001-s1 (3 runs)", "controlled")
    assert badge.word == "the best by more than noise"
    assert "2.00 times as high" in render_page([comparison], [], []).split("</header>")[0]


def test_the_first_screen_does_not_claim_what_noise_explains():
    runs = [
        finished_run("a", 0.059, learning_rate=1e-4),
        finished_run("b", 0.070, learning_rate=5e-4),
    ]
    runs = [replace(run, loss=Loss(run.loss.mean, 0.02, 10, "one logged value"))
            for run in runs if run.loss]  # fmt: skip
    badge = best_badge(compared(*runs).ranked_classes[0])
    assert (badge.verdict, badge.word) == ("inconclusive", "not known to be the best")


def test_classes_are_told_side_by_side_and_wrong_frames_are_marked():
    runs = [finished_run("a"), finished_run("b", frames="known wrong"), finished_run("c", seed=2)]
    comparison = compared(*runs)
    page = render_page([comparison], [], [])
    assert page.count('<article class="card">') == 2
    assert [frames_warning(ranked.frames) for ranked in comparison.ranked_classes] == [
        "", "trained on wrong frames",
    ]  # fmt: skip
    assert "2 kinds of runs" in heading([comparison])


def test_what_is_compressed_can_be_unpacked():
    assert json.loads(gzip.decompress(base64.b64decode(compressed_json([{"y": [1.5]}])))) == [
        {"y": [1.5]}
    ]
    assert len(compressed_plotly()) < 2_500_000
    with pytest.raises(ValueError, match="not JSON compliant"):
        compressed_json([float("nan")])
