"""Trainings whose parameters are shared out, against those in which each process has them all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gr00t_assets.runs.metrics import read_held_out_losses
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, trainer
from gr00t_assets_tests.trainers.native.test_native_resume import cut_back_to_step_two, losses
from gr00t_assets_tests.trainers.native.test_processes import layout, trained
from gr00t_assets_tests.trainers.native.test_training_options import held_out

PARTS = """
import torch.distributed as dist
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.processes import shard, whole
import torch

dist.init_process_group("gloo")
model = load_base_model("tiny").model
model.set_trainable(False, False, True, True)
model.backbone.to(torch.bfloat16)
whole_count = sum(parameter.numel() for parameter in model.parameters())
before = {name: value.detach().clone() for name, value in model.named_parameters()}
shard(model, torch.device("cpu"))
own = sum(parameter.to_local().numel() for parameter in model.parameters())
for name, value in model.named_parameters():
    assert torch.equal(whole(value.detach()), before[name]), name
dtypes = sorted({str(value.dtype) for value in before.values()})
print(f"{own / whole_count} {dtypes}\\n", end="", flush=True)
dist.destroy_process_group()
"""


def torchrun(spec: TrainingSpec, processes: int) -> str:
    command = trainer(spec)
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    done = subprocess.run(
        [command[0], *launcher, *command[1:]],
        env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def with_sharding(spec: TrainingSpec, sharding: str) -> TrainingSpec:
    """The same run directory, shared out otherwise."""
    settings = spec.experiment.hyperparameters.model_copy(update={"sharding": sharding})
    experiment = spec.experiment.model_copy(update={"hyperparameters": settings})
    return spec.model_copy(update={"experiment": experiment})


def final(spec: TrainingSpec) -> dict[str, torch.Tensor]:
    return load_file(spec.run_directory / "model" / "model.safetensors")


@pytest.mark.parametrize(
    "settings",
    [
        {
            "augmentation": "gr00t",
            "ema_decay": 0.5,
            "gradient_checkpointing": True,
            "tune_llm": True,
            "tune_visual": True,
        },
        pytest.param({"max_grad_norm": 0.1, "weight_decay": 0.1}, marks=pytest.mark.cluster),
        {"lora_rank": 4, "lora_dropout": 0.0, "lora_full_model": True},
    ],
)
def test_losses_and_model_are_those_of_whole_parameters(
    spec_of: SpecMaker, settings: dict[str, object]
) -> None:
    sharded = spec_of(sharding="fsdp", **layout(2, 2, 2), **settings)
    plain = spec_of(**layout(1, 4, 2), **settings)
    assert sharded.config_hash != plain.config_hash
    np.testing.assert_allclose(trained(sharded), trained(plain), rtol=1e-5)
    for name, found in final(sharded).items():
        torch.testing.assert_close(found, final(plain)[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param(("fsdp", 2), ("fsdp", 4), marks=pytest.mark.cluster),
        (("fsdp", 2), ("none", 1)),
        pytest.param(("none", 1), ("fsdp", 2), marks=pytest.mark.cluster),
    ],
)
def test_a_checkpoint_goes_on_with_other_processes_or_otherwise_shared_out(
    spec_of: SpecMaker, first: tuple[str, int], then: tuple[str, int]
) -> None:
    spec = held_out(spec_of(eval_steps=2, **layout(1, 8, 1)))
    torchrun(with_sharding(spec, first[0]), first[1])
    unbroken, taken = losses(spec.run_directory), read_held_out_losses(spec.run_directory)
    assert list(taken) == [2, 4]
    cut_back_to_step_two(spec.run_directory)
    said = torchrun(with_sharding(spec, then[0]), then[1])
    assert "resuming from step 2 of 4" in said
    np.testing.assert_allclose(losses(spec.run_directory), unbroken, rtol=1e-5)
    assert read_held_out_losses(spec.run_directory) == pytest.approx(taken, rel=1e-5)


def test_each_process_has_half_of_all_parameters(tmp_path: Path) -> None:
    """Whole again they are what they were; a frozen backbone of bfloat16 is shared out as well."""
    (tmp_path / "parts.py").write_text(PARTS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(tmp_path / "parts.py")],
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("0.")]
    assert len(lines) == 2
    assert all(0.47 < float(line.split()[0]) < 0.53 for line in lines), lines
    assert all("bfloat16" in line and "float32'" in line for line in lines), lines
