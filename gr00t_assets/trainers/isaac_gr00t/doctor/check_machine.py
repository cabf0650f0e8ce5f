"""Findings about the machine: driver, GPUs, host memory and disk.

What N1.5 takes of memory and disk is counted from its parameters; see ``failures/gpu_memory.py``
for the published figures.
"""

from pathlib import Path

import psutil

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.finding import Collector
from gr00t_assets.core.project import Store
from gr00t_assets.core.units import format_bytes
from gr00t_assets.gpu.devices import CPU, GPUS, Driver, Gpu, read_driver, read_gpus, slots_by_device
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import Probe
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters

PARAMETERS = 2_414_000_000
"""Of the whole model."""

TRAINED = 1_069_000_000
"""Parameters of the action head, which is what is trained with the backbone frozen."""

_BYTES_PER_NUMBER = 4

WEIGHTS = PARAMETERS * _BYTES_PER_NUMBER
"""Bytes of the weights in float32: 9.7 GB."""

CHECKPOINT = WEIGHTS + 2 * TRAINED * _BYTES_PER_NUMBER
"""Bytes of a checkpoint with optimizer: the weights, and Adam's two moments of what is trained,
all in float32: 18.2 GB."""

LOADING = 2 * WEIGHTS
"""Bytes of host memory while a model is loaded: the new model and the weights read from disk."""

BATCH_1 = 25_000_000_000
"""Bytes of GPU memory at batch size 1, as published."""

_AMPERE = (8, 0)
_BLACKWELL = (10, 0)
_BLACKWELL_CUDA = (12, 8)
_MIN_UUID_CHARACTERS = 8
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def check_gpus(collector: Collector, answer: Probe | str) -> None:
    """Look at the driver and at each GPU that training may use.

    Args:
        collector: Takes the findings.
        answer: Of :func:`gr00t_assets.trainers.isaac_gr00t.doctor.packages.probe`.
    """
    driver, gpus = read_driver(), read_gpus()
    if driver is None or not gpus:
        missing = "there is no NVIDIA driver, or it does not answer"
        collector.error(
            "gpu",
            "gpu",
            missing if driver is None else f"driver {driver.version} lists no GPU",
            f"an NVIDIA GPU with {format_bytes(BATCH_1)} of memory or more, and its driver",
            "install the driver, or run this where the GPU is",
        )
        return
    build = answer.torch.cuda if isinstance(answer, Probe) else None
    cuda = _version(build) if build else None
    _check_driver(collector, driver, cuda)
    for gpu in _with_slots(collector, gpus):
        _check_gpu(collector, gpu, cuda)


def check_host(collector: Collector, store: Store) -> None:
    """Look at host memory, and at the disk of the store."""
    memory = _host_memory()
    found = f"{format_bytes(memory)} of host memory"
    expected = (
        f"{format_bytes(LOADING)} and more for loader processes: the weights are there twice "
        "while they are loaded (2 x 2,414 M parameters x 4 bytes)"
    )
    if memory < WEIGHTS:
        remedy = "train on a machine with more memory"
        collector.error("host-memory", "machine", found, expected, remedy)
    elif memory < LOADING:
        remedy = "lower dataloader_num_workers, or add swap"
        collector.warn("host-memory", "machine", found, expected, remedy)
    else:
        collector.ok("host-memory", "machine", found)
    limit = IsaacHyperparameters().save_total_limit
    least, most = CHECKPOINT + WEIGHTS, (limit + 1) * CHECKPOINT + WEIGHTS
    free = free_bytes(store.root)
    found = f"{format_bytes(free)} free at {store.root}"
    expected = (
        f"{format_bytes(least)} for one checkpoint and the model, {format_bytes(most)} for the "
        f"{limit} that are kept, the next and the model; one with optimizer is "
        f"{format_bytes(CHECKPOINT)} (2,414 M weights and twice the 1,069 M that are trained, "
        "4 bytes each)"
    )
    if free < least:
        remedy = "free some space, or move the store with GR00T_ASSETS_STORE"
        collector.error("disk", "machine", found, expected, remedy)
    elif free < most:
        remedy = "lower save_total_limit, or free some space"
        collector.warn("disk", "machine", found, expected, remedy)
    else:
        collector.ok("disk", "machine", found)


def _check_driver(collector: Collector, driver: Driver, cuda: tuple[int, int] | None) -> None:
    newest = _dotted(driver.cuda) if driver.cuda else "unknown"
    if driver.cuda and cuda and driver.cuda[0] < cuda[0]:
        collector.error(
            "driver",
            "gpu",
            f"driver {driver.version} runs CUDA up to {newest}",
            f"CUDA {cuda[0]}, which torch is built for",
            "install a newer driver",
        )
    else:
        collector.ok("driver", "gpu", f"driver {driver.version}, CUDA up to {newest}")


def _with_slots(collector: Collector, gpus: list[Gpu]) -> list[Gpu]:
    """The GPUs that slots are given on."""
    try:
        slots = slots_by_device()
    except TrainingError as error:
        collector.error("gpu", "gpu", error.problem, "a list of GPUs", *error.details)
        return []
    usable = [gpu for gpu in gpus if gpu.name in slots or _is_named(gpu.uuid, slots)]
    if not usable:
        names = "none" if CPU in slots else ", ".join(slots)
        collector.error(
            "gpu",
            "gpu",
            f"{GPUS} or CUDA_VISIBLE_DEVICES names {names}; the driver lists {len(gpus)}",
            "GPUs that are there",
            f"set {GPUS}, such as 0 or 0,1",
        )
    return usable


def _check_gpu(collector: Collector, gpu: Gpu, cuda: tuple[int, int] | None) -> None:
    capability, total, shown = gpu.capability, gpu.total_bytes, _described(gpu)
    free = None if total is None or gpu.used_bytes is None else total - gpu.used_bytes
    expected = f"{format_bytes(BATCH_1)} free, as published for N1.5 at batch size 1"
    if capability is not None and capability < _AMPERE:
        collector.error(
            "gpu",
            "gpu",
            f"{shown}, compute capability {_dotted(capability)}",
            "8.0 or more, which flash-attn and bfloat16 need",
            "train on an Ampere GPU or a newer one",
        )
    elif capability is not None and capability >= _BLACKWELL and cuda and cuda < _BLACKWELL_CUDA:
        collector.error(
            "gpu",
            "gpu",
            f"{shown}, compute capability {_dotted(capability)}",
            f"one that torch for CUDA {_dotted(cuda)} has code for",
            "install torch 2.7 or newer for CUDA 12.8, as the README of Isaac-GR00T says of "
            "Blackwell, and flash-attn again",
        )
    elif total is not None and total < WEIGHTS:
        remedy = f"train on another GPU: the weights alone are {format_bytes(WEIGHTS)}"
        collector.error("gpu", "gpu", shown, expected, remedy)
    elif total is not None and total < BATCH_1:
        remedy = "train with tune_diffusion_model: false or with LoRA, at a small batch size"
        collector.warn("gpu", "gpu", shown, expected, remedy)
    elif free is not None and free < BATCH_1:
        remedy = "see with gr00t-assets gpu status or nvidia-smi what uses the rest"
        collector.warn("gpu", "gpu", shown, expected, remedy)
    else:
        collector.ok("gpu", "gpu", shown)


def _described(gpu: Gpu) -> str:
    memory = "memory shared with the host"
    if gpu.total_bytes is not None:
        total = f"{gpu.total_bytes / 1e9:.0f} GB"
        memory = total
        if gpu.used_bytes is not None:
            memory = f"{(gpu.total_bytes - gpu.used_bytes) / 1e9:.0f} of {total} free"
    return f"GPU {gpu.name}, {gpu.model}: {memory}"


def _host_memory() -> int:
    """Bytes of memory of the host, or of the container where that has less."""
    total = psutil.virtual_memory().total
    for file in _CGROUP_LIMITS:
        try:
            limit = file.read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            return min(total, int(limit))
    return total


def _is_named(uuid: str, slots: dict[str, int]) -> bool:
    """Whether a slot names a GPU by its UUID or the beginning of it."""
    return any(
        name != CPU and len(name) >= _MIN_UUID_CHARACTERS and uuid.startswith(name)
        for name in slots
    )


def _version(text: str) -> tuple[int, int] | None:
    numbers = text.split(".")
    return (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else None


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
