"""Cells and figures of the report, from runs whose truth is known."""

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from gr00t_assets.comparison.contrasts.observation import Loss
from gr00t_assets.core.errors import Gr00tAssetsError
from gr00t_assets.reporting.report.contrast_rows import questions
from gr00t_assets.reporting.report.costs import costs
from gr00t_assets.reporting.report.evaluated import evaluated_table
from gr00t_assets.reporting.report.evaluation_figures import error_figure, trajectory_figures
from gr00t_assets.reporting.report.figures import FIGURE_POINTS, curves_figure
from gr00t_assets.reporting.report.front import front
from gr00t_assets.reporting.report.maps import MOST_COLUMNS, loss_map
from gr00t_assets.reporting.report.packed import packed_json, packed_plotly
from gr00t_assets.reporting.report.price import Price, price_per_gpu_hour
from gr00t_assets.reporting.report.ranked import class_styles, ranked_table
from gr00t_assets.reporting.report.verdicts import MARKS
from gr00t_assets.reporting.report.views import Figures, subject_view
from gr00t_assets_tests.reporting.report.made import (
    evaluation,
    observation,
    replicated,
    subject,
)


def test_every_verdict_has_a_symbol_and_a_word_of_its_own():
    assert set(MARKS) == {
        "controlled", "confounded", "within_noise", "inconclusive", "not_comparable",
    }  # fmt: skip
    assert len({mark.symbol for mark in MARKS.values()}) == len(MARKS)
    assert len({mark.word for mark in MARKS.values()}) == len(MARKS)


def test_replicates_are_one_row_with_the_lowest_loss_first():
    (group,) = subject(*replicated()).groups
    table = ranked_table(group.ranked, class_styles(group.ranked, 60), {})
    assert [(row.place, row.name, row.tied) for row in table.rows] == [
        (1, "lr0.001-s1 (3 runs)", False),
        (2, "lr0.0001-s1 (3 runs)", False),
    ]
    heads = [head.text for head in table.heads]
    assert table.rows[0].cells[heads.index("learning rate")].text == "1e-3"
    assert table.rows[0].cells[heads.index("runs")].order == 3
    assert table.rows[0].cells[heads.index("epochs")].text == "0.80"
    assert "GPU h" not in heads, "a column without a value is left out"
    low, mean, high = table.rows[0].interval or (0, 0, 0)
    assert 0 == low < mean < high < (table.rows[1].interval or (0, 0, 0))[1]


def test_what_cannot_change_the_loss_has_no_column():
    runs = [observation("a", save_steps=10, weight_decay=0.1), observation("b", save_steps=20)]
    (group,) = subject(*runs).groups
    heads = [head.text for head in ranked_table(group.ranked, {}, {}).heads]
    assert "weight decay" in heads and "save steps" not in heads


def test_the_map_has_the_best_of_each_cell_and_counts_its_runs():
    runs = [
        observation("a", 0.10, learning_rate=1e-4, batch_size=1),
        observation("b", 0.08, learning_rate=1e-4, batch_size=1, weight_decay=0.1),
        observation("c", 0.20, learning_rate=1e-3, batch_size=8),
    ]
    (group,) = subject(*runs).groups
    found = loss_map(group.ranked)
    assert found is not None
    assert found.rates == ("1e-4", "1e-3")
    (first, cells), (second, others) = found.rows
    assert (first, second) == ("1", "8")
    assert cells[0] is not None and cells[1] is None and others[0] is None
    assert (cells[0].runs, cells[0].name, cells[0].best, cells[0].shade) == (2, "b", True, 100)
    assert others[1] is not None and (others[1].shade, others[1].best) == (0, False)
    assert found.also == ("weight decay",)


def test_many_learning_rates_share_columns():
    runs = [observation(f"r{index}", learning_rate=1e-5 * 1.3**index) for index in range(30)]
    (group,) = subject(*runs).groups
    found = loss_map(group.ranked)
    assert found is not None and len(found.rates) <= MOST_COLUMNS
    assert sum(cell.runs for _, cells in found.rows for cell in cells if cell) == 30


def test_contrasts_stand_under_their_question_the_evidence_first():
    about = subject(*replicated())
    asked = {each.factor: each for each in questions(about.answers, about.contrasts)}
    rate = asked["learning_rate"]
    assert rate.mark.verdict == "controlled"
    assert rate.rows[0].mark.verdict == "controlled"
    assert (rate.rows[0].low[1], rate.rows[0].high[1]) == ("1e-4", "1e-3")
    assert rate.rows[0].effect.startswith("\N{MINUS SIGN}0.05")
    start, middle, end = rate.rows[0].span or (0, 0, 0)
    assert start < middle < end < rate.rows[0].zero, "no difference is outside the interval"
    assert asked["weight_decay"].mark.verdict == "none" and not asked["weight_decay"].rows


def test_a_figure_has_points_by_samples_and_by_the_share_of_the_schedule():
    runs = [observation("a", batch_size=1), observation("b", steps=50, max_steps=100)]
    runs[1] = replace(runs[1], samples_seen=400)
    (group,) = subject(*runs).groups
    figure = curves_figure(group.ranked, class_styles(group.ranked, 60))
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
    runs = [observation(f"r{i}", 0.1 + i / 1000, max_steps=1000, seed=i) for i in range(3)]
    settings = runs[0].settings
    runs = [replace(runs[i % 3], run_id=f"{i}", settings={**settings, "weight_decay": i / 9})
            for i in range(90)]  # fmt: skip
    (group,) = subject(*runs).groups
    styles = class_styles(group.ranked, 60)
    figure = curves_figure(group.ranked, styles)
    assert figure is not None and len(figure["data"]) == len(styles) == 60
    assert sum(len(trace["x"]) for trace in figure["data"]) <= FIGURE_POINTS
    assert curves_figure([each for each in group.ranked if each.place > 60], styles) is None


def test_losses_that_are_not_finite_are_left_out_of_the_figure():
    run = observation("a")
    assert run.curve is not None
    run.curve.losses[3] = np.nan
    (group,) = subject(run).groups
    json.dumps(curves_figure(group.ranked, class_styles(group.ranked, 60)), allow_nan=False)


def test_the_ranking_by_open_loop_error_says_where_loss_disagrees():
    runs = [observation("low-loss", 0.05, learning_rate=1e-3), observation("high-loss", 0.5)]
    evaluations = {
        "id-low-loss": evaluation(runs[0], 0.3),
        "id-high-loss": evaluation(runs[1], 0.1),
    }
    (group,) = subject(*runs, evaluations=evaluations).groups
    table = evaluated_table(group.ranked, evaluations)
    assert table is not None
    assert [(row.name, row.by_error, row.by_loss) for row in table.rows] == [
        ("high-loss", 1, 2), ("low-loss", 2, 1),
    ]  # fmt: skip
    assert "Neither is success on a robot." in table.agreement
    assert [beaten for _, _, beaten in table.rows[0].beaten] == ["yes", "no"]
    assert len(go.Figure(error_figure(table)).data) == 3  # type: ignore[arg-type]
    ((figure, caption),) = trajectory_figures(table, evaluations)
    assert "left_arm[0] in episode 3" in caption
    assert len(go.Figure(figure).data) == 3  # type: ignore[arg-type]


def test_errors_on_held_out_and_on_seen_episodes_are_not_ranked_together():
    runs = [observation("held", 0.05, learning_rate=1e-3), observation("seen", 0.5)]
    evaluations = {
        "id-held": evaluation(runs[0], 0.3),
        "id-seen": evaluation(runs[1], 0.1, held_out=False),
    }
    (group,) = subject(*runs, evaluations=evaluations).groups
    table = evaluated_table(group.ranked, evaluations)
    assert table is not None
    assert [row.name for row in table.rows] == ["held"]
    assert (table.part, table.not_evaluated) == ("held out", 1)


def test_memory_belongs_to_a_configuration_and_hours_cost_what_was_said():
    runs = [
        observation("a", batch_size=5, peak_memory_bytes=25_100_000_000, gpu_hours=1.0),
        observation("b", batch_size=5, seed=2, peak_memory_bytes=25_000_000_000, gpu_hours=3.0),
        observation("c", batch_size=32, peak_memory_bytes=60_000_000_000),
    ]
    rows = costs(runs, Price(2.5, "EUR"))
    assert [(row.settings, row.memory, row.hours, row.cost) for row in rows] == [
        ("batch size 32", "60.0", "0", ""),
        ("batch size 5", "25.1", "4.00", "10.00 EUR"),
    ]


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_price_that_is_none_is_refused(text):
    with pytest.raises(Gr00tAssetsError, match="is no price of a GPU-hour"):
        price_per_gpu_hour({"GR00T_ASSETS_GPU_PRICE": text})


def test_without_a_price_there_is_none():
    assert price_per_gpu_hour({}) is None


def test_the_first_screen_says_what_is_best_by_how_much_and_whether_it_is_known():
    about = subject(*replicated())
    first = front([(about, subject_view(about, Figures(), None))])
    (card,) = first.cards
    assert first.heading == about.verdict
    assert (card.name, card.mark.verdict) == ("lr0.001-s1 (3 runs)", "controlled")
    assert card.known == "the best by more than noise"
    assert "2.00 times as high" in card.lead


def test_the_first_screen_does_not_claim_what_noise_explains():
    runs = [
        observation("a", 0.059, learning_rate=1e-4),
        observation("b", 0.070, learning_rate=5e-4),
    ]
    runs = [replace(run, loss=Loss(run.loss.mean, 0.02, 10, "one logged value"))
            for run in runs if run.loss]  # fmt: skip
    about = subject(*runs)
    (card,) = front([(about, subject_view(about, Figures(), None))]).cards
    assert card.known == "not known to be the best"
    assert card.mark.verdict == "within_noise"


def test_classes_are_told_side_by_side_and_wrong_frames_are_marked():
    runs = [observation("a"), observation("b", frames="known wrong"), observation("c", seed=2)]
    about = subject(*runs)
    first = front([(about, subject_view(about, Figures(), None))])
    assert len(first.cards) == 2
    assert [card.warning for card in first.cards] == ["", "trained on wrong frames"]
    assert "2 kinds of runs" in first.heading


def test_what_is_packed_can_be_unpacked():
    assert json.loads(gzip.decompress(base64.b64decode(packed_json([{"y": [1.5]}])))) == [
        {"y": [1.5]}
    ]
    assert len(packed_plotly()) < 2_500_000
    with pytest.raises(ValueError, match="not JSON compliant"):
        packed_json([float("nan")])
