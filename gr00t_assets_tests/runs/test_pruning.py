"""Successive halving: the decision at a rung, and a sweep that gives up its hopeless runs."""

import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Pruning
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.pruning import competitor_losses, decide, loss_at
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.spec import TrainingSpec, load_spec, make_spec
from gr00t_assets.trainers.run_files import complete_checkpoints
from gr00t_assets_tests.trainers.conftest import SpecMaker, train

THIRDS = Pruning(min_steps=10, reduction_factor=3)


def test_the_best_third_goes_on():
    competitors = [1.0 + number / 10 for number in range(8)]
    assert not decide(0.9, competitors, THIRDS).hopeless
    assert not decide(1.15, competitors, THIRDS).hopeless
    decision = decide(1.35, competitors, THIRDS)
    assert decision.hopeless
    assert (decision.rank, decision.runs) == (5, 9)


@pytest.mark.parametrize("others", [0, 1])
def test_too_few_runs_decide_nothing(others):
    assert not decide(9.0, [1.0] * others, THIRDS).hopeless


def test_a_run_that_diverged_is_behind_every_other():
    assert decide(math.inf, [1.0, 2.0], THIRDS).hopeless
    assert not decide(1.5, [math.inf] * 5, THIRDS).hopeless


@given(st.lists(st.integers(0, 9), min_size=3, max_size=20), st.integers(2, 4))
def test_the_decision_is_that_of_optunas_pruner(losses: list[int], factor: int):
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=10, reduction_factor=factor)
    study = optuna.create_study(direction="minimize", pruner=pruner)
    for loss in losses:
        trial = study.ask()
        trial.report(loss, 10)
        pruned = trial.should_prune()
    *competitors, own = losses
    decision = decide(own, competitors, Pruning(min_steps=10, reduction_factor=factor))
    assert decision.hopeless == (pruned and len(losses) >= factor)


def test_rungs_grow_by_the_factor_and_end_before_the_run_does():
    assert THIRDS.rungs(91) == (10, 30, 90)
    assert THIRDS.rungs(90) == (10, 30)
    assert THIRDS.rungs(5) == ()


PRUNING = Pruning(min_steps=4, reduction_factor=2)


def of_sweep(spec: TrainingSpec, name: str, pruning: Pruning | None = PRUNING, **settings):
    experiment = spec.experiment
    changed = experiment.hyperparameters.model_copy(update=settings)
    update = {"name": name, "pruning": pruning, "hyperparameters": changed}
    from pathlib import Path

    return make_spec(experiment.model_copy(update=update), Store(Path(spec.store)))


def sweep_with_a_hopeless_run(spec_of: SpecMaker) -> tuple[TrainingSpec, TrainingSpec]:
    spec = spec_of(max_steps=12, save_steps=100, batch_size=4)
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
    assert 4 <= manifest.steps < 12
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
    assert f"resuming from step {stopped.steps if stopped else 0} of 12" in train(free).stdout
    finished = load_manifest(free.run_directory)
    assert finished is not None
    assert (finished.status, finished.steps) == ("finished", 12)
    assert load_spec(free.run_directory / "spec.json").experiment.pruning is None


def test_without_pruning_a_hopeless_run_is_trained_to_its_end(spec_of):
    _, hopeless = sweep_with_a_hopeless_run(spec_of)
    assert train(of_sweep(hopeless, "hopeless", pruning=None)).returncode == 0
    manifest = load_manifest(hopeless.run_directory)
    assert manifest is not None and manifest.status == "finished"


def test_runs_of_another_sweep_or_with_other_parts_are_no_rivals(spec_of):
    good, hopeless = sweep_with_a_hopeless_run(spec_of)
    assert len(competitor_losses(hopeless, 8)) == 1
    other = hopeless.experiment.model_copy(update={"sweep": "other"})
    assert competitor_losses(hopeless.model_copy(update={"experiment": other}), 8) == []
    parts = of_sweep(hopeless, "hopeless", tune_projector=False)
    assert competitor_losses(parts, 8) == []
    assert competitor_losses(good, 8) == [], "the hopeless one has not begun"
    assert loss_at(good.run_directory, 8) == competitor_losses(hopeless, 8)[0]
    assert loss_at(good.run_directory, 99) is None
