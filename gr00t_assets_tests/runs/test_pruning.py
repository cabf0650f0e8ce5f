"""Successive halving: the decision at a rung, and a sweep that gives up its hopeless runs."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Pruning
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import Metric, append_metric
from gr00t_assets.runs.pruning import (
    LogLoss,
    PruningWatch,
    RungLoss,
    competitors,
    decide,
    rung_loss,
    stored_loss,
)
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, load_spec, make_spec
from gr00t_assets.trainers.run_files import complete_checkpoints
from gr00t_assets_tests.trainers.conftest import SpecMaker, train


def level(loss: float, error: float = 0.0) -> RungLoss:
    """A loss that falls no more."""
    log = LogLoss(math.log(loss) if math.isfinite(loss) else loss, error)
    return RungLoss(log, log, log)


def levels(losses: Sequence[float]) -> list[RungLoss]:
    return [level(loss) for loss in losses]


def test_the_best_third_goes_on():
    others = levels([1.0 + number / 10 for number in range(8)])
    assert not decide(level(0.9), others, 3).hopeless
    assert not decide(level(1.15), others, 3).hopeless
    decision = decide(level(1.35), others, 3)
    assert decision.hopeless
    assert (decision.rank, decision.configurations) == (5, 9)


@pytest.mark.parametrize("others", [0, 1])
def test_too_few_configurations_decide_nothing(others: int):
    assert not decide(level(9.0), levels([1.0] * others), 3).hopeless


def test_a_run_that_diverged_is_behind_every_other():
    assert decide(level(math.inf), levels([1.0, 2.0]), 3).hopeless
    assert not decide(level(1.5), levels([math.inf] * 5), 3).hopeless


@given(st.lists(st.integers(1, 9), min_size=3, max_size=20), st.integers(2, 4))
def test_without_noise_the_decision_is_that_of_optunas_pruner(losses: list[int], factor: int):
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=10, reduction_factor=factor)
    study = optuna.create_study(direction="minimize", pruner=pruner)
    for loss in losses:
        trial = study.ask()
        trial.report(loss, 10)
        pruned = trial.should_prune()
    *others, own = levels(losses)
    assert decide(own, others, factor).hopeless == (pruned and len(losses) >= factor)


def test_what_noise_can_explain_is_not_hopeless():
    others = [level(1.0, 0.05)] * 8
    assert not decide(level(1.15, 0.05), others, 3).hopeless
    assert decide(level(1.25, 0.05), others, 3).hopeless


def test_a_run_that_is_catching_up_goes_on_and_one_that_is_not_ends():
    steps = np.arange(1, 251)
    fast = [rung_loss(0.2 + 0.8 * np.exp(-steps / tau), 1000) for tau in (20, 25, 30)]
    slow = rung_loss(np.exp(-steps / 300), 1000)
    stuck = rung_loss(0.4 + 0.6 * np.exp(-steps / 20), 1000)
    assert slow.reached.mean > stuck.reached.mean
    assert not decide(slow, fast, 3).hopeless
    assert decide(stuck, fast, 3).hopeless


def test_a_run_that_has_not_begun_to_fall_is_decided_about_at_the_next_rung():
    steps = np.arange(1, 1001)
    others = [0.2 + 0.8 * np.exp(-steps / tau) for tau in (20, 25, 30)]
    level_loss = 0.99 + 0.02 * (steps % 2)
    for rung, hopeless in ((250, False), (750, True)):
        fallen = [rung_loss(losses[:rung], 1000) for losses in others]
        assert decide(rung_loss(level_loss[:rung], 1000), fallen, 3).hopeless is hopeless
    risen = rung_loss(1 + steps[:250] / 100, 1000)
    assert decide(risen, [rung_loss(losses[:250], 1000) for losses in others], 3).hopeless


def test_a_power_law_is_continued_to_where_it_ends():
    losses = np.arange(1.0, 1001.0) ** -0.5
    at_quarter, at_end = rung_loss(losses[:250], 1000), rung_loss(losses, 1000)
    assert at_quarter.expected.mean == pytest.approx(at_end.reached.mean, abs=0.05)
    assert at_quarter.lowest.mean < at_quarter.expected.mean < at_quarter.reached.mean
    assert at_end.expected == at_end.reached


def test_a_loss_that_tells_nothing_is_said_to_be_so():
    with pytest.raises(ValueError, match="3 steps are too few"):
        rung_loss(np.ones(3), 10)
    with pytest.raises(ValueError, match="not above 0"):
        rung_loss(-np.ones(100), 400)
    diverged = rung_loss(np.r_[np.ones(60), np.full(40, np.nan)], 400)
    assert diverged.reached.mean == diverged.lowest.mean == math.inf


@pytest.mark.parametrize(
    ("pruning", "batch", "steps", "rungs"),
    [
        (Pruning(), 4, 8000, (2000, 6000)),
        (Pruning(), 32, 1000, (250, 750)),
        (Pruning(min_samples=16_000), 4, 8000, (4000,)),
        (Pruning(min_samples=16_000), 32, 1000, (500,)),
        (Pruning(min_samples=100, reduction_factor=2), 32, 1000, (250, 500)),
        (Pruning(min_steps=300, reduction_factor=2), 32, 1000, (300, 600)),
        (Pruning(min_samples=99_000), 32, 1000, ()),
    ],
)
def test_runs_of_every_batch_size_are_decided_about_at_equal_samples(
    pruning: Pruning, batch: int, steps: int, rungs: tuple[int, ...]
):
    assert pruning.rungs(Hyperparameters(batch_size=batch, max_steps=steps)) == rungs


def test_the_first_decision_has_one_unit():
    with pytest.raises(ValidationError, match="take min_steps out"):
        Pruning(min_samples=100, min_steps=10)


PRUNING = Pruning(min_samples=240, reduction_factor=2)


def of_sweep(spec: TrainingSpec, name: str, pruning: Pruning | None = PRUNING, **settings):
    experiment = spec.experiment
    changed = experiment.hyperparameters.model_copy(update=settings)
    update = {"name": name, "pruning": pruning, "hyperparameters": changed}
    return make_spec(experiment.model_copy(update=update), Store(Path(spec.store)))


def sweep_with_a_hopeless_run(spec_of: SpecMaker) -> tuple[TrainingSpec, TrainingSpec]:
    spec = spec_of(max_steps=80, save_steps=100, batch_size=4)
    good = of_sweep(spec, "good", learning_rate=3e-3)
    hopeless = of_sweep(spec, "hopeless", learning_rate=1e-9)
    assert train(good).returncode == 0
    return good, hopeless


def test_a_hopeless_run_ends_with_a_checkpoint_and_says_so(spec_of):
    good, hopeless = sweep_with_a_hopeless_run(spec_of)
    done = train(hopeless)
    assert done.returncode == 0, done.stderr
    manifest = load_manifest(hopeless.run_directory)
    assert manifest is not None
    assert manifest.status == "pruned"
    assert 60 <= manifest.steps < 80
    assert "at step 60 (240 samples) its loss" in (manifest.failure or "")
    assert "is number 2 of 2: hopeless" in (manifest.failure or "")
    assert "take pruning out" in done.stdout
    (checkpoint,) = complete_checkpoints(hopeless.run_directory)
    assert checkpoint.name == f"step-{manifest.steps:06d}"
    assert not (hopeless.run_directory / "model").exists()
    kept = load_manifest(good.run_directory)
    assert kept is not None and kept.status == "finished"


def test_it_is_left_alone_while_its_sweep_prunes_and_goes_on_once_it_does_not(spec_of):
    _, hopeless = sweep_with_a_hopeless_run(spec_of)
    train(hopeless)
    stopped = load_manifest(hopeless.run_directory)
    assert is_complete(stopped, hopeless.experiment)
    assert "is pruned already" in train(hopeless).stdout
    assert load_manifest(hopeless.run_directory) == stopped

    free = of_sweep(hopeless, "hopeless", pruning=None)
    assert free.config_hash == hopeless.config_hash, "pruning is not of the configuration"
    assert not is_complete(stopped, free.experiment)
    assert f"resuming from step {stopped.steps if stopped else 0} of 80" in train(free).stdout
    finished = load_manifest(free.run_directory)
    assert finished is not None
    assert (finished.status, finished.steps) == ("finished", 80)
    assert load_spec(free.run_directory / "spec.json").experiment.pruning is None


def test_without_pruning_a_hopeless_run_is_trained_to_its_end(spec_of):
    _, hopeless = sweep_with_a_hopeless_run(spec_of)
    assert train(of_sweep(hopeless, "hopeless", pruning=None)).returncode == 0
    manifest = load_manifest(hopeless.run_directory)
    assert manifest is not None and manifest.status == "finished"


def logged(spec: TrainingSpec, loss: float, steps: int = 60) -> TrainingSpec:
    """A run of the store that has logged a loss which falls no more."""
    place_spec(spec)
    for step in range(1, steps + 1):
        seen = step * spec.experiment.hyperparameters.samples_per_step
        own = loss * (1 + 0.01 * (-1) ** step)
        append_metric(
            Metric(step=step, samples_seen=seen, epoch=0.0, loss=own, losses=(own,),
                   grad_norm=1.0, learning_rate=1e-3, wall_seconds=0.0),
            spec.run_directory,
        )  # fmt: skip
    return spec


LONG = {"max_steps": 200, "lr_scheduler_type": "cosine", "batch_size": 4}


def count(spec: TrainingSpec) -> int:
    return len(competitors(spec, 50))


def test_only_runs_of_equal_batch_schedule_length_and_data_are_competitors(spec_of: SpecMaker):
    own = of_sweep(spec_of(**LONG), "own", learning_rate=1e-5)
    same = logged(of_sweep(own, "other", learning_rate=1e-3), 1.0)
    assert count(own) == 1
    assert competitors(own, 50)[0] == stored_loss(same.run_directory, 50, 200)
    logged(of_sweep(own, "accumulated", weight_decay=0.1, batch_size=2,
                    gradient_accumulation_steps=2), 1.0)  # fmt: skip
    assert count(own) == 2, "two batches of two samples are one of four"
    for name, change in {
        "batch": {"batch_size": 8},
        "steps": {"max_steps": 400},
        "schedule": {"lr_scheduler_type": "constant"},
        "warmup": {"warmup_ratio": 0.2},
        "parts": {"tune_projector": False},
    }.items():
        logged(of_sweep(own, name, learning_rate=1e-3, **change), 1.0)
        assert count(own) == 2, name
    logged(of_sweep(own, "shorter", learning_rate=1e-2), 1.0, steps=49)
    assert count(own) == 2, "it has not been there"
    elsewhere = own.experiment.model_copy(update={"sweep": "other"})
    assert count(own.model_copy(update={"experiment": elsewhere})) == 0


def test_seeds_of_a_configuration_are_one_competitor_and_never_each_others(spec_of: SpecMaker):
    own = logged(of_sweep(spec_of(**LONG), "own", learning_rate=1e-5), 9.0)
    for seed, loss in ((1, 1.0), (2, math.e)):
        logged(of_sweep(own, f"a{seed}", learning_rate=1e-3, seed=seed), loss)
    logged(of_sweep(own, "b", learning_rate=1e-4, seed=1), 2.0)
    first, _ = competitors(own, 50)
    assert first.reached.mean == pytest.approx(0.5, abs=0.01)

    logged(of_sweep(own, "c1", learning_rate=1e-2, seed=1), 2.0)
    place_spec(of_sweep(own, "own2", learning_rate=1e-5, seed=7))
    for name, seed in (("own", 42), ("own2", 7)):
        with pytest.raises(ValueError, match="compares seeds"):
            competitors(of_sweep(own, name, learning_rate=1e-5, seed=seed), 50)


def test_a_sweep_whose_configurations_have_several_seeds_gives_up_nothing(spec_of: SpecMaker):
    own = logged(of_sweep(spec_of(**LONG), "own", learning_rate=1e-5), 9.0)
    for name, rate in (("a", 1e-3), ("b", 1e-4)):
        for seed in (1, 2):
            logged(of_sweep(own, f"{name}{seed}", learning_rate=rate, seed=seed), 1.0)
    said: list[str] = []
    given_up: list[str] = []
    watch = PruningWatch(own, Pruning(), said.append, lambda: False, given_up.append)
    watch._decided = 0
    last = Metric(step=50, samples_seen=200, epoch=0.0, loss=9.0, losses=(9.0,), grad_norm=1.0,
                  learning_rate=1e-3, wall_seconds=0.0)  # fmt: skip
    watch(last)
    assert not given_up
    assert "step 50 is not decided about: its sweep compares seeds" in said[0]


def test_a_spec_of_version_0_2_is_read_with_its_pruning(spec_of: SpecMaker):
    pruning = Pruning(min_steps=4, reduction_factor=2)
    path = place_spec(of_sweep(spec_of(), "old", pruning))
    text = path.read_text()
    assert '"min_samples": null' in text
    path.write_text(text.replace('"min_samples": null,', ""))
    assert load_spec(path).experiment.pruning == pruning
