"""Runs as the store has them, read from files that a trainer's models wrote."""

import numpy as np
import pytest

from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.effects import Pair
from gr00t_assets.comparison.statistics.factor_tests import all_effects
from gr00t_assets.core.project import Store
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets_tests.comparison.run_factory import experiment, losses, write_run


def pair_of(runs: list[Run], factor: str) -> Pair:
    (effect,) = all_effects(runs)[factor]
    assert effect.pair is not None
    return effect.pair


def test_a_finished_run_is_observed_whole(store: Store) -> None:
    item = experiment("whole", hypothesis="it falls", max_steps=1000, batch_size=8)
    write_run(item, store, losses(1000, 0.1))
    (run,) = from_store(read_runs([item], store))
    assert (run.name, run.status, run.source, run.sweep) == ("whole", "finished", "store", "demo")
    assert run.finished
    assert run.settings["learning_rate"] == item.hyperparameters.learning_rate
    assert (run.steps, run.max_steps, run.samples_seen) == (1000, 1000, 8000)
    assert run.epochs == pytest.approx(8000 / 2096)
    assert (run.frames, run.dataset) == ("verified", "demo")
    assert set(run.data) >= {"dataset version", "modality config", "base model", "trainer"}
    assert run.loss is not None and run.curve is not None
    assert run.loss.samples == 100 * 8
    assert run.loss.mean == pytest.approx(0.1, rel=0.1)
    assert len(run.curve.losses) == 1000
    assert run.curve.samples[[0, -1]].tolist() == [8, 8000]
    assert run.end_trend.trend in ("level", "falling")


def test_other_batch_sizes_at_equal_samples_are_a_clean_pair(store: Store) -> None:
    items = [
        experiment("small", batch_size=2, max_steps=4000),
        experiment("large", batch_size=16, max_steps=500),
    ]
    for item in items:
        write_run(item, store, losses(item.hyperparameters.max_steps, 0.1))
    small, large = from_store(read_runs(items, store))
    found = pair_of([small, large], "batch_size")
    assert [change.factor for change in found.changes] == ["batch_size", "max_steps"]
    assert found.confounders == ()


def test_runs_that_did_not_finish_are_there_with_their_status(store: Store) -> None:
    items = [experiment(name, seed=place) for place, name in enumerate("abcd")]
    write_run(items[0], store, losses(100, 0.1), status="failed", failure="out of memory")
    write_run(items[1], store, losses(100, 0.1), status=None)
    write_run(items[2], store, losses(100, 0.1), steps=100)
    runs = {run.name: run for run in from_store(read_runs(items, store))}
    assert {name: run.status for name, run in runs.items()} == {
        "a": "failed",
        "b": "unfinished",
        "c": "unfinished",
    }
    assert runs["a"].note == "out of memory"
    assert not any(run.finished for run in runs.values())
    assert runs["b"].loss is not None
    assert runs["b"].data["dataset"] == runs["a"].data["dataset"]


def test_a_run_that_lost_its_metrics_has_the_loss_of_its_manifest(store: Store) -> None:
    item = experiment("no-metrics")
    folder = write_run(item, store, losses(300, 0.1))
    (folder / METRICS).unlink()
    (run,) = from_store(read_runs([item], store))
    assert run.finished and run.curve is None and run.loss is not None
    assert run.loss.samples == 30 * 8


def test_the_same_configuration_under_two_names_has_two_ids(store: Store) -> None:
    items = [experiment("one"), experiment("other")]
    for item in items:
        write_run(item, store, losses(300, 0.1))
    runs = from_store(read_runs(items, store))
    assert len({run.run_id for run in runs}) == 2
    assert all_effects(runs) == {}


def test_a_loss_that_is_no_number_takes_no_part(store: Store) -> None:
    items = [experiment("good"), experiment("bad", learning_rate=5e-4)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, np.full(300, np.nan), final_loss=None)
    runs = from_store(read_runs(items, store))
    assert [run.finished for run in runs] == [True, False]
    assert all_effects(runs) == {}


def test_frames_keep_runs_apart(store: Store) -> None:
    items = [experiment("right"), experiment("doubtful", learning_rate=5e-4)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(300, 0.2), frames_verified=False)
    runs = from_store(read_runs(items, store))
    assert [run.frames for run in runs] == ["verified", "not verified"]
    assert len({run.class_id for run in runs}) == 2
    assert all_effects(runs, ["learning_rate"]) == {}


def test_trainable_parts_are_a_factor_across_their_classes(store: Store) -> None:
    items = [experiment("head"), experiment("everything", tune_llm=True, tune_visual=True)]
    for item, level in zip(items, (0.1, 0.9), strict=True):
        write_run(item, store, losses(300, level))
    runs = from_store(read_runs(items, store))
    found = pair_of(runs, "trainable_parts")
    assert [run.name for run in (*found.low, *found.high)] == ["head", "everything"]
    assert found.confounders == ()
    (effect,) = all_effects(runs)["trainable_parts"]
    assert effect.verdict == "inconclusive", "neither was repeated"


def test_a_missing_run_is_left_out(store: Store) -> None:
    assert from_store(read_runs([experiment("missing")], store)) == []
