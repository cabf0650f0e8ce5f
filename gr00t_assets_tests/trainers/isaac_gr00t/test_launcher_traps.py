"""Traps of Isaac-GR00T: first the bare script in each, then the launcher beside it."""

import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets_tests.trainers.isaac_gr00t.launching import Trainer
from gr00t_assets_tests.trainers.isaac_gr00t.small_model import TOKENIZER, small_config

FUTURE_TOKENS = "action_head.future_tokens.weight"


def test_resume_of_june(small_run: Trainer) -> None:
    bare = small_run(max_steps=2)
    assert bare.script().ended().code == 0
    failed = bare.script("--resume", "--max-steps", 3).ended()
    assert failed.code == 1
    assert "UnpicklingError" in failed.output
    shutil.rmtree(bare.output)

    assert bare.train().code == 0
    resumed = bare.train(2, arguments={"max_steps": 3})
    assert resumed.code == 0, resumed.output
    assert bare.steps() == [2, 3]


def test_a_finished_run_is_trained_one_step_more(october_run: Trainer) -> None:
    run = october_run(max_steps=2)
    assert run.script().ended().code == 0
    assert run.script("--resume").ended().code == 0
    assert run.steps() == [2, 3], "the driver does not start the launcher for it"


def test_resume_without_a_checkpoint(small_run: Trainer) -> None:
    run = small_run()
    failed = run.script("--resume").ended()
    assert "No valid checkpoint found in output directory" in failed.output
    assert "newly initialized" in failed.output, "found only after the model was loaded"

    refused = run.train(2)
    assert refused.code == 1
    assert "has a checkpoint of step 0, training is to go on from step 2" in refused.output
    assert "newly initialized" not in refused.output


def test_two_runs_in_one_folder(october_run: Trainer) -> None:
    run = october_run(max_steps=4, save_steps=4)
    assert run.script().ended().code == 0
    assert run.script("--max-steps", 2, "--save-steps", 1).ended().code == 0
    assert run.steps() == [1, 2, 4], "checkpoints of two runs"

    refused = run.train(arguments={"max_steps": 2})
    assert refused.code == 1
    assert "has a checkpoint of step 4, training is to begin anew" in refused.output


def test_a_partial_checkpoint(october_run: Trainer) -> None:
    run = october_run(max_steps=2)
    assert run.train().code == 0
    partial = run.output / "checkpoint-40"
    partial.mkdir()
    shutil.copy(run.output / "checkpoint-2" / "model.safetensors", partial)
    assert run.script("--resume", "--max-steps", 50).ended().code == 1

    refused = run.train(2, arguments={"max_steps": 50})
    assert "has a checkpoint of step 40, training is to go on from step 2" in refused.output


def test_gpu_choice(small_run: Trainer) -> None:
    run = small_run(max_steps=1)
    bare = run.script(CUDA_VISIBLE_DEVICES="7").ended()
    assert "CUDA_VISIBLE_DEVICES: 0\n" in bare.output
    shutil.rmtree(run.output)

    started = run.start(run.launch(), CUDA_VISIBLE_DEVICES="7").ended()
    assert "CUDA_VISIBLE_DEVICES: 7\n" in started.output


def test_weights_and_biases_without_a_key(small_run: Trainer, tmp_path: Path) -> None:
    run = small_run(max_steps=1)
    bare = run.script(WANDB_MODE="online", HOME=str(tmp_path)).ended()
    assert bare.code == 1
    assert "api_key" in bare.output or "API key" in bare.output
    shutil.rmtree(run.output)

    done = run.start(run.launch(), WANDB_MODE="online", HOME=str(tmp_path)).ended()
    assert done.code == 0, done.output


def test_embodiment_tag(small_run: Trainer) -> None:
    run = small_run(max_steps=1)
    assert run.script("--embodiment-tag", "new_embodiment").ended().code == 0
    metadata = json.loads((run.output / "experiment_cfg" / "metadata.json").read_text())
    assert list(metadata) == ["new_embodiment"]

    launch = run.launch()
    assert [launch["arguments"]["embodiment_tag"]] == list(launch["metadata"]) == ["gr1"]


def test_a_relative_path_of_the_base_model(
    small_run: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small_run(max_steps=1)
    shutil.copytree(run.base, tmp_path / "out" / "base")
    monkeypatch.chdir(tmp_path)
    bare = run.script("--base-model-path", "out/base").ended()
    assert bare.code == 1
    assert "huggingface.co" in bare.output or "Hub" in bare.output

    run.base = Path("out/base")
    done = run.train()
    assert done.code == 0, done.output


def test_future_tokens(small_run: Trainer, october_run: Trainer) -> None:
    june, october = small_run(max_steps=1), october_run(max_steps=1)
    assert june.train().code == 0
    assert FUTURE_TOKENS not in load_file(june.output / "checkpoint-1" / "model.safetensors")
    assert june.facts().parameters < small_parameters(), "the launcher cannot bring them back"
    shutil.rmtree(june.spec.run_directory)

    assert october.train().code == 0
    checkpoint = october.output / "checkpoint-1"
    for name in TOKENIZER:
        shutil.copy(october.base / name, checkpoint)
    opened = load_base_model(str(checkpoint), action_horizon=16).model.state_dict()
    trained = load_file(checkpoint / "model.safetensors")
    assert torch.equal(opened[FUTURE_TOKENS], trained[FUTURE_TOKENS])
    assert october.facts().parameters == small_parameters()


def small_parameters() -> int:
    return sum(value.numel() for value in Gr00tN15(small_config()).parameters())


def test_parts_that_no_flag_freezes(small_run: Trainer) -> None:
    run = small_run(max_steps=1, tune_projector=False, tune_diffusion_model=False)
    assert run.train().code == 0
    trained = run.facts().trainable_parameters
    assert trained.pop("other") > 0
    assert set(trained.values()) == {0}


def test_sigterm(small_run: Trainer) -> None:
    run = small_run(max_steps=1000, save_steps=1000, logging_steps=1)
    bare = run.script()
    bare.wait_for(lambda: "1/1000" in (run.spec.run_directory / "output.txt").read_text())
    bare.signal(signal.SIGTERM)
    assert bare.ended().code == -signal.SIGTERM
    assert run.steps() == [], "all that was trained is lost"

    program = run.start(run.launch())
    program.wait_for(lambda: bool(run.metrics()))
    program.signal(signal.SIGTERM)
    assert program.ended().code == 130
    [step] = run.steps()
    assert run.record(step)["step"] == step
