"""The launcher on the small checkout: what it writes, and how it stops and goes on."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gr00t_assets.core.checksums import crc32
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets_tests.trainers.isaac_gr00t.launching import LAUNCHER, Trainer, variables


def test_it_leaves_metrics_checkpoints_and_facts(october_run: Trainer) -> None:
    run = october_run(max_steps=5, save_steps=2, logging_steps=3, gradient_accumulation_steps=2)
    done = run.train()
    assert done.code == 0, done.output

    metrics = run.metrics()
    assert [metric.step for metric in metrics] == [2, 3, 4, 5]
    assert [len(metric.losses) for metric in metrics] == [2, 1, 1, 1]
    assert [metric.samples_seen for metric in metrics] == [8, 12, 16, 20]
    assert metrics[-1].epoch == 20 / run.launch()["dataset_frames"]
    assert metrics[0].loss == pytest.approx(sum(metrics[0].losses) / 2)
    assert 0 < metrics[0].wall_seconds < metrics[-1].wall_seconds
    rates = [metric.learning_rate for metric in metrics]
    assert rates == pytest.approx([1e-3, 1e-3 * (2 + 2**0.5) / 4, 5e-4, 1e-3 * (2 - 2**0.5) / 4])

    assert run.steps() == [2, 4, 5]
    record = run.record(5)
    assert (record["step"], record["config_hash"]) == (5, run.spec.config_hash)
    assert record["samples_seen"] == 20
    assert record["wall_seconds"] == metrics[-1].wall_seconds
    folder = run.output / "checkpoint-5"
    sizes = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "crc32": crc32(path)}
        for path in folder.rglob("*")
        if path.is_file() and path.name != "complete.json"
    }
    assert record["files"] == sizes
    assert set(sizes) >= {"model.safetensors", "optimizer.pt", "experiment_cfg/metadata.json"}
    assert not (run.output / "model.safetensors").exists()

    native = load_base_model(str(run.base), action_horizon=16).model
    native.set_trainable(
        tune_llm=False, tune_visual=False, tune_projector=True, tune_diffusion_model=True
    )
    facts = run.facts()
    assert facts.trainable_parameters == native.trainable_parameters()
    assert facts.parameters == sum(value.numel() for value in native.parameters())
    assert (facts.device, facts.gpus, facts.device_uuid) == ("cpu", 0, None)
    assert facts.versions["torch"] == torch.__version__
    assert facts.peak_memory_bytes > 100e6


def test_it_stops_with_a_checkpoint_and_goes_on_as_if_it_had_not(small_run: Trainer) -> None:
    whole = small_run(max_steps=12, save_steps=100)
    assert whole.train().code == 0
    expected = whole.losses()
    assert whole.steps() == [12]
    (whole.output / "checkpoint-12").rename(whole.output.parent / "whole")
    run, metrics = whole, whole.launch()["metrics"]
    Path(metrics).write_text("")

    program = run.start(run.launch(arguments={"max_steps": 12}))
    program.wait_for(lambda: bool(run.metrics()))
    program.signal(signal.SIGTERM)
    stopped = program.ended()
    assert stopped.code == 130, stopped.output
    [step] = run.steps()
    assert 0 < step < 12
    assert run.losses() == expected[:step]
    before = run.record(step)

    done = run.train(step, wall_seconds=before["wall_seconds"])
    assert done.code == 0, done.output
    assert run.losses() == expected
    assert run.record(12)["samples_seen"] == 24
    assert run.record(12)["wall_seconds"] > before["wall_seconds"]


def test_asked_to_stop_before_it_begins_it_trains_nothing(small_run: Trainer) -> None:
    run = small_run()
    launch = run.launch()
    Path(launch["stop_file"]).touch()
    assert run.start(launch).ended().code == 130
    assert run.metrics() == []
    assert run.steps() == []


def test_arguments_that_june_lacks_are_left_out_and_their_effect_is_kept(
    small_run: Trainer,
) -> None:
    run = small_run(max_steps=1, gradient_accumulation_steps=3)
    done = run.train(arguments={"gradient_accumulation_steps": 3, "dataloader_prefetch_factor": 4})
    assert done.code == 0, done.output
    assert "does not have: dataloader_prefetch_factor, gradient_accumulation_steps" in done.output
    assert run.metrics()[-1].samples_seen == 6


def test_a_loss_that_is_no_number_ends_it_before_it_is_saved(small_run: Trainer) -> None:
    run = small_run(max_steps=4, save_steps=4, learning_rate=1e30)
    done = run.train()
    assert done.code == 1
    assert "training has diverged" in done.output
    assert run.steps() == []
    last = run.spec.run_directory / "metrics.jsonl"
    assert "NaN" in json.loads(last.read_text().splitlines()[-1])["losses"]


def test_two_processes_train_one_run_and_the_first_alone_writes(october_run: Trainer) -> None:
    run = october_run(num_gpus=2, max_steps=2, save_steps=1)
    file = run.written(run.launch())
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, str(LAUNCHER), file], env=variables(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = (run.spec.run_directory / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["samples_seen"] for line in lines] == [4, 8]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= set(run.record(2)["files"])


def test_other_processes_than_asked_for_are_refused(october_run: Trainer) -> None:
    run = october_run(num_gpus=2)
    done = run.train()
    assert done.code == 1
    assert "training asks for 2 GPUs; 0 are in sight and 1 processes run" in done.output
    assert "Traceback" not in done.output
