"""Observations of runs as the store has them, read from files that a trainer's models wrote."""

from dataclasses import replace

import numpy as np
import pytest

from gr00t_assets.comparison.contrasts.contrasts import contrasts
from gr00t_assets.comparison.contrasts.measures import WINDOW_FRAMES
from gr00t_assets.comparison.contrasts.store_runs import observe, plateau_or_falling
from gr00t_assets.comparison.runs import read_runs
from gr00t_assets.core.project import Store
from gr00t_assets.runs.metrics import METRICS
from gr00t_assets_tests.comparison.run_factory import experiment, losses, write_run


def test_a_finished_run_is_observed_whole(store: Store) -> None:
    item = experiment("whole", hypothesis="it falls", max_steps=1000, batch_size=8)
    write_run(item, store, losses(1000, 0.1))
    (run,) = observe(read_runs([item], store))
    assert (run.name, run.status, run.source, run.sweep) == ("whole", "finished", "store", "demo")
    assert run.finished
    assert run.settings["learning_rate"] == item.hyperparameters.learning_rate
    assert (run.steps, run.max_steps, run.samples_seen) == (1000, 1000, 8000)
    assert run.epochs == pytest.approx(8000 / 2096)
    assert (run.frames, run.dataset) == ("verified", "demo")
    assert set(run.data) >= {"dataset version", "modality config", "base model", "trainer"}
    assert run.loss is not None and run.curve is not None
    assert run.loss.samples == WINDOW_FRAMES
    assert run.loss.mean == pytest.approx(0.1, rel=0.1)
    assert len(run.curve.losses) == 1000
    assert run.curve.samples_seen[[0, -1]].tolist() == [8, 8000]
    assert plateau_or_falling(run).trend in ("level", "falling")


def test_batch_sizes_are_measured_over_equally_many_frames(store: Store) -> None:
    items = [
        experiment("small", batch_size=2, max_steps=4000),
        experiment("large", batch_size=16, max_steps=500),
    ]
    for item in items:
        write_run(item, store, losses(item.hyperparameters.max_steps, 0.1))
    small, large = observe(read_runs(items, store))
    assert small.loss is not None and large.loss is not None
    assert small.loss.samples == large.loss.samples == WINDOW_FRAMES
    (found,) = contrasts([small, large], "batch_size")
    assert found.changed_factors == ("batch_size", "max_steps")
    assert found.confounders == ()


def test_runs_that_did_not_finish_are_there_with_their_status(store: Store) -> None:
    items = [experiment(name, seed=place) for place, name in enumerate("abcd")]
    write_run(items[0], store, losses(100, 0.1), status="failed", failure="out of memory")
    write_run(items[1], store, losses(100, 0.1), status=None)
    write_run(items[2], store, losses(100, 0.1), steps=100)
    observed = {run.name: run for run in observe(read_runs(items, store))}
    assert {name: run.status for name, run in observed.items()} == {
        "a": "failed",
        "b": "unfinished",
        "c": "unfinished",
    }
    assert observed["a"].note == "out of memory"
    assert not any(run.finished for run in observed.values())
    assert observed["b"].loss is not None
    assert observed["b"].data["dataset"] == observed["a"].data["dataset"]


def test_a_run_that_lost_its_metrics_has_the_loss_of_its_manifest(store: Store) -> None:
    item = experiment("no-metrics")
    folder = write_run(item, store, losses(300, 0.1))
    (folder / METRICS).unlink()
    (run,) = observe(read_runs([item], store))
    assert run.finished and run.curve is None and run.loss is not None
    assert run.loss.samples == 30 * 8


def test_the_same_configuration_under_two_names_has_two_ids(store: Store) -> None:
    items = [experiment("one"), experiment("other")]
    for item in items:
        write_run(item, store, losses(300, 0.1))
    observed = observe(read_runs(items, store))
    assert len({run.run_id for run in observed}) == 2
    assert contrasts(observed, "seed") == []


def test_a_loss_that_is_no_number_takes_no_part(store: Store) -> None:
    items = [experiment("good"), experiment("bad", learning_rate=5e-4)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, np.full(300, np.nan), final_loss=None)
    observed = observe(read_runs(items, store))
    assert [run.finished for run in observed] == [True, False]
    assert contrasts(observed, "learning_rate") == []


def test_frames_keep_runs_apart(store: Store) -> None:
    items = [experiment("right"), experiment("doubtful", learning_rate=5e-4)]
    write_run(items[0], store, losses(300, 0.1))
    write_run(items[1], store, losses(300, 0.2), frames_verified=False)
    observed = observe(read_runs(items, store))
    assert [run.frames for run in observed] == ["verified", "not verified"]
    (found,) = contrasts(observed, "learning_rate")
    assert (found.verdict, found.changed_factors) == ("not_comparable", ("frames",))


def test_trainable_parts_are_a_factor_across_their_classes(store: Store) -> None:
    items = [experiment("head"), experiment("everything", tune_llm=True, tune_visual=True)]
    for item, level in zip(items, (0.1, 0.9), strict=True):
        write_run(item, store, losses(300, level))
    observed = observe(read_runs(items, store))
    (found,) = contrasts(observed, "trainable_parts")
    assert found.low[0].name == "head"
    assert found.verdict == "controlled"
    assert replace(found, factor="x").runs == found.runs


def test_a_missing_run_is_not_observed(store: Store) -> None:
    assert observe(read_runs([experiment("missing")], store)) == []
