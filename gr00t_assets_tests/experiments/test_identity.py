"""What identifies an experiment: what differs from the defaults."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.registry import all_hyperparameters, forget_trainers, trainer_named
from gr00t_assets.experiments.sweeps import load_sweeps
from gr00t_assets.runs.spec import hash_of_spec, load_spec, write_spec
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.native.trainer import NativeHyperparameters
from gr00t_assets_tests.defs.specs import a_spec

ROOT = Path(__file__).resolve().parents[2]


class NativeWithDropout(NativeHyperparameters):
    head_dropout: float = Field(default=0.2, ge=0, lt=1, description="Dropout of the action head")


class IsaacWithDropout(IsaacHyperparameters):
    head_dropout: float = Field(default=0.2, ge=0, lt=1, description="Dropout of the action head")


@pytest.fixture
def one_more(monkeypatch: pytest.MonkeyPatch):
    """Both trainers have a hyperparameter more, with a default."""
    models = {"native": NativeWithDropout, "isaac-gr00t": IsaacWithDropout}

    def add() -> None:
        for name, model in models.items():
            monkeypatch.setattr(type(trainer_named(name)), "hyperparameters", model)
        all_hyperparameters.cache_clear()

    yield add
    monkeypatch.undo()
    forget_trainers()


def hashes() -> dict[str, str]:
    return {
        item.name: item.config_hash("version", "modality")
        for sweep in load_sweeps(ROOT / "data" / "sweeps").values()
        for item in sweep.experiments
    }


def test_a_new_hyperparameter_with_a_default_leaves_every_hash_and_spec_as_it_was(
    one_more, tmp_path: Path
):
    before = hashes()
    spec = a_spec(tmp_path)
    path = write_spec(spec)
    one_more()
    assert hashes() == before
    again = load_spec(path)
    assert again.experiment.hyperparameters.head_dropout == 0.2  # type: ignore[attr-defined]
    assert again.current_hash == hash_of_spec(path) == spec.current_hash


def test_a_changed_value_of_it_is_another_experiment(one_more):
    one_more()
    common = {"name": "a", "sweep": "s", "dataset": "d"}
    plain = Experiment.model_validate(common)
    other = Experiment.model_validate({**common, "hyperparameters": {"head_dropout": 0.1}})
    assert plain.config_hash("v", "m") != other.config_hash("v", "m")


def test_a_value_that_is_stated_and_equals_the_default_changes_nothing():
    common = {"name": "a", "sweep": "s", "dataset": "d"}
    stated = Experiment.model_validate({**common, "hyperparameters": {"batch_size": 32}})
    plain = Experiment.model_validate(common)
    assert stated.config_hash("v", "m") == plain.config_hash("v", "m")
    assert stated.hyperparameters.model_fields_set == {"batch_size"}


def test_another_default_is_another_experiment_and_its_spec_stays_readable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    class Warmer(NativeHyperparameters):
        defaults_version: ClassVar[int] = 2
        learning_rate: float = Field(default=2e-4, gt=0, description="Peak learning rate")

    spec = a_spec(tmp_path)
    path = write_spec(spec)
    monkeypatch.setattr(type(trainer_named("native")), "hyperparameters", Warmer)
    again = load_spec(path)
    assert again.experiment.hyperparameters.learning_rate == 1e-4
    assert again.current_hash == hash_of_spec(path) != spec.config_hash
    asked = again.experiment.model_copy(update={"hyperparameters": Warmer(learning_rate=1e-4)})
    modality = again.modality_config
    now = asked.config_hash(modality.dataset_version, modality.content_hash())
    settings = spec.experiment.hyperparameters.changed()
    if not settings:
        assert now == again.current_hash


def test_a_hyperparameter_of_both_trainers_is_declared_in_one_file():
    """One file to declare it, one for the trainer to use it, and its entry in docs/files.md."""
    declaring = [
        path
        for path in (ROOT / "gr00t_assets").rglob("*.py")
        if "\n    max_grad_norm: float" in path.read_text()
    ]
    using = [
        path
        for path in (ROOT / "gr00t_assets").rglob("*.py")
        if "max_grad_norm" in path.read_text() and path not in declaring
    ]
    assert [path.name for path in declaring] == ["n15_hyperparameters.py"]
    assert len(using) <= 2, using
    assert "max_grad_norm" in all_hyperparameters()
    assert "max_grad_norm" not in Hyperparameters.model_fields
