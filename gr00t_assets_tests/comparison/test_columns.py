"""The table of runs: places, remarks and columns, as every view of a comparison has them."""

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from gr00t_assets.cli.compare import print_ranking
from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.answers.headline import cautions
from gr00t_assets.comparison.columns import COLUMNS, Column, RankedRun, row_remark
from gr00t_assets.comparison.comparison import compare
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.tables.runs_table import export_table, runs_table
from gr00t_assets.comparison.wording import loss_text
from gr00t_assets.reporting.markdown import comparison_markdown
from gr00t_assets.reporting.report import make_report
from gr00t_assets.reporting.summaries import sweep_summary
from gr00t_assets.runs.final_loss import LossWindow
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.comparison.run_factory import experiment, losses, sweep, write_run
from gr00t_assets_tests.comparison.synthetic_runs import by_rank, headline


def window(mean: float, error: float) -> LossWindow:
    return LossWindow(mean=mean, standard_error=error, steps=30, samples=240)


RATES = {"a": 1e-4, "b": 2e-4, "c": 5e-4}


def ranks(table: pd.DataFrame) -> dict[str, int | None]:
    return {
        name: None if rank is pd.NA else rank
        for name, rank in zip(table["name"], table["rank"], strict=True)
    }


def compared(store, items) -> tuple[list[Run], pd.DataFrame]:
    """One run an experiment as the report of a sweep has them, and their table."""
    stored = read_runs(items, store)
    runs = list(sweep_summary(sweep(*items), stored, from_store(stored)).runs)
    return runs, runs_table(by_rank(runs))


def test_ranks_follow_the_final_loss_and_only_finished_runs_have_one(store):
    names = ("c", "a", "b", "broken", "running", "none")
    items = [experiment(name, learning_rate=(at + 1) * 1e-4) for at, name in enumerate(names)]
    for item, mean in zip(items, (0.3, 0.1, 0.2), strict=False):
        write_run(item, store, losses(300, mean), final_loss=window(mean, 0.001))
    write_run(items[3], store, losses(40, 0.01), "failed", final_loss=window(0.001, 0.0001))
    write_run(items[4], store, losses(200, 0.001), None)
    _, table = compared(store, items)
    assert list(table["name"]) == ["a", "b", "c", "broken", "running", "none"]
    assert list(ranks(table).values()) == [1, 2, 3, None, None, None]


def test_a_stale_run_with_the_lowest_loss_has_no_rank(store):
    old, other = experiment("a", learning_rate=5e-4), experiment("b")
    write_run(old, store, losses(300, 0.01))
    write_run(other, store, losses(300, 0.2))
    _, table = compared(store, [experiment("a", learning_rate=1e-3), other])
    assert ranks(table) == {"b": 1, "a": None}
    row = table.iloc[1]
    assert row["learning_rate"] == 5e-4
    assert "learning_rate 5e-4, now 1e-3" in row["remark"]


def test_an_experiment_has_one_row_and_a_stale_run_never_hides_the_current_one(store):
    item = experiment("a")
    write_run(experiment("a", learning_rate=5e-4), store, losses(300, 0.01))
    write_run(item, store, losses(40, 0.9), "failed")
    _, table = compared(store, [item])
    assert list(table["status"]) == ["failed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"trainer_revision": "0.2.0"},
        {"frames_verified": False},
        {"dataset_version": "other"},
        {"modality_hash": "other"},
        {"base_model": "nvidia/GR00T-N1.5-3B"},
        {"base_model_revision": "abc"},
        {"trainer": "isaac-gr00t"},
    ],
)
def test_runs_of_different_classes_have_a_rank_each(store, changes):
    items = [experiment("a"), experiment("b", learning_rate=1e-3), experiment("c")]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(300, 0.2))
    write_run(items[2], store, losses(300, 0.01), **changes)
    runs, table = compared(store, items)
    assert ranks(table) == {"a": 1, "b": 2, "c": 1}
    assert table["class"].nunique() == 2
    assert headline(runs).startswith("2 classes, never ranked against each other")
    assert "are not compared with each other: they differ in" in cautions(runs)[0]


def test_other_trainable_parts_make_another_class(store):
    items = [experiment("a"), experiment("b", tune_llm=True)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(300, 0.2))
    _, table = compared(store, items)
    assert ranks(table) == {"a": 1, "b": 1}
    assert table["class"].nunique() == 2


def test_a_difference_within_noise_is_called_so_and_a_clear_one_is_not(store):
    items = [
        experiment(f"{name}{seed}", learning_rate=rate, seed=seed)
        for name, rate in RATES.items() for seed in (1, 2, 3)
    ]  # fmt: skip
    for place, item in enumerate(items):
        mean = (0.100, 0.101, 0.300)[place // 3] * (1 + (0.03, -0.02, 0.01)[(place * 2) % 3])
        write_run(item, store, losses(300, mean, seed=place))
    runs, table = compared(store, items)
    notes = table.set_index("name")["remark"]
    assert notes["b1"].startswith("Within noise of rank 1.")
    assert not any("noise" in notes[name] for name in ("a1", "c1"))
    assert headline(runs).startswith("Lowest loss of 9 finished runs: a1, ")
    assert "Not known to be the best" in headline(runs)


def test_where_nothing_tells_the_noise_no_difference_is_called_noise(store):
    items = [experiment(name, learning_rate=rate) for name, rate in RATES.items()]
    for item, mean in zip(items, (0.100, 0.101, 0.300), strict=True):
        write_run(item, store, losses(300, mean))
    _, table = compared(store, items)
    notes = table.set_index("name")["remark"]
    assert notes["a"] is pd.NA
    assert notes["b"] == notes["c"] == "Not told apart from rank 1."


def test_replicates_share_a_rank_and_say_so(store):
    items = [experiment("a", seed=1), experiment("b", learning_rate=1e-3), experiment("c", seed=2)]
    for item, mean in zip(items, (0.1, 0.3, 0.11), strict=True):
        write_run(item, store, losses(300, mean, seed=item.hyperparameters.seed))
    _, table = compared(store, items)
    assert ranks(table) == {"a": 1, "c": 1, "b": 2}
    notes = table.set_index("name")["remark"]
    assert notes["a"] == "Ranked as one with c: other seeds."


def test_the_table_and_the_words_have_one_loss(store):
    items = [experiment("a"), experiment("b", learning_rate=1e-3)]
    for item, mean in zip(items, (0.1, 0.3), strict=True):
        write_run(item, store, losses(300, mean), final_loss=window(5.0, 1.0))
    runs, table = compared(store, items)
    row = table.iloc[0]
    assert loss_text(row["loss"], row["loss_se"]) in headline(runs)


def test_a_run_that_trains_makes_no_class_of_its_own(store):
    items = [experiment("a"), experiment("b", learning_rate=1e-3)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(100, 0.5), None)
    runs, _ = compared(store, items)
    assert headline(runs).startswith("a, loss 0.098")


def test_columns_have_their_types_and_every_setting_is_one(store):
    items = [experiment("a", weight_decay=0.0), experiment("b", tune_llm=True), experiment("c")]
    write_run(items[0], store, losses(300, 0.1))
    _, table = compared(store, items)
    names = list(COLUMNS)
    assert list(table.columns)[: len(names)] == names
    assert {"max_steps", "weight_decay", "tune_llm"} <= set(table.columns)
    assert {column.name: str(table[column.name].dtype) for column in COLUMNS.values()} == {
        column.name: column.dtype for column in COLUMNS.values()
    }
    assert str(table["tune_llm"].dtype) == "boolean"


def test_a_terminal_shows_as_many_columns_as_fit_and_cuts_none(store):
    items = [experiment("a", weight_decay=0.5), experiment("b", warmup_ratio=0.125)]
    for item in items:
        write_run(item, store, losses(300, 0.1))
    comparison = compare(from_store(read_runs(items, store)))
    for width, fits in ((120, True), (70, False)):
        terminal = Console(record=True, width=width)
        print_ranking(comparison, comparison.classes[0], terminal)
        printed = terminal.export_text()
        assert "\nrank  experiment" in printed and "0.0985 ± 0.0023" in printed
        assert "decay" in printed and "0.125" in printed, "settings that differ come first"
        assert ("epochs" in printed) == fits
        assert "samples/s" not in printed


def test_numbers_of_a_row(store):
    item, values = experiment("a"), losses(300, 0.1)
    write_run(item, store, values, gpu_seconds=7200.0, checks={"loss_fell": True, "spikes": False})
    _, table = compared(store, [item])
    row = table.iloc[0]
    end = values[-30:].mean()
    assert row["loss"] == pytest.approx(end)
    assert row["loss_fall"] == pytest.approx(values[:30].mean() / end)
    assert (row["samples_seen"], row["logged_step"], row["gpu_hours"]) == (2400, 300, 2.0)
    assert row["epochs"] == pytest.approx(2400 / 2096)
    assert row["failed_checks"] == "spikes"
    assert "Failed check: spikes." in row["remark"]


def test_an_empty_comparison_is_a_table_without_rows():
    table = runs_table([])
    assert len(table) == 0
    assert "loss" in table.columns
    assert headline([]) == "There are no runs."


def test_equal_steps_at_other_batch_sizes_are_warned_of(store):
    items = [experiment("b1", batch_size=1), experiment("b8", batch_size=8)]
    for item, mean in zip(items, (0.19, 0.07), strict=True):
        write_run(item, store, losses(300, mean))
    runs, _ = compared(store, items)
    said = " ".join(cautions(runs))
    assert "different numbers of samples (300 to 2,400)" in said
    assert "loss follows samples seen as well as the factor" in said
    assert (
        "1 of 2 runs have not seen every frame of the dataset once "
        "(epochs of 2,096 frames: b1 0.14)" in said
    )
    assert "ran with one seed" in said


def test_equal_runs_with_several_seeds_have_no_caution(store):
    items = [experiment(f"s{seed}", seed=seed) for seed in (1, 2)]
    for item in items:
        write_run(item, store, losses(300, 0.1, seed=item.hyperparameters.seed))
    runs, _ = compared(store, items)
    assert cautions(runs) == []


def test_frames_that_are_not_verified_and_other_schedules_are_warned_of(store):
    items = [experiment("a", augmentation="gr00t"), experiment("b", max_steps=200)]
    for item in items:
        steps = item.hyperparameters.max_steps
        write_run(item, store, losses(steps, 0.1), frames_verified=False)
    runs, _ = compared(store, items)
    said = " ".join(cautions(runs))
    assert "frames of these runs are not verified" in said
    assert "schedules have different lengths (200, 300 steps)" in said
    assert "Augmentation differs" in said
    assert headline(runs).endswith("their frames are not verified.")


@pytest.mark.parametrize(("mean", "error"), [(0.0585, 0.0021), (12.3, 4.0), (1e-6, 1e-9)])
def test_a_shown_loss_is_within_its_error(mean, error):
    assert abs(float(loss_text(mean, error).partition(" ")[0]) - mean) <= error
    assert np.isfinite(float(loss_text(mean, 0.0).partition(" ")[0]))


def test_a_run_under_two_schedules_is_warned_of(store):
    short = experiment("short", max_steps=200, lr_scheduler_type="cosine")
    going_on = {"continue_from": "short", "continued_steps": (200,)}
    longer = experiment("longer", max_steps=300, lr_scheduler_type="cosine")
    longer = longer.model_copy(update=going_on)
    for item in (short, longer):
        write_run(item, store, losses(item.hyperparameters.max_steps, 0.1))
    said = " ".join(cautions(compared(store, [short, longer])[0]))
    assert "Continued from a shorter run: longer (from short at step 200)." in said


@pytest.fixture
def tokens_column():
    """A column that is added in one place alone."""
    column = Column(
        "tokens_seen", "Int64", "tokens", "Of the test", lambda row: 7 * (row.run.steps or 0),
        "tokens",
    )  # fmt: skip
    COLUMNS[column.name] = column
    yield column
    del COLUMNS[column.name]


def test_a_column_that_is_added_is_in_every_view(store, tmp_path, tokens_column):
    items = [experiment("a"), experiment("b", learning_rate=1e-3)]
    for item, mean in zip(items, (0.1, 0.3), strict=True):
        write_run(item, store, losses(300, mean))
    comparison = compare(from_store(read_runs(items, store)))
    assert [run["tokens_seen"] for run in comparison.to_json()["runs"]] == [2100, 2100]
    exported = pd.read_csv(export_table(comparison.runs, tmp_path / "runs.csv"))
    assert list(exported["tokens_seen"]) == [2100, 2100]
    terminal = Console(record=True, width=120)
    print_ranking(comparison, comparison.classes[0], terminal)
    printed = terminal.export_text()
    assert "tokens" in printed and "2100" in printed
    assert "tokens" in comparison_markdown(comparison)
    report = make_report([sweep(*items)], store, imported=[]).write()
    assert ">tokens<" in report.path.read_text()


def test_the_reason_of_a_failure_is_told_as_it_is(store):
    item, reason = experiment("a"), "No such file: ./model"
    write_run(item, store, losses(40, 0.1), "failed", failure=reason)
    (run,) = from_store(read_runs([item], store))
    assert row_remark(RankedRun(run)) == f"Failed at step 40 of 300: {reason}"
