"""What identifies an experiment: what differs from the defaults."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field

from gr00t_assets.cli.sweep_plan import plan_json
from gr00t_assets.comparison.all_runs import from_store
from gr00t_assets.comparison.statistics.ranking import comparability_classes
from gr00t_assets.comparison.tables.runs_table import read_table
from gr00t_assets.core.errors import SweepError
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.experiments.registry import (
    all_hyperparameters,
    combined_hyperparameters,
    hyperparameters_model,
    trainer_named,
    trainer_names,
)
from gr00t_assets.experiments.sweeps import load_sweep
from gr00t_assets.planning.sweep_plan import make_plan
from gr00t_assets.reporting.ranking_table import ranking_table
from gr00t_assets.runs.spec import hash_of_spec, load_spec, make_spec, write_spec
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets_tests.comparison.run_factory import losses, store_with_data, write_run
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.experiments.sweep_texts import load_sweeps

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
        combined_hyperparameters.cache_clear()

    yield add
    monkeypatch.undo()
    combined_hyperparameters.cache_clear()


def hashes() -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR00T_ASSETS_EXAMPLES", "1")
        experiments = load_sweeps().experiments.values()
    return {item.name: item.config_hash("version", "modality") for item in experiments}


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
    asked = again.experiment.model_copy(
        update={"hyperparameters": Warmer(max_steps=4, learning_rate=1e-4)}
    )
    modality = again.modality_config
    now = asked.config_hash(modality.dataset_version, modality.content_hash())
    assert now == again.current_hash
    default = again.experiment.model_copy(update={"hyperparameters": Warmer(max_steps=4)})
    assert default.config_hash(modality.dataset_version, modality.content_hash()) != now


SWEEP = """\
defaults:
  dataset: demo
  hyperparameters: {batch_size: 8, max_steps: 300}
grid:
  name: dropout{head_dropout}
  hyperparameters: {head_dropout: [0.1, 0.3]}
"""


def test_a_hyperparameter_that_is_declared_alone_is_everywhere(one_more, tmp_path: Path):
    """A field of the trainer's model is all: nothing else changes for what is asserted here."""
    before = hashes()
    one_more()
    assert hashes() == before, "experiments that do not name it stay the same"

    file = tmp_path / "drop.yaml"
    file.write_text(SWEEP)
    sweep = load_sweep(file, ["demo"])
    assert [item.name for item in sweep.experiments] == ["dropout0.1", "dropout0.3"]
    file.write_text(SWEEP.replace("0.3", "1.5"))
    with pytest.raises(SweepError, match="head_dropout"):
        load_sweep(file, ["demo"])

    store = store_with_data(tmp_path / "store", "demo")
    for item, mean in zip(sweep.experiments, (0.2, 0.1), strict=True):
        write_run(item, store, losses(300, mean))
        spec = load_spec(Path(trainer_named("native").command(make_spec(item, store))[-1]))
        assert spec.experiment == item
        assert spec.experiment.hyperparameters.changed()["head_dropout"] in (0.1, 0.3)

    plan = make_plan(sweep, store)
    assert [row["head_dropout"] for row in plan_json(plan)["experiments"]] == [0.1, 0.3]
    runs = from_store(read_runs(sweep.experiments, store))
    (ranked_class,) = comparability_classes(runs)
    shown = ranking_table(ranked_class.ranking, {})
    (place,) = [at for at, column in enumerate(shown.columns) if column.name == "head_dropout"]
    assert {cells[place].text for _, cells in shown.rows} == {"0.1", "0.3"}
    assert shown.columns[place].dtype == "Float64"
    table = tmp_path / "runs.csv"
    table.write_text(
        "run_id,status,learning_rate,batch_size,max_steps,loss,dataset,head_dropout\n"
        "a,finished,1e-4,8,300,0.5,demo,0.1\n"
    )
    assert read_table(table)[0].settings["head_dropout"] == 0.1


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


@pytest.mark.parametrize("name", trainer_names())
def test_a_default_is_what_it_is_read_back_as(name: str) -> None:
    """Else a run that was read from its file is not equal to the one that was asked for."""
    settings = hyperparameters_model(name)()
    again = type(settings).model_validate_json(settings.model_dump_json())
    assert str(again.model_dump()) == str(settings.model_dump())
