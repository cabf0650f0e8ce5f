"""The hand-kept journal's runs, which the comparison must not get wrong as the journal did."""

import pytest

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.answers.headline import cautions
from gr00t_assets.comparison.tables.runs_table import runs_table
from gr00t_assets.runs.final_loss import LossWindow
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.comparison.run_factory import (
    ACTION_HEAD,
    experiment,
    losses,
    store_with_data,
    write_run,
)
from gr00t_assets_tests.comparison.synthetic_runs import by_rank, headline

LOSSES = {
    "6jzsan5d": (0.1904, {"learning_rate": 5e-4, "batch_size": 1, "max_steps": 1000}),
    "vtty1l1b": (0.0964, {"learning_rate": 2.5e-4, "batch_size": 1, "max_steps": 1500}),
    "fwtchfxv": (0.0702, {"learning_rate": 5e-4, "batch_size": 8, "max_steps": 1000}),
    "ch7f65x3": (0.0585, {"learning_rate": 1e-4, "batch_size": 1, "max_steps": 2000}),
    "dvlv66is": (
        0.2507,
        {"learning_rate": 5e-4, "batch_size": 1, "max_steps": 1000, "tune_llm": True},
    ),
    "btj3964a": (None, {"learning_rate": 5e-4, "batch_size": 8, "max_steps": 1000}),
    "qbk0btb6": (0.0695, {"learning_rate": 1e-4, "batch_size": 5, "max_steps": 2000}),
    "d9pawzt8": (0.0144, {"learning_rate": 1e-4, "batch_size": 32, "max_steps": 10_000}),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    store = store_with_data(tmp_path_factory.mktemp("journal"), "demo", "so101")
    items = []
    for name, (loss, settings) in LOSSES.items():
        item = experiment(name, dataset="so101" if name == "d9pawzt8" else "demo", **settings)
        items.append(item)
        steps = item.hyperparameters.max_steps
        if loss is None:
            write_run(item, store, losses(200, 0.5), "failed", final_loss=None)
        elif name in ("qbk0btb6", "d9pawzt8"):
            write_run(item, store, losses(steps // 2, loss), None)
        else:
            window = LossWindow(mean=loss, standard_error=0.012, steps=10, samples=10)
            parts = ACTION_HEAD | ({"llm": 5, "visual": 5} if name == "dvlv66is" else {})
            changes = {"trainable_parameters": parts, "frames_verified": False}
            write_run(item, store, losses(steps, loss), final_loss=window, **changes)
    return from_store(read_runs(items, store))


def table_of(runs):
    return runs_table(by_rank(runs))


def test_ranks_are_computed_and_unfinished_runs_have_none(runs):
    table = table_of(runs)
    order = ["ch7f65x3", "fwtchfxv", "vtty1l1b", "6jzsan5d"]
    assert list(table["name"][:4]) == order
    assert list(table["rank"][:5]) == [1, 2, 3, 4, 1]
    assert table["rank"][5:].isna().all()
    assert set(table["name"][5:]) == {"btj3964a", "qbk0btb6", "d9pawzt8"}


def test_full_fine_tuning_is_in_a_class_of_its_own(runs):
    classes = {run.name: run.class_id for run in runs}
    assert classes["dvlv66is"] != classes["6jzsan5d"]
    assert "they differ in trainable parts." in cautions(runs)[0]


def test_one_logged_point_does_not_make_a_winner(runs):
    notes = table_of(runs).set_index("name")["remark"]
    assert notes["fwtchfxv"] == "Not told apart from rank 1."


def test_what_the_journal_left_out_is_said(runs):
    said = " ".join(cautions(runs))
    assert "different numbers of samples (1,000 to 8,000)" in said
    assert "schedules have different lengths (1,000, 1,500, 2,000 steps)" in said
    assert "not seen every frame of the dataset once (epochs of 2,096 frames: 6jzsan5d 0.48" in said
    assert "frames of these runs are not verified" in said
    assert "ch7f65x3" in headline(runs)
