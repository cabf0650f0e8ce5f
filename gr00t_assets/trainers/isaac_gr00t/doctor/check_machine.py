"""Findings about the machine: driver, GPUs, host memory and disk.

What a generation takes of memory and disk is counted from its parameters; see
``failures/gpu_memory.py`` for the published figures.
"""

from contextlib import suppress
from pathlib import Path

import psutil
from packaging.version import Version

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.finding import Collector
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import format_bytes
from gr00t_assets.gpu.devices import CPU, GPUS, Gpu, read_driver, read_gpus, slots_by_device
from gr00t_assets.trainers.isaac_gr00t.doctor.packages import Probe
from gr00t_assets.trainers.isaac_gr00t.generations import IsaacGeneration
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters

_BYTES_PER_NUMBER = 4

_AMPERE = (8, 0)
_BLACKWELL = (10, 0)
_BLACKWELL_CUDA = (12, 8)
_MIN_UUID_CHARACTERS = 8
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def check_gpus(collector: Collector, answer: Probe | str, facts: IsaacGeneration) -> None:
    """Look at the driver and at each GPU that training may use, by the answer of ``probe``."""
    driver, gpus = read_driver(), read_gpus()
    if driver is None or not gpus:
        missing = "there is no NVIDIA driver, or it does not answer"
        if driver is not None:
            missing = f"driver {driver.version} lists no GPU"
        collector.report("gpu-missing", "gpu", missing, batch_1=_gb(facts.batch_1_gb))
        return
    build = answer.cuda if isinstance(answer, Probe) else None
    cuda = (Version(build).major, Version(build).minor) if build else None
    newest = f"CUDA up to {_dotted(driver.cuda) if driver.cuda else 'unknown'}"
    if driver.cuda and cuda and driver.cuda[0] < cuda[0]:
        too_old = f"driver {driver.version} runs {newest}"
        collector.report("driver", "gpu", too_old, cuda=cuda[0])
    else:
        collector.ok("driver", "gpu", f"driver {driver.version}, {newest}")
    for gpu in _with_slots(collector, gpus):
        _check_gpu(collector, gpu, cuda, facts)


def check_host(collector: Collector, store: Store, facts: IsaacGeneration) -> None:
    """Look at host memory, and at the disk of the store."""
    weights, checkpoint = file_bytes(facts)
    counts = {"parameters": f"{facts.weights:,}", "trained": f"{facts.trained:,}"}
    loading = 2 * weights
    memory = _host_memory()
    found = f"{format_bytes(memory)} of host memory"
    if memory < loading:
        fault = "host-memory-too-small" if memory < weights else "host-memory"
        collector.report(fault, "machine", found, loading=format_bytes(loading), **counts)
    else:
        collector.ok("host-memory", "machine", found)
    limit, free = IsaacHyperparameters().save_total_limit, free_bytes(store.root)
    least, most = checkpoint + weights, (limit + 1) * checkpoint + weights
    found = f"{format_bytes(free)} free at {store.root}"
    if free < most:
        sizes = {"least": least, "most": most, "checkpoint": checkpoint}
        texts = {name: format_bytes(size) for name, size in sizes.items()}
        fault = "disk-too-small" if free < least else "disk"
        collector.report(fault, "machine", found, limit=limit, **texts, **counts)
    else:
        collector.ok("disk", "machine", found)


def file_bytes(facts: IsaacGeneration) -> tuple[int, int]:
    """Bytes of a generation's weights in float32, and of a checkpoint with optimizer.

    That is the weights, and Adam's two moments of what is trained with the backbone frozen.
    """
    weights = facts.weights * 10**6 * _BYTES_PER_NUMBER
    return weights, weights + 2 * facts.trained * 10**6 * _BYTES_PER_NUMBER


def _gb(number: int) -> str:
    return format_bytes(number * 10**9)


def _with_slots(collector: Collector, gpus: list[Gpu]) -> list[Gpu]:
    """The GPUs that slots are given on."""
    try:
        slots = slots_by_device()
    except TrainingError as error:
        collector.report("gpu-list", "gpu", error.problem, remedy="; ".join(error.details))
        return []
    # A slot may name a GPU by its UUID or the beginning of it.
    uuids = tuple(name for name in slots if name != CPU and len(name) >= _MIN_UUID_CHARACTERS)
    usable = [gpu for gpu in gpus if gpu.name in slots or gpu.uuid.startswith(uuids)]
    if not usable:
        names = "none" if CPU in slots else ", ".join(slots)
        listed = f"{GPUS} or CUDA_VISIBLE_DEVICES names {names}; the driver lists {len(gpus)}"
        collector.report("gpu-unlisted", "gpu", listed)
    return usable


def _check_gpu(
    collector: Collector, gpu: Gpu, cuda: tuple[int, int] | None, facts: IsaacGeneration
) -> None:
    total, shown = gpu.total_bytes, _described(gpu)
    free = None if total is None or gpu.used_bytes is None else total - gpu.used_bytes
    if gpu.capability is not None:
        is_newer = gpu.capability >= _BLACKWELL and cuda is not None and cuda < _BLACKWELL_CUDA
        if is_newer or gpu.capability < _AMPERE:
            shown += f", compute capability {_dotted(gpu.capability)}"
            fault = "gpu-newer" if is_newer else "gpu-older"
            collector.report(fault, "gpu", shown, cuda=_dotted(cuda) if cuda else "")
            return
    (weights, _), least = file_bytes(facts), facts.batch_1_gb * 10**9
    needs = {"batch_1": _gb(facts.batch_1_gb), "weights": format_bytes(weights)}
    needs["title"] = facts.title
    if total is not None and total < least:
        fault = "gpu-too-small" if total < weights else "gpu-small"
        collector.report(fault, "gpu", shown, **needs)
    elif free is not None and free < least:
        collector.report("gpu-used", "gpu", shown, **needs)
    else:
        collector.ok("gpu", "gpu", shown)


def _described(gpu: Gpu) -> str:
    total = gpu.total_bytes
    memory = "memory shared with the host" if total is None else f"{total / 1e9:.0f} GB"
    if total is not None and gpu.used_bytes is not None:
        memory = f"{(total - gpu.used_bytes) / 1e9:.0f} of {memory} free"
    return f"GPU {gpu.name}, {gpu.model}: {memory}"


def _host_memory() -> int:
    """Bytes of memory of the host, or of the container where that has less."""
    total = psutil.virtual_memory().total
    for file in _CGROUP_LIMITS:
        with suppress(OSError):
            limit = file.read_text(encoding="utf-8").strip()
            total = min(total, int(limit)) if limit.isdigit() else total
    return total


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
