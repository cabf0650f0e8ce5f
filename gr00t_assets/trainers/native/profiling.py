"""Where the time of a step goes: some steps of a run under torch's profiler, thrown away after."""

import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from gr00t_assets.core.files import write_bytes
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import StopRequest
from gr00t_assets.trainers.native.base_models import choose_device
from gr00t_assets.trainers.native.native_run import prepare
from gr00t_assets.trainers.native.processes import Processes
from gr00t_assets.trainers.native.training_loop import STEP_PARTS

TRACE, TABLE = "trace.json", "table.txt"
_WARM_UP = 3  # Steps before: memory is allocated, kernels are chosen, first batches are read.


def profile_steps(spec: TrainingSpec, steps: int, folder: Path) -> str:
    """Profile steps of a run from its start, with its model and data, on one device.

    Nothing of the run directory is read or written. Of a run on several GPUs or nodes this is one
    process's batch without its exchange with the others.

    A few steps before are not profiled. The folder gets ``trace.json``, for
    https://ui.perfetto.dev or chrome://tracing, and ``table.txt``, which is returned.
    """
    settings = spec.experiment.hyperparameters.model_copy(update={"num_gpus": 1, "num_nodes": 1})
    experiment = spec.experiment.model_copy(update={"hyperparameters": settings})
    device, stop = choose_device(), StopRequest()
    _, loop = prepare(spec.model_copy(update={"experiment": experiment}), Processes(), device)
    wait = torch.cuda.synchronize if device.on_gpu else lambda: None
    loop.model.train()
    for _ in range(_WARM_UP):
        loop.train_step(stop)
    wait()
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * device.on_gpu]
    with profile(activities=activities) as profiler:
        began = time.perf_counter()
        for _ in range(steps):
            loop.train_step(stop)
        wait()
        seconds = time.perf_counter() - began
    samples = steps * settings.samples_per_step
    table = _table(profiler, steps, seconds, f"{samples / seconds:,.1f} samples/s on {device.name}")
    folder.mkdir(parents=True, exist_ok=True)
    profiler.export_chrome_trace(str(folder / TRACE))
    write_bytes(folder / TABLE, table.encode())
    return table


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Length of what some intervals cover together.

    Examples:
        >>> covered([(0, 2), (1, 3), (5, 6), (5, 5.5)])
        4.0
    """
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def _table(profiler: profile, steps: int, seconds: float, speed: str) -> str:
    """The parts of a step, and the operations that take the most time."""
    averages, events = profiler.key_averages(), profiler.events()
    lines = [f"{steps} steps, {1000 * seconds / steps:.1f} ms each, {speed}", ""]
    by_name = {event.key: event for event in averages if event.device_type == DeviceType.CPU}
    whole = 1e6 * seconds
    for part in STEP_PARTS:
        spent = by_name[part].cpu_time_total
        lines.append(f"{part:<12} {spent / 1000 / steps:10.1f} ms {spent / whole:7.1%}")
    kernels = [
        (event.time_range.start, event.time_range.end)
        for event in events or ()
        if event.device_type == DeviceType.CUDA and not event.is_user_annotation
    ]
    if kernels:
        lines += ["", "Parts of a step are the CPU's time, which runs ahead of the GPU."]
        lines.append(f"The GPU waits {max(0.0, 1 - covered(kernels) / whole):.1%} of the time.")
    order = "self_cuda_time_total" if kernels else "self_cpu_time_total"
    operations = averages.table(sort_by=order, row_limit=20, max_name_column_width=50)
    return "\n".join([*lines, "", operations])
