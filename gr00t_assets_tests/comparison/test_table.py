import numpy as np
import pandas as pd
import pytest

from gr00t_assets.comparison.answers.verdict import verdict_in_short
from gr00t_assets.comparison.columns import LEADING, TRAILING
from gr00t_assets.comparison.contrasts.store_runs import observe
from gr00t_assets.comparison.findings import cautions, loss_text, shown_loss
from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.comparison.table import comparison_table, table_rows
from gr00t_assets.runs.manifest import LossWindow
from gr00t_assets_tests.comparison.run_factory import (
    experiment,
    losses,
    write_run,
)


def window(mean: float, error: float) -> LossWindow:
    return LossWindow(mean=mean, standard_error=error, steps=30, samples=240)


RATES = {"a": 1e-4, "b": 2e-4, "c": 5e-4}


def ranks(table: pd.DataFrame) -> dict[str, int | None]:
    return {
        row["experiment"]: None if row["rank"] is pd.NA else row["rank"]
        for row in table_rows(table)
    }


def headline(runs) -> str:
    return verdict_in_short(observe(runs))


def compared(store, items):
    runs = read_runs(items, store)
    return runs, comparison_table(runs)


def test_ranks_follow_the_final_loss_and_only_finished_runs_have_one(store):
    names = ("c", "a", "b", "broken", "running", "none")
    items = [experiment(name, learning_rate=(at + 1) * 1e-4) for at, name in enumerate(names)]
    for item, mean in zip(items, (0.3, 0.1, 0.2), strict=False):
        write_run(item, store, losses(300, mean), final_loss=window(mean, 0.001))
    write_run(items[3], store, losses(40, 0.01), "failed", final_loss=window(0.001, 0.0001))
    write_run(items[4], store, losses(200, 0.001), None)
    _, table = compared(store, items)
    assert list(table["experiment"]) == ["a", "b", "c", "broken", "running", "none"]
    assert list(ranks(table).values()) == [1, 2, 3, None, None, None]


def test_a_stale_run_with_the_lowest_loss_has_no_rank(store):
    old, other = experiment("a", learning_rate=5e-4), experiment("b")
    write_run(old, store, losses(300, 0.01))
    write_run(other, store, losses(300, 0.2))
    _, table = compared(store, [experiment("a", learning_rate=1e-3), other])
    assert ranks(table) == {"b": 1, "a": None}
    row = table_rows(table)[1]
    assert row["learning_rate"] == 5e-4
    assert "learning_rate 5e-4, now 1e-3" in row["note"]


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
    items = [experiment(name, learning_rate=rate) for name, rate in RATES.items()]
    for item, mean in zip(items, (0.100, 0.101, 0.300), strict=True):
        write_run(item, store, losses(300, mean, seed=item.hyperparameters.batch_size))
    runs, table = compared(store, items)
    notes = table.set_index("experiment")["note"]
    assert notes["b"] == "Within noise of rank 1."
    assert notes["a"] is pd.NA and notes["c"] is pd.NA
    assert headline(runs).startswith("Lowest loss of 3 finished runs: a, ")
    assert "Not known to be the best: within noise of it is b" in headline(runs)


def test_replicates_share_a_rank_and_say_so(store):
    items = [experiment("a", seed=1), experiment("b", learning_rate=1e-3), experiment("c", seed=2)]
    for item, mean in zip(items, (0.1, 0.3, 0.11), strict=True):
        write_run(item, store, losses(300, mean, seed=item.hyperparameters.seed))
    _, table = compared(store, items)
    assert ranks(table) == {"a": 1, "c": 1, "b": 2}
    notes = table.set_index("experiment")["note"]
    assert notes["a"] == "Ranked as one with c: other seeds."


def test_the_table_and_the_words_have_one_loss(store):
    items = [experiment("a"), experiment("b", learning_rate=1e-3)]
    for item, mean in zip(items, (0.1, 0.3), strict=True):
        write_run(item, store, losses(300, mean), final_loss=window(5.0, 1.0))
    runs, table = compared(store, items)
    row = table_rows(table)[0]
    assert loss_text(row["final_loss"], row["final_loss_se"]) in headline(runs)


def test_a_run_that_trains_makes_no_class_of_its_own(store):
    items = [experiment("a"), experiment("b", learning_rate=1e-3)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(100, 0.5), None)
    runs, _ = compared(store, items)
    assert headline(runs).startswith("a, loss 0.10")


def test_columns_have_their_types_and_the_hyperparameters_that_differ(store):
    items = [experiment("a", weight_decay=0.0), experiment("b", tune_llm=True), experiment("c")]
    write_run(items[0], store, losses(300, 0.1))
    _, table = compared(store, items)
    expected = [column.name for column in LEADING]
    expected += ["weight_decay", "tune_llm"]
    expected += [column.name for column in TRAILING]
    assert list(table.columns) == expected
    assert str(table["rank"].dtype) == "Int64"
    assert str(table["tune_llm"].dtype) == "boolean"
    assert {str(table[c.name].dtype) for c in LEADING if c.dtype == "Float64"} == {"Float64"}


def test_numbers_of_a_row(store):
    item, values = experiment("a"), losses(300, 0.1)
    write_run(item, store, values, gpu_seconds=7200.0, checks={"loss_fell": True, "spikes": False})
    _, table = compared(store, [item])
    row = table.iloc[0]
    end = values[-60:].mean()
    assert row["final_loss"] == pytest.approx(end), "1,024 samples are more than a fifth of the run"
    assert row["loss_fall"] == pytest.approx(values[:30].mean() / end)
    assert (row["samples_seen"], row["steps"], row["gpu_hours"]) == (2400, 300, 2.0)
    assert row["epochs"] == pytest.approx(2400 / 2096)
    assert row["failed_checks"] == "spikes"
    assert "Failed check: spikes." in row["note"]


def test_an_empty_comparison_is_a_table_without_rows():
    table = comparison_table([])
    assert len(table) == 0
    assert "final_loss" in table.columns
    assert headline([]) == "There are no runs."


def test_equal_steps_at_other_batch_sizes_are_warned_of(store):
    items = [experiment("b1", batch_size=1), experiment("b8", batch_size=8)]
    for item, mean in zip(items, (0.19, 0.07), strict=True):
        write_run(item, store, losses(300, mean))
    runs, _ = compared(store, items)
    said = " ".join(cautions(runs))
    assert "different numbers of samples (300 to 2,400)" in said
    assert "loss follows samples seen as well as the factor" in said
    assert "1 of 2 have not seen every frame of the dataset once (0.14 epochs)" in said
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
    assert "schedules of different lengths (200, 300 steps)" in said
    assert "Augmentation differs" in said
    assert headline(runs).endswith("their frames are not verified.")


@pytest.mark.parametrize(("mean", "error"), [(0.0585, 0.0021), (12.3, 4.0), (1e-6, 1e-9)])
def test_a_shown_loss_is_within_its_error(mean, error):
    assert abs(float(shown_loss(mean, error)) - mean) <= error
    assert np.isfinite(float(shown_loss(mean, 0.0)))


def test_a_run_under_two_schedules_is_warned_of(store):
    short = experiment("short", max_steps=200, lr_scheduler_type="cosine")
    going_on = {"continue_from": "short", "continued_steps": (200,)}
    longer = experiment("longer", max_steps=300, lr_scheduler_type="cosine")
    longer = longer.model_copy(update=going_on)
    for item in (short, longer):
        write_run(item, store, losses(item.hyperparameters.max_steps, 0.1))
    said = " ".join(cautions(compared(store, [short, longer])[0]))
    assert "Continued from a shorter run: longer (from short at step 200)." in said
