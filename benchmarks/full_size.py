"""Steps of an N1.5 in full size with random weights on a GPU: speed, memory, and what waits.

On a CPU the same is done with ``tiny``; what needs a card is left out.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training_step import prepare
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.spec import make_spec
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.n15.architecture import TINY, ModelConfig
from gr00t_assets.trainers.native.base_models import BaseModel, Device, choose_device
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.memory import GIB, RELEASED, TOLERANCE, memory_need
from gr00t_assets.trainers.native.optimizer import set_up_training
from gr00t_assets.trainers.native.prompts import byte_tokenizer
from gr00t_assets.trainers.native.training_loop import TrainingLoop
from gr00t_assets.trainers.reporter import Reporter

PEAKS = {
    "B200": 2250, "H200": 989, "H100 PCIe": 756, "H100": 989, "A100": 312, "L40S": 362,
    "RTX 6000 Ada": 364, "A6000": 155, "A10": 125, "L4": 121, "5090": 209, "4090": 165, "3090": 71,
}  # fmt: skip
"""TFLOP/s of dense bfloat16 products by what a card's name has in it, from their data sheets."""

WARM_UP, STEPS, PROFILED = 3, 8, 3


def full_size(device: str, batch_size: int) -> dict[str, Any]:
    """Measure a batch size.

    Raises:
        AssertionError: The peak is more than 15 percent from the count.
    """
    chosen = choose_device(device)
    config = _with_bytes(RELEASED) if chosen.on_gpu else TINY
    settings = NativeHyperparameters(batch_size=batch_size, max_steps=WARM_UP, save_steps=10**6)
    need = memory_need(config, settings)
    figures: dict[str, Any] = {"card": chosen.name, "counted_gib": need.total / GIB}
    with tempfile.TemporaryDirectory() as folder:
        loop = _loop(Path(folder), config, settings, chosen)
        loop.run(StopRequest())
        if chosen.on_gpu:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        seconds = _seconds(loop, STEPS, chosen) / STEPS
        figures |= {"step_ms": 1000 * seconds, "samples_per_second": batch_size / seconds}
        peak = torch.cuda.max_memory_allocated() if chosen.on_gpu else 0
        with FlopCounterMode(display=False) as counter:
            _seconds(loop, 1, chosen)
        figures["tflop_per_step"] = counter.get_total_flops() / 1e12
        if chosen.on_gpu:
            figures |= _of_the_card(loop, chosen, figures)
            figures |= {"peak_gib": peak / GIB, "off_by": peak / need.total - 1}
            assert abs(figures["off_by"]) <= TOLERANCE, f"memory is far from the count: {figures}"
    return figures


def _of_the_card(loop: TrainingLoop, device: Device, figures: dict[str, Any]) -> dict[str, Any]:
    """The share of the time in which the GPU waits, and of its peak that is used (MFU)."""
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as profiled:
        seconds = _seconds(loop, PROFILED, device)
    busy = sum(event.self_device_time_total for event in profiled.key_averages()) / 1e6
    peak = next((value for name, value in PEAKS.items() if name in device.name), None)
    rate = figures["tflop_per_step"] / (figures["step_ms"] / 1000)
    return {"gpu_waits": max(0.0, 1 - busy / seconds), "mfu": peak and rate / peak}


def _seconds(loop: TrainingLoop, steps: int, device: Device) -> float:
    """Wall time of so many steps more."""
    most = loop.settings.max_steps + steps
    loop.settings = loop.settings.model_copy(update={"max_steps": most})
    began = time.perf_counter()
    loop.run(StopRequest())
    if device.on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _loop(
    root: Path, config: ModelConfig, settings: NativeHyperparameters, device: Device
) -> TrainingLoop:
    prepare(root)
    experiment = Experiment(
        name="full-size", sweep="check", dataset="synthetic-pick-n-place", hyperparameters=settings
    )
    spec = make_spec(experiment, Store(root))
    spec.run_directory.mkdir(parents=True)
    with torch.device("meta"):
        model = Gr00tN15(config, "flash_attention_2" if device.on_gpu else "sdpa")
    if device.on_gpu:
        model.backbone.bfloat16()
    model.to_empty(device=device.device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-0.03, 0.03)
    model.backbone.rebuild_buffers()
    set_up_training(model, settings, spec.embodiments)
    batches = BatchSource(spec, BaseModel(model, byte_tokenizer(), None), device.device)
    reporter = Reporter(spec.run_directory, settings.max_steps)
    return TrainingLoop(model, settings, batches, device, reporter, lambda state: None)


def _with_bytes(config: ModelConfig) -> ModelConfig:
    """The same sizes, with the image token of a tokenizer that needs no file."""
    token = {"image_token_index": TINY.towers.image_token_index, "tokenizer": "bytes"}
    return config.model_copy(update={"towers": config.towers.model_copy(update=token)})
