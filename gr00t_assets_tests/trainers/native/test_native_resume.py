"""Runs that are stopped, killed or damaged, against runs that were left alone."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gr00t_assets.core.checksums import read_sealed, sealed
from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.training_state import FILES
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT, complete_checkpoints
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, train, trainer


def losses(run_directory: Path) -> list[float]:
    return read_metrics(run_directory).losses.tolist()


def weights(run_directory: Path) -> bytes:
    return (run_directory / "model" / "model.safetensors").read_bytes()


def cut_back_to_step_two(run_directory: Path) -> None:
    """Leave what a run that was killed in its third step leaves."""
    (run_directory / "manifest.json").unlink()
    shutil.rmtree(run_directory / "model")
    shutil.rmtree(DEFAULT_LAYOUT.folder(run_directory, 4))


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(spec: TrainingSpec) -> subprocess.Popen[str]:
    return subprocess.Popen(
        trainer(spec),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
    )


@pytest.mark.parametrize("augmentation", ["none", "gr00t"])
def test_two_steps_and_then_two_more_are_four_steps_to_the_last_digit(
    spec_of: SpecMaker, augmentation: str
) -> None:
    spec = spec_of(augmentation=augmentation, gradient_accumulation_steps=2)
    directory = spec.run_directory
    assert train(spec).returncode == 0
    unbroken, final = losses(directory), weights(directory)
    assert len(unbroken) == 4
    cut_back_to_step_two(directory)

    resumed = start(spec)
    output, _ = resumed.communicate()

    assert resumed.returncode == 0, output
    assert "resuming from step 2 of 4" in output
    assert losses(directory) == unbroken
    assert weights(directory) == final
    manifest = load_manifest(directory)
    assert manifest is not None
    assert (manifest.status, manifest.steps, manifest.attempts) == ("finished", 4, 2)
    assert manifest.samples_seen == 16


def test_the_same_spec_gives_the_same_losses_and_another_seed_others(spec_of: SpecMaker) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    first = losses(spec.run_directory)
    shutil.rmtree(spec.run_directory)
    assert train(spec).returncode == 0
    assert losses(spec.run_directory) == first
    other = spec_of(seed=7)
    assert train(other).returncode == 0
    assert losses(other.run_directory) != first


def test_a_finished_run_is_not_trained_again(spec_of: SpecMaker) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    manifest = (spec.run_directory / "manifest.json").read_bytes()
    again = train(spec)
    assert again.returncode == 0
    assert "nothing is trained" in again.stdout
    assert (spec.run_directory / "manifest.json").read_bytes() == manifest
    assert len(losses(spec.run_directory)) == 4


def test_killed_with_9_it_goes_on_to_the_same_losses(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=60, save_steps=5)
    directory = spec.run_directory
    process = start(spec)
    wait_for(DEFAULT_LAYOUT.folder(directory, 10) / COMPLETE, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (directory / "model").exists()
    assert load_manifest(directory) is None

    assert train(spec).returncode == 0
    broken = losses(directory)
    shutil.rmtree(directory)
    assert train(spec).returncode == 0
    assert losses(directory) == broken


def test_ctrl_c_writes_a_checkpoint_and_the_next_start_goes_on(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=400, save_steps=400)
    directory = spec.run_directory
    process = start(spec)
    wait_for(directory / "metrics.jsonl", process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 130, output
    manifest = load_manifest(directory)
    assert manifest is not None
    assert manifest.status == "interrupted"
    assert f"stopped by SIGINT at step {manifest.steps}" in (manifest.failure or "")
    assert not (directory / "model").exists()
    stopped_at = manifest.steps
    assert [path.name for path in complete_checkpoints(directory)] == [f"step-{stopped_at:06d}"]

    process = start(spec)
    assert process.stdout is not None
    resuming = next(line for line in process.stdout if "resuming" in line)
    assert f"resuming from step {stopped_at} of 400" in resuming
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=240)
    assert process.returncode == 130


def test_only_the_newest_checkpoints_are_kept(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=6, save_steps=1, save_total_limit=2)
    assert train(spec).returncode == 0
    names = [path.name for path in complete_checkpoints(spec.run_directory)]
    assert names[-2:] == ["step-000005", "step-000006"]
    assert len(names) <= 3, "the one of the lowest loss stays as well"


def test_a_partial_checkpoint_is_passed_over_and_removed(spec_of: SpecMaker) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    unbroken = losses(spec.run_directory)
    cut_back_to_step_two(spec.run_directory)
    partial = DEFAULT_LAYOUT.folder(spec.run_directory, 3)
    shutil.copytree(DEFAULT_LAYOUT.folder(spec.run_directory, 2), partial)
    (partial / COMPLETE).unlink()
    assert "resuming from step 2" in train(spec).stdout
    assert losses(spec.run_directory) == unbroken
    assert not partial.exists()


def test_a_corrupt_checkpoint_is_refused_with_every_fault(spec_of: SpecMaker) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    cut_back_to_step_two(spec.run_directory)
    checkpoint = DEFAULT_LAYOUT.folder(spec.run_directory, 2)
    content = bytearray((checkpoint / FILES["weights"]).read_bytes())
    content[-1] ^= 1
    (checkpoint / FILES["weights"]).write_bytes(content)
    (checkpoint / FILES["optimizer"]).write_bytes(b"short")
    result = train(spec)
    assert result.returncode == 1
    assert "CheckpointError" in result.stderr
    assert f"{FILES['weights']}: its content has changed" in result.stderr
    assert f"{FILES['optimizer']}: has 5 bytes" in result.stderr
    assert "to go on from the checkpoint before it" in result.stderr
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert manifest.status == "failed"


def test_a_foreign_checkpoint_is_refused(spec_of: SpecMaker) -> None:
    spec = spec_of()
    assert train(spec).returncode == 0
    cut_back_to_step_two(spec.run_directory)
    path = DEFAULT_LAYOUT.folder(spec.run_directory, 2) / COMPLETE
    path.write_text(json.dumps(sealed({**read_sealed(path), "config_hash": "abcdefabcdef"})))
    result = train(spec)
    assert result.returncode == 1
    assert "belongs to another run" in result.stderr
    assert "abcdefabcdef" in result.stderr


def test_a_foreign_run_directory_is_refused_and_left_as_it_is(spec_of: SpecMaker) -> None:
    spec = spec_of()
    spec.run_directory.mkdir(parents=True)
    (spec.run_directory / "metrics.jsonl").write_text("{}\n")
    result = train(spec)
    assert result.returncode == 1
    assert "holds a run's files" in result.stderr
    assert (spec.run_directory / "metrics.jsonl").read_text() == "{}\n"
