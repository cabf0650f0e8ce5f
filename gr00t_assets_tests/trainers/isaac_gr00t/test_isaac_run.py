"""Runs of Isaac-GR00T's trainer from spec to manifest, stopped, killed and started again."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.evaluation.result import EvaluationSettings
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.retention.retention_rule import best_step
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT
from gr00t_assets.trainers.isaac_gr00t.launch_file import FOLDER, LAUNCH
from gr00t_assets.trainers.run_checks import config_problem, loss_problem, weights_problem
from gr00t_assets.trainers.run_files import complete_checkpoints
from gr00t_assets_tests.trainers.isaac_gr00t.driving import (
    IsaacSpec,
    drive,
    losses_of,
    manifest_of,
    start,
    wait_for_checkpoint,
)
from gr00t_assets_tests.trainers.isaac_gr00t.launching import ended, wait_for


def test_a_run_leaves_what_every_trainer_leaves(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec()
    outcome = drive(spec, small_checkout)
    assert outcome.code == 0, outcome.output
    assert "finished: loss " in outcome.output

    manifest = manifest_of(spec)
    assert (manifest.status, manifest.steps, manifest.samples_seen) == ("finished", 4, 8)
    assert manifest.trainer == "isaac-gr00t"
    assert manifest.final_loss is not None
    assert manifest.trainable_parameters["projector"] > 0 == manifest.trainable_parameters["llm"]
    assert manifest.versions["torch"]
    assert len(losses_of(spec)) == 4
    directory = spec.run_directory
    problems = [problem(directory) for problem in (loss_problem, weights_problem, config_problem)]
    assert problems == [None, None, None]
    metadata = json.loads((directory / MODEL / "experiment_cfg" / "metadata.json").read_text())
    assert list(metadata) == ["gr1"]


def test_its_checkpoints_are_opened_as_policies(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec()
    assert drive(spec, small_checkout).code == 0
    directory = spec.run_directory
    asked = EvaluationSettings(draws=2, max_windows=4, max_episodes=1)
    final = evaluate_run(directory, asked)
    at_2 = evaluate_run(directory, asked, step=2)
    assert (at_2.step, at_2.trainer) == (2, "isaac-gr00t")
    assert at_2.seen.error != final.seen.error
    weights = [
        load_file(folder / "model.safetensors")["action_head.action_decoder.layer1.b"]
        for folder in (LAYOUT.folder(directory, 4), directory / MODEL)
    ]
    assert torch.equal(*weights)
    last = trainer_named("isaac-gr00t").open_policy(LAYOUT.folder(directory, 4))
    model = trainer_named("isaac-gr00t").open_policy(directory)
    assert last.config == model.config
    shutil.rmtree(directory / MODEL)
    (directory / FOLDER / LAUNCH).unlink()
    with pytest.raises(CheckpointError, match="its tokenizer is not known"):
        trainer_named("isaac-gr00t").open_policy(LAYOUT.folder(directory, 2))
    assert not list(directory.glob(".*partial*"))


def test_the_newest_checkpoints_stay_and_the_best(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec(max_steps=6, save_steps=1, save_total_limit=2)
    assert drive(spec, small_checkout).code == 0
    best = best_step(range(1, 7), spec.run_directory)
    kept = [LAYOUT.step_of(path.name) for path in complete_checkpoints(spec.run_directory, LAYOUT)]
    assert {5, 6} <= set(kept) <= {5, 6, best}


def test_a_finished_run_is_not_trained_one_step_more(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec()
    assert drive(spec, small_checkout).code == 0
    before = {path: path.stat().st_mtime_ns for path in spec.run_directory.rglob("*.json*")}

    again = drive(spec, small_checkout)

    assert again.code == 0
    assert "is finished already: 4 steps; nothing is trained" in again.output
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not LAYOUT.folder(spec.run_directory, 5).exists()


def test_what_was_trained_and_not_published_is_published_without_a_step(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec()
    assert drive(spec, small_checkout).code == 0
    first, losses = manifest_of(spec), losses_of(spec)
    shutil.rmtree(spec.run_directory / MODEL)
    (spec.run_directory / "manifest.json").unlink()

    outcome = drive(spec, small_checkout)

    assert outcome.code == 0, outcome.output
    assert "train dataset length" not in outcome.output
    assert losses_of(spec) == losses
    again = manifest_of(spec)
    assert (again.steps, again.parameters, again.attempts) == (4, first.parameters, 2)
    assert (spec.run_directory / MODEL / "model.safetensors").is_file()


@pytest.mark.parametrize("victim", ["driver", "launcher"])
def test_killed_in_the_middle_it_goes_on_and_trains_no_step_twice(
    isaac_spec: IsaacSpec, small_checkout: Path, victim: str
) -> None:
    spec = isaac_spec(max_steps=40, save_steps=10, logging_steps=4)
    process = start(spec, small_checkout)
    wait_for_checkpoint(spec, 10, process)
    process.kill() if victim == "driver" else os.kill(launcher_of(process.pid), signal.SIGKILL)
    ended(process)

    outcome = drive(spec, small_checkout)

    assert outcome.code == 0, outcome.output
    assert "resuming from step " in outcome.output
    manifest = manifest_of(spec)
    assert (manifest.status, manifest.steps, manifest.samples_seen) == ("finished", 40, 80)
    assert manifest.attempts == 2
    losses = losses_of(spec)
    assert len(losses) == 40
    assert max(losses[20:]) < max(losses[:3])


def test_stopped_on_request_it_writes_a_checkpoint_and_goes_on_from_it(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec(max_steps=400, save_steps=400)
    process = start(spec, small_checkout)
    wait_for(lambda: len(losses_of(spec)) > 3, process)
    process.send_signal(signal.SIGINT)
    stopped = ended(process)
    assert stopped.code == 130, stopped.output
    manifest = manifest_of(spec)
    step = manifest.steps
    assert manifest.status == "interrupted"
    assert f"stopped by SIGINT at step {step}" in stopped.output
    assert (LAYOUT.folder(spec.run_directory, step) / COMPLETE).is_file()

    process = start(spec, small_checkout)
    wait_for(lambda: len(losses_of(spec)) > step, process)
    process.send_signal(signal.SIGTERM)
    again = ended(process)
    assert f"resuming from step {step} of 400" in again.output
    assert manifest_of(spec).steps > step


def test_a_cut_checkpoint_is_not_gone_on_from(isaac_spec: IsaacSpec, small_checkout: Path) -> None:
    spec = isaac_spec()
    assert drive(spec, small_checkout).code == 0
    (spec.run_directory / "manifest.json").unlink()
    shutil.rmtree(spec.run_directory / MODEL)
    last = LAYOUT.folder(spec.run_directory, 4)
    (last / COMPLETE).unlink()
    (last / "model.safetensors").write_bytes(b"cut")

    outcome = drive(spec, small_checkout)

    assert outcome.code == 0, outcome.output
    assert "resuming from step 2 of 4" in outcome.output
    assert len(losses_of(spec)) == 4


def test_a_run_is_not_finished_by_another_revision(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec()
    assert drive(spec, small_checkout).code == 0
    (spec.run_directory / "manifest.json").unlink()
    script = small_checkout / "scripts" / "gr00t_finetune.py"
    script.write_text(script.read_text() + "\n# mine\n")

    outcome = drive(spec, small_checkout)

    assert outcome.code == 1
    assert "this run was begun with another revision of Isaac-GR00T" in outcome.output
    assert "-dirty" in outcome.output


def test_an_error_of_the_script_is_the_runs_failure(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec()
    runner = small_checkout / "gr00t" / "experiment" / "runner.py"
    runner.write_text(runner.read_text() + "\nraise RuntimeError('the cat is on the keyboard')\n")

    outcome = drive(spec, small_checkout)

    assert outcome.code == 1
    manifest = manifest_of(spec)
    assert manifest.status == "failed"
    assert "the cat is on the keyboard" in (manifest.failure or "")
    assert not (spec.run_directory / MODEL).exists()


def test_wrong_frames_are_refused_before_anything_starts(
    isaac_spec: IsaacSpec, small_checkout: Path
) -> None:
    spec = isaac_spec(frame_source="video", video_backend="torchvision_av")
    outcome = drive(spec, small_checkout)
    assert outcome.code == 1
    assert "video_backend torchvision_av would train it on wrong images" in outcome.output
    assert "take frame_source: video out of the sweep file" in outcome.output


def launcher_of(driver: int) -> int:
    """Process id of the launcher below a driver, through the guard."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        processes = [driver]
        for parent in processes:
            listing = Path(f"/proc/{parent}/task/{parent}/children")
            processes += [int(child) for child in listing.read_text().split()]
        for process in processes[1:]:
            command = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
            if len(command) > 1 and command[1].endswith(b"/launcher.py"):
                return process
        time.sleep(0.05)
    raise AssertionError("there is no launcher")


@pytest.mark.parametrize(("release", "tokens"), [("june", 0), ("october", 8)])
def test_the_published_configuration_is_true_to_the_weights(
    isaac_spec: IsaacSpec, small_checkout: Path, october_checkout: Path, release: str, tokens: int
) -> None:
    spec = isaac_spec(max_steps=1)
    outcome = drive(spec, small_checkout if release == "june" else october_checkout)
    assert outcome.code == 0, outcome.output
    config = json.loads((spec.run_directory / MODEL / "config.json").read_text())
    assert config["action_head_cfg"]["num_target_vision_tokens"] == tokens


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_base_model_with_a_weight_that_is_no_number_is_refused_with_its_name(
    isaac_spec: IsaacSpec, small_base: Path, small_checkout: Path, tmp_path: Path, number: float
) -> None:
    base = shutil.copytree(small_base, tmp_path / "base")
    (file,) = base.glob("*.safetensors")
    tensors = load_file(file)
    name = next(name for name in tensors if name.startswith("action_head.model."))
    tensors[name].view(-1)[-1] = number
    save_file(tensors, file, {"format": "pt"})
    spec = isaac_spec(max_steps=2)
    experiment = spec.experiment.model_copy(update={"base_model": str(base)})
    outcome = drive(spec.model_copy(update={"experiment": experiment}), small_checkout)
    assert outcome.code == 1
    assert "weights that are not finite numbers" in outcome.output and name in outcome.output
    assert "Traceback" not in outcome.output.rpartition("TrainingError")[2]
    manifest = manifest_of(spec)
    assert manifest.steps == 0 and name in (manifest.failure or "")
