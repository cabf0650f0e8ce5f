"""What the rule leaves of a finished run, of either trainer, and when it leaves it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gr00t_assets.core.errors import StoreError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.runs.attempts import take_over
from gr00t_assets.runs.checkpoint_layout import WEIGHTS_ONLY, stored_checkpoints
from gr00t_assets.runs.retention.removal import remove
from gr00t_assets.runs.retention.retention_rule import RetentionRule, load_rule, retain, surplus
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets.trainers.run_files import complete_checkpoints
from gr00t_assets_tests.runs.retention.factory import ISAAC, NATIVE, FilledProject, checkpoint, tree
from gr00t_assets_tests.trainers.conftest import SpecMaker, train

LOSSES = {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.5, 50: 2.6}


def cut_down(project: FilledProject, spec: TrainingSpec, rule: RetentionRule, last: int) -> None:
    for removal in surplus(spec.run_directory, rule, last):
        remove(project.store.root, removal.path, removal.files)


@pytest.mark.parametrize("kind", [NATIVE, ISAAC])
def test_last_best_and_final_stay_without_optimizer_state(
    filled: FilledProject, kind: Mapping[str, Any]
) -> None:
    filled.sweep(defaults={"dataset": "demo"}, experiments=[{"name": "a"}])
    spec = filled.run(filled.experiment("a"), LOSSES, kind=kind)
    before = tree(spec.run_directory)
    cut_down(filled, spec, RetentionRule(), 2)
    found = stored_checkpoints(spec.run_directory)
    assert [(c.step, c.complete, c.whole, c.training_files) for c in found] == [
        (20, False, True, ()),
        (40, False, True, ()),
        (50, False, True, ()),
    ]
    for item in found:
        record = json.loads((item.path / WEIGHTS_ONLY).read_text())
        assert record["step"] == item.step
        weights = str((item.path / "model.safetensors").relative_to(spec.run_directory))
        assert (spec.run_directory / weights).read_bytes() == before[weights]
    left = tree(spec.run_directory)
    kept = [name for name in before if not name.startswith("checkpoints")]
    assert {name: left[name] for name in kept} == {name: before[name] for name in kept}
    assert surplus(spec.run_directory, RetentionRule(), 2) == []


def test_the_rule_of_the_project_counts(filled: FilledProject) -> None:
    file = filled.root / "data" / "retention.yaml"
    file.write_text(yaml.safe_dump({"last": 1, "best": False, "optimizer_state": "keep"}))
    filled.sweep(defaults={"dataset": "demo"}, experiments=[{"name": "a"}])
    spec = filled.run(filled.experiment("a"), LOSSES)
    cut_down(filled, spec, load_rule(), 8)
    found = stored_checkpoints(spec.run_directory)
    assert [(item.step, item.complete) for item in found] == [(50, True)]


def test_a_wrong_rule_is_refused_with_its_line(filled: FilledProject) -> None:
    (filled.root / "data" / "retention.yaml").write_text("last: 1\noptimiser_state: drop\n")
    with pytest.raises(StoreError, match=r"retention.yaml:2.*did you mean 'optimizer_state'"):
        load_rule()


def test_what_another_experiment_continues_keeps_its_optimizer_state(
    filled: FilledProject, capsys: pytest.CaptureFixture[str]
) -> None:
    filled.sweep(
        defaults={"dataset": "demo", "hyperparameters": {"max_steps": 50, "save_total_limit": 2}},
        experiments=[
            {"name": "a"},
            {"name": "longer", "continue_from": "a", "hyperparameters": {"max_steps": 90}},
        ],
    )
    spec = filled.run(filled.experiment("a"), LOSSES)
    said: list[str] = []
    retain(spec, said.append)
    found = stored_checkpoints(spec.run_directory)
    assert [(item.step, item.complete) for item in found] == [(20, False), (40, False), (50, True)]
    assert "longer continues it" in said[0]
    longer = make_spec(filled.experiment("longer"), filled.store)
    assert take_over(longer) == 50


def test_a_run_without_optimizer_state_says_so_to_who_continues_it(filled: FilledProject) -> None:
    settings = {"max_steps": 50}
    filled.sweep(
        defaults={"dataset": "demo", "hyperparameters": settings}, experiments=[{"name": "a"}]
    )
    spec = filled.run(filled.experiment("a"), LOSSES)
    retain(spec, lambda text: None)
    filled.sweep(
        defaults={"dataset": "demo", "hyperparameters": settings},
        experiments=[
            {"name": "a"},
            {"name": "longer", "continue_from": "a", "hyperparameters": {"max_steps": 90}},
        ],
    )
    with pytest.raises(TrainingError, match="step 50 has no optimizer state any more"):
        take_over(make_spec(filled.experiment("longer"), filled.store))


def test_nothing_goes_where_the_sweep_files_do_not_know_or_cannot_be_read(
    filled: FilledProject,
) -> None:
    filled.sweep(defaults={"dataset": "demo"}, experiments=[{"name": "a"}])
    spec = filled.run(filled.experiment("a"), LOSSES)
    before = tree(spec.run_directory)
    filled.sweep(defaults={"dataset": "demo"}, experiments=[{"name": "b"}])
    retain(spec, lambda text: pytest.fail(text))
    assert tree(spec.run_directory) == before
    (filled.root / "data" / "sweeps" / "s.yaml").write_text("{")
    said: list[str] = []
    retain(spec, said.append)
    assert tree(spec.run_directory) == before
    assert "old checkpoints are kept" in said[0]


def test_a_kill_between_marker_and_files_is_made_good(filled: FilledProject) -> None:
    filled.sweep(defaults={"dataset": "demo"}, experiments=[{"name": "a"}])
    spec = filled.run(filled.experiment("a"), {10: 1.0})
    folder = checkpoint(spec, 10)
    (folder / "complete.json").rename(folder / WEIGHTS_ONLY)
    assert complete_checkpoints(spec.run_directory) == []
    cut_down(filled, spec, RetentionRule(), 2)
    assert sorted(path.name for path in folder.iterdir()) == ["model.safetensors", WEIGHTS_ONLY]


def test_a_trained_run_is_cut_down_when_it_finishes(
    spec_of: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(max_steps=6, save_steps=1, save_total_limit=2)
    data = tmp_path / "project" / "data"
    (data / "sweeps").mkdir(parents=True)
    entry = {"description": "d", "source": "synthetic", "data_config": "so100_dualcam"}
    (data / "datasets.yaml").write_text(yaml.safe_dump({"small": entry}))
    defaults = {"dataset": "small", "hyperparameters": spec.experiment.hyperparameters.model_dump()}
    sweep = {"defaults": defaults, "experiments": [{"name": spec.experiment.name}]}
    (data / "sweeps" / "small.yaml").write_text(yaml.safe_dump(sweep))
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(data.parent))
    monkeypatch.setenv("GR00T_ASSETS_STORE", spec.store)
    outcome = train(spec)
    assert outcome.returncode == 0, outcome.stderr
    assert "retention: " in outcome.stdout
    found = stored_checkpoints(spec.run_directory)
    assert {5, 6} <= {item.step for item in found}
    assert len(found) <= 3
    assert not any(item.training_files or item.complete for item in found)
    assert (spec.run_directory / "model" / "model.safetensors").is_file()
    assert "nothing is trained" in train(spec).stdout
    assert Store(Path(spec.store)).root.is_dir()
