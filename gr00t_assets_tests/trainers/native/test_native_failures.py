"""Runs that cannot end well: one clear error, exit code 1, nothing published."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.run_directory import run_lock
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.training_state import latest_checkpoint
from gr00t_assets.trainers.run_checks import final_weights_problem
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, forget_hashes, train


def failed(spec: TrainingSpec) -> str:
    """Train, expect a failure, and give what standard error says."""
    result = train(spec)
    assert result.returncode == 1, result.stdout
    assert "Traceback" not in result.stderr
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert manifest.status == "failed"
    assert manifest.failure == result.stderr.strip()
    assert not (spec.run_directory / "model").exists()
    return result.stderr


def test_a_loss_that_diverges_fails_the_run_and_publishes_no_model(spec_of: SpecMaker) -> None:
    message = failed(spec_of(learning_rate=1e30, max_steps=50, lr_scheduler_type="constant"))
    assert "training has diverged" in message
    assert "lower learning_rate" in message


def test_a_base_model_that_does_not_exist_is_named(spec_of: SpecMaker) -> None:
    message = failed(spec_of(base_model="./no/such/model"))
    assert "./no/such/model: there is no such folder" in message


def test_a_missing_frame_cache_names_the_command_that_makes_it(spec_of: SpecMaker) -> None:
    spec = spec_of()
    shutil.rmtree(spec.datasets[0].frame_cache)
    assert "--select frame_cache --partition small" in failed(spec)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{", "this is not JSON"), ('{"format": 1}', "this is not a training spec")],
)
def test_a_file_that_is_no_spec_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "spec.json"
    file.write_text(text)
    command = [sys.executable, "-m", "gr00t_assets.trainers.native", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert complaint in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]


def test_a_spec_edited_by_hand_is_refused(spec_of: SpecMaker, tmp_path: Path) -> None:
    content = json.loads(spec_of().model_dump_json())
    content["experiment"]["hyperparameters"]["learning_rate"] = 0.5
    file = tmp_path / "edited.json"
    file.write_text(json.dumps(content))
    command = [sys.executable, "-m", "gr00t_assets.trainers.native", str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "the config hash does not match the content" in result.stderr


def test_two_trainers_do_not_share_a_run_directory(spec_of: SpecMaker) -> None:
    spec = spec_of()
    with run_lock(spec.run_directory):
        result = train(spec)
    assert result.returncode == 1
    assert "a process trains here already" in result.stderr
    assert not (spec.run_directory / "manifest.json").exists()


def test_final_weights_that_are_damaged_do_not_pass_the_check(spec_of: SpecMaker) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    assert final_weights_problem(spec.run_directory) is None
    path = spec.run_directory / "model" / "model.safetensors"
    from safetensors.torch import load_file, save_file

    tensors = load_file(path)
    tensors["action_head.action_decoder.layer2.b"].fill_(float("nan"))
    save_file(tensors, path)
    assert "its content has changed" in (final_weights_problem(spec.run_directory) or "")
    forget_hashes(spec.run_directory)
    assert "not finite" in (final_weights_problem(spec.run_directory) or "")
    path.unlink()
    assert "model.safetensors" in (final_weights_problem(spec.run_directory) or "")


def test_a_full_disk_fails_the_run_and_keeps_what_was_complete(
    spec_of: SpecMaker, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(32)
    spec = spec_of(max_steps=8, save_steps=1, save_total_limit=8)
    root = disk / "store"
    shutil.copytree(spec.store, root)
    spec = spec.model_copy(update={"store": str(Store(root).root)})
    file = disk / "spec.json"
    file.write_text(spec.model_dump_json())
    result = subprocess.run(
        [sys.executable, "-m", "gr00t_assets.trainers.native", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert result.returncode == 1, result.stdout
    assert "the disk is full" in result.stderr
    assert not (spec.run_directory / "model").exists()
    left = [path.name for path in spec.run_directory.rglob("*.partial-*")]
    assert left == []
    state = latest_checkpoint(spec.run_directory, spec.config_hash)
    assert state is not None
    assert state.step == 3
