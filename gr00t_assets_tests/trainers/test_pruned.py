"""A sweep of real short runs, one of which is hopeless."""

from gr00t_assets.core.project import Store
from gr00t_assets.experiments.pruning import Pruning
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.pruned import over
from gr00t_assets.runs.rivals import losses_at, rival_losses
from gr00t_assets.runs.spec import TrainingSpec, load_spec, make_spec
from gr00t_assets.trainers.native.checkpoints import complete_checkpoints
from gr00t_assets_tests.trainers.conftest import SpecMaker, train

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
    assert over(stopped, hopeless.experiment)
    assert "is pruned already" in train(hopeless).stdout
    assert load_manifest(hopeless.run_directory) == stopped

    free = of_sweep(hopeless, "hopeless", pruning=None)
    assert free.config_hash == hopeless.config_hash, "pruning is not of the configuration"
    assert not over(stopped, free.experiment)
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
    assert len(rival_losses(hopeless, (4, 8))) == 1
    other = hopeless.experiment.model_copy(update={"sweep": "other"})
    assert rival_losses(hopeless.model_copy(update={"experiment": other}), (4, 8)) == []
    parts = of_sweep(hopeless, "hopeless", tune_projector=False)
    assert rival_losses(parts, (4, 8)) == []
    assert rival_losses(good, (4, 8)) == [], "the hopeless one has not begun"
    assert set(losses_at(good.run_directory, (4, 8, 99))) == {4, 8}
