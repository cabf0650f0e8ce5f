import json
from pathlib import Path

import pytest

from gr00t_assets.core.errors import CheckpointError, SpecError, TrainingError
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets_tests.defs.specs import a_spec


def test_the_native_trainer_takes_the_spec_file(tmp_path: Path):
    spec = a_spec(tmp_path)
    path = place_spec(spec)
    assert trainer_named(spec.experiment.trainer).command(spec)[1:] == [
        "-m",
        "gr00t_assets.trainers.native",
        str(path),
    ]
    assert path == tmp_path / "runs" / "lr1e-3" / spec.config_hash / "spec.json"


def test_isaac_gr00t_is_refused_where_it_is_not_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GR00T_ASSETS_ISAAC", str(tmp_path / "nowhere"))
    spec = a_spec(tmp_path, trainer="isaac-gr00t")
    with pytest.raises(TrainingError, match="lr1e-3: isaac-gr00t is not set up for N1"):
        trainer_named(spec.experiment.trainer).command(spec)


def test_an_equal_spec_is_left_alone(tmp_path: Path):
    path = place_spec(a_spec(tmp_path))
    before = path.stat()
    assert place_spec(a_spec(tmp_path)) == path
    assert path.stat().st_ino == before.st_ino


def test_a_spec_keeps_the_hypothesis_it_was_asked_with(tmp_path: Path):
    path = place_spec(a_spec(tmp_path, hypothesis="it falls"))
    place_spec(a_spec(tmp_path, hypothesis="it rises, as I always said"))
    assert json.loads(path.read_text())["experiment"]["hypothesis"] == "it falls"


def test_a_store_that_was_moved_is_followed(tmp_path: Path):
    old, new = tmp_path / "old", tmp_path / "new"
    place_spec(a_spec(old))
    old.rename(new)
    path = place_spec(a_spec(new))
    assert json.loads(path.read_text())["store"] == str(new)


def test_another_runs_spec_is_never_overwritten(tmp_path: Path):
    spec, other = a_spec(tmp_path), a_spec(tmp_path, name="other")
    path = place_spec(spec)
    path.write_text(other.model_dump_json())
    with pytest.raises(CheckpointError, match="this run directory belongs to another run"):
        place_spec(spec)
    assert json.loads(path.read_text())["experiment"]["name"] == "other"


def test_a_spec_that_was_edited_by_hand_is_refused(tmp_path: Path):
    spec = a_spec(tmp_path)
    path = place_spec(spec)
    content = json.loads(path.read_text())
    content["experiment"]["hyperparameters"]["max_steps"] = 5
    path.write_text(json.dumps(content))
    with pytest.raises(SpecError, match="the config hash does not match"):
        place_spec(spec)
