"""Successive halving: the decision at a rung, and a sweep that gives up its hopeless runs."""

import math

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Pruning
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.pruning import competitor_losses, decide, losses_at
from gr00t_assets.runs.retry import is_complete
from gr00t_assets.runs.spec import TrainingSpec, load_spec, make_spec
from gr00t_assets.trainers.checkpoint_files import complete_checkpoints
from gr00t_assets_tests.trainers.conftest import SpecMaker, train

THIRDS = Pruning(min_steps=10, reduction_factor=3)


def test_the_best_third_goes_on():
    competitors = [{10: 1.0 + number / 10} for number in range(8)]
    assert not decide({10: 0.9}, competitors, THIRDS).hopeless
    assert not decide({10: 1.15}, competitors, THIRDS).hopeless
    decision = decide({10: 1.35}, competitors, THIRDS)
    assert decision.hopeless
    assert (decision.rank, decision.runs) == (5, 9)


@pytest.mark.parametrize("others", [0, 1])
def test_too_few_runs_decide_nothing(others):
    assert not decide({10: 9.0}, [{10: 1.0}] * others, THIRDS).hopeless


def test_only_runs_at_the_same_rung_count():
    early = [{10: 0.1}, {10: 0.2}, {10: 0.3}]
    assert not decide({10: 1.0, 30: 0.9}, early, THIRDS).hopeless
    late = [{10: 0.1, 30: 0.05}, {10: 0.2, 30: 0.06}]
    assert decide({10: 1.0, 30: 0.9}, late, THIRDS).hopeless
    assert not decide({10: 1.0, 30: 0.01}, late, THIRDS).hopeless


def test_a_run_that_diverged_is_behind_every_other():
    competitors = [{10: 1.0}, {10: 2.0}]
    assert decide({10: math.inf}, competitors, THIRDS).hopeless
    assert not decide({10: 1.5}, [{10: math.inf}] * 5, THIRDS).hopeless


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
    assert len(competitor_losses(hopeless, (4, 8))) == 1
    other = hopeless.experiment.model_copy(update={"sweep": "other"})
    assert competitor_losses(hopeless.model_copy(update={"experiment": other}), (4, 8)) == []
    parts = of_sweep(hopeless, "hopeless", tune_projector=False)
    assert competitor_losses(parts, (4, 8)) == []
    assert competitor_losses(good, (4, 8)) == [], "the hopeless one has not begun"
    assert set(losses_at(good.run_directory, (4, 8, 99))) == {4, 8}
