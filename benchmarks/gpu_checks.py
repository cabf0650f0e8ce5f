"""The checks of ``benchmarks/gpu_check.py``: each prints one line of JSON.

``python -m benchmarks.gpu_checks NAME DEVICE``. A check that fails raises ``AssertionError`` with
what was found; one that cannot be made here raises ``SkippedError``.
"""

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from benchmarks.full_size import full_size
from benchmarks.training_step import prepare
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.gpu.devices import read_gpus
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.data_order import draw_flow
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests import parity_cut
from gr00t_assets_tests.trainers.native import model_parity
from gr00t_assets_tests.trainers.native.native_batches import random_batch

PARITY = {
    "float32": {"features": 1e-4, "loss": 1e-4, "actions": 1e-4},
    "bfloat16": {"features": 0.1, "loss": 0.05, "actions": 0.1},
}
"""Largest absolute differences from NVIDIA's own model that pass; TF32 is off."""

SAME = {"cpu": 0.0, "cuda": 1e-4}
"""Largest relative difference between losses of equal runs; a GPU adds in any order."""


class SkippedError(Exception):
    """Why a check cannot be made here."""


def parity(device: str, precision: str) -> dict[str, Any]:
    """Features, loss and actions against the vectors of NVIDIA's class."""
    torch.backends.cuda.matmul.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        model = parity_cut.unpack(parity_cut.CUT, Path(folder))
        found = model_parity.measure(model, device, precision == "bfloat16")
    figures = {name: found[name] for name in PARITY[precision]}
    for name, limit in PARITY[precision].items():
        assert figures[name] <= limit, f"{name} differ by {figures[name]}, at most {limit} passes"
    return figures


def _trained(root: Path, **settings: object) -> Path:
    """The run directory of four steps of ``tiny`` on the synthetic dataset."""
    values = {"batch_size": 4, "max_steps": 4, "save_steps": 2, "logging_steps": 1, **settings}
    hyperparameters = NativeHyperparameters.model_validate(values)
    experiment = Experiment(
        name="check",
        sweep="check",
        dataset="synthetic-pick-n-place",
        hyperparameters=hyperparameters,
    )
    spec = make_spec(experiment, Store(root))
    file = root / "spec.json"
    file.write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "gr00t_assets.trainers.native", str(file)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return spec.run_directory


def _losses(run: Path) -> list[float]:
    losses = read_metrics(run).losses.tolist()
    assert len(losses) == 4 and all(map(math.isfinite, losses)), f"losses {losses}"
    return losses


def _compared(device: str, first: list[float], second: list[float]) -> dict[str, Any]:
    difference = max(abs(a / b - 1) for a, b in zip(first, second, strict=True))
    assert difference <= SAME[device], f"losses {first} and {second}"
    return {"largest_relative_difference": difference, "last_loss": first[-1]}


def same_seed(device: str) -> dict[str, Any]:
    """Two runs of one spec."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        run = _trained(Path(folder))
        first = _losses(run)
        shutil.rmtree(run)
        return _compared(device, first, _losses(_trained(Path(folder))))


def resume(device: str, **settings: object) -> dict[str, Any]:
    """Four steps, and the last two of them again from the checkpoint of the second."""
    if settings.get("optimizer") and importlib.util.find_spec("bitsandbytes") is None:
        raise SkippedError("bitsandbytes is not installed")
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        run = _trained(Path(folder), **settings)
        first = _losses(run)
        (run / "manifest.json").unlink()
        shutil.rmtree(run / "model")
        shutil.rmtree(DEFAULT_LAYOUT.folder(run, 4))
        return _compared(device, first, _losses(_trained(Path(folder), **settings)))


def steps_with(**settings: object) -> dict[str, Any]:
    """Four steps with some hyperparameters."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        return {"last_loss": _losses(_trained(Path(folder), **settings))[-1]}


def frozen_features(device: str) -> dict[str, Any]:
    """Four steps from features of frozen towers that are kept."""
    return steps_with(augmentation="none", frozen_features="cache")


def two_processes(device: str) -> dict[str, Any]:
    """Gradients of two processes on one device, joined by gloo, against those of one."""
    with tempfile.TemporaryDirectory() as folder:
        spawn(_half, (device, folder), nprocs=2)
        found = torch.load(Path(folder) / "gradients.pt", weights_only=True)
    whole = _gradients(device, range(4), 1)
    largest = max(float((found[name] - value).abs().max()) for name, value in whole.items())
    limit = 1e-3 if device == "cuda" else 1e-5
    assert largest <= limit, f"gradients differ by {largest}, at most {limit} passes"
    return {"largest_difference": largest, "gradients": len(whole)}


def _half(rank: int, device: str, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    gradients = _gradients(device, range(2 * rank, 2 * rank + 2), 2)
    if rank == 0:
        torch.save(gradients, Path(folder) / "gradients.pt")
    dist.destroy_process_group()


def _gradients(device: str, samples: range, processes: int) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    base = load_base_model("tiny", seed=0, device=device)
    base.model.set_trainable(False, False, True, True)
    batch = random_batch(base.config, ["go", "take it", "put it down", "stop"])
    own = slice(samples.start, samples.stop)
    batch = {name: value[own].to(device) for name, value in batch.items()}
    noise, times = (x[own].to(device) for x in draw_flow(base.config.action_head, 0, 0, 4))
    module = base.model if processes == 1 else torch.nn.parallel.DistributedDataParallel(base.model)
    module(batch, noise, times, 4 * 16 * 26 / processes).backward()
    named = base.model.named_parameters()
    return {name: value.grad.cpu() for name, value in named if value.grad is not None}


def slots(device: str) -> dict[str, Any]:
    """GPUs as nvidia-smi tells them, and a slot that shows a process its GPU alone."""
    if device == "cpu":
        raise SkippedError("needs a card")
    query = ["nvidia-smi", "--query-gpu=uuid,memory.total", "--format=csv,noheader,nounits"]
    rows = [line.split(", ") for line in subprocess.check_output(query, text=True).splitlines()]
    known = {gpu.uuid: gpu for gpu in read_gpus()}
    for uuid, mebibytes in rows:
        assert uuid in known or any(gpu.is_mig for gpu in known.values()), f"{uuid} is not seen"
        total = known[uuid].total_bytes if uuid in known else None
        assert total is None or abs(total / (int(mebibytes) << 20) - 1) < 0.02, f"{uuid}: {total}"
    code = "import torch; print(torch.cuda.device_count())"
    with tempfile.TemporaryDirectory() as folder, acquire(1, Store(Path(folder)), "check") as lease:
        variables = {**os.environ, **lease.environment()}
        seen = subprocess.check_output([sys.executable, "-c", code], text=True, env=variables)
    assert int(seen) == 1, f"a process in a slot sees {seen.strip()} GPUs"
    return {"gpus": len(rows), "slot": ",".join(lease.devices)}


CHECKS: dict[str, Callable[[str], dict[str, Any]]] = {
    "parity_float32": lambda device: parity(device, "float32"),
    "parity_bfloat16": lambda device: parity(device, "bfloat16"),
    "same_seed": same_seed,
    "resume": resume,
    "resume_bfloat16": lambda device: resume(device, weights="bfloat16"),
    "resume_8bit": lambda device: resume(device, optimizer="adamw_8bit"),
    "lora": lambda device: steps_with(lora_rank=8, lora_full_model=True),
    "compile": lambda device: steps_with(compile=True),
    "frozen_features": frozen_features,
    "two_processes": two_processes,
    "slots": slots,
    **{
        f"full_size_{size}": lambda device, size=size: full_size(device, size)
        for size in (1, 8, 32, 64)
    },
}


def main(name: str, device: str) -> int:
    """Make one check and print its outcome."""
    try:
        if device == "cuda" and not torch.cuda.is_available():
            raise AssertionError("torch sees no GPU")
        outcome: dict[str, Any] = {"status": "passed", **CHECKS[name](device)}
    except SkippedError as reason:
        outcome = {"status": "skipped", "why": str(reason)}
    except Exception as error:
        traceback.print_exc()
        outcome = {"status": "failed", "why": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
