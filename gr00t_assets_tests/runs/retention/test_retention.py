"""What the rule leaves of a finished run, of either trainer, and when it leaves it."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from gr00t_assets.core.checksums import sealed
from gr00t_assets.core.errors import StoreError, TrainingError
from gr00t_assets.core.files import write_json
from gr00t_assets.core.project import Store
from gr00t_assets.runs.checkpoint_choice import evaluation_file
from gr00t_assets.runs.checkpoint_layout import (
    COMPLETE,
    WEIGHTS_ONLY,
    CheckpointLayout,
    stored_checkpoints,
)
from gr00t_assets.runs.final_loss import final_window
from gr00t_assets.runs.metrics import Metric, append_metric, read_metrics
from gr00t_assets.runs.retention.removal import remove
from gr00t_assets.runs.retention.retention_rule import (
    RetentionRule,
    best_step,
    kept_steps,
    load_rule,
    retain,
    surplus,
)
from gr00t_assets.runs.retry import take_over
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


def log(directory: Path, step: int, losses: list[float]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    fields = dict.fromkeys(Metric.model_fields, 1) | {"step": step, "losses": losses}
    append_metric(Metric.model_validate(fields), directory)


def test_the_newest_and_the_best_stay(tmp_path: Path) -> None:
    for step, loss in {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.5}.items():
        log(tmp_path, step, [loss] * 10)
    assert kept_steps([10, 20, 30, 40], 1, tmp_path) == {20, 40}
    assert kept_steps([10, 20, 30, 40], 1, tmp_path, best=False) == {40}
    assert kept_steps([10, 20], 8, tmp_path) == {10, 20}


def test_what_evaluations_find_best_and_what_was_promoted_stay(tmp_path: Path) -> None:
    run = tmp_path / "store" / "runs" / "mine" / "0123abcd"
    steps = [10, 20, 30, 40]
    for step in steps:
        log(run, step, [100.0 / step] * 10)
        folder = CheckpointLayout().folder(run, step)
        folder.mkdir(parents=True)
        (folder / COMPLETE).write_text("{}")
        held_out = {"error": {"mean": abs(step - 20)}, "episodes": [1, 2]}
        content = {"step": step, "settings": {}, "dataset_version": "1", "modality_hash": "2"}
        write_json(evaluation_file(run, step), sealed(content | {"held_out": held_out}))
    assert best_step(steps, run) == 40, "the training loss says otherwise"
    assert kept_steps(steps, 1, run) == {20, 40}
    assert kept_steps(steps, 1, run, best=False) == {20, 40}
    (tmp_path / "store" / "models" / "mine" / "0123abcd-step-000010").mkdir(parents=True)
    (tmp_path / "store" / "models" / "mine" / "other-step-000030").mkdir()
    assert kept_steps(steps, 1, run) == {10, 20, 40}


def test_the_window_is_that_of_the_manifest(tmp_path: Path) -> None:
    losses = [math.sin(number) + 3 for number in range(300)]
    for step in range(10, 301, 10):
        log(tmp_path, step, losses[step - 10 : step])
    means = {}
    for step in (100, 200, 300):
        window = final_window(losses[:step], 1)
        assert window is not None
        means[step] = window.mean
    assert best_step([100, 200, 300], tmp_path) == min(means, key=lambda step: means[step])


def test_without_metrics_nothing_is_best(tmp_path: Path) -> None:
    assert best_step([10, 20], tmp_path) is None
    assert kept_steps([10, 20], 1, tmp_path) == {20}


def test_a_torn_line_spoils_no_line_after_it(tmp_path: Path) -> None:
    log(tmp_path, 1, [1.0])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "los')
    log(tmp_path, 2, [2.0])
    log(tmp_path, 3, [3.0])
    assert read_metrics(tmp_path).columns["step"].tolist() == [1, 2, 3]
    whole = [text for text in (tmp_path / "metrics.jsonl").read_text().splitlines() if "}" in text]
    assert [json.loads(text)["step"] for text in whole] == [1, 2, 3]
