"""GPUs: their memory, driver and kernels, and what several of them say to each other."""

import re

from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.failures.known import Known, Told, Words, told
from gr00t_assets.trainers.failures.memory import (
    GIB,
    SOURCE,
    estimate,
    is_full_size,
    largest_batch,
    smaller_batch,
    with_batch,
)

_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": GIB}


def out_of_memory(message: str, spec: TrainingSpec, full_size: bool | None = None) -> Told:
    """What to say of a GPU that is out of memory.

    Args:
        message: torch's words: ``GPU 0 has a total capacity of 79.15 GiB of which ...``.
        spec: The run.
        full_size: Whether the model is the full-size N1.5, which alone can be estimated; asked of
            the base model's name where it is not given.
    """
    settings = spec.experiment.hyperparameters
    known = is_full_size(spec.experiment.base_model) if full_size is None else full_size
    total = _bytes(re.search(r"total capacity of ([\d.]+) (\w+)", message))
    others = re.findall(r"Process (\d+) has ([\d.]+ \w+) memory in use", message)
    lines = []
    if asked := re.search(r"Tried to allocate ([\d.]+ \w+)", message):
        free = re.search(r"of which ([\d.]+ \w+) is free", message)
        lines.append(f"{asked[1]} more were asked{f', {free[1]} were free' if free else ''}")
    if others:
        held = ", ".join(f"process {process} {amount}" for process, amount in others)
        lines.append(f"others hold memory of the same device: {held}; end them, or wait for them")
    lines += _estimated(spec, total) if known else _halved(spec)
    return Told(f"the GPU's memory does not hold batch_size {settings.batch_size}.", tuple(lines))


def _estimated(spec: TrainingSpec, total: float | None) -> list[str]:
    """What the setting needs, and one that fits the device."""
    settings, cameras = spec.experiment.hyperparameters, max(len(spec.modality_config.video), 1)
    of_device = f" of the {total / GIB:.0f} GiB that the device has" if total else ""
    needed = estimate(settings, cameras) / GIB
    lines = [f"estimate: batch_size {settings.batch_size} needs about {needed:.0f} GiB{of_device}"]
    most = largest_batch(settings, total, cameras) if total else settings.batch_size // 2
    chosen = smaller_batch(settings, most)
    if chosen is None:
        lines.append(
            "no batch_size fits: train fewer parts (tune_llm, tune_visual, tune_diffusion_model: "
            "false), set lora_rank, or take a larger GPU"
        )
    else:
        less = estimate(with_batch(settings, chosen[0]), cameras) / GIB
        lines.append(f"{_accumulated(spec, chosen)} and needs about {less:.0f} GiB{of_device}")
    return [*lines, f"the estimates are {SOURCE}"]


def _halved(spec: TrainingSpec) -> list[str]:
    chosen = smaller_batch(spec.experiment.hyperparameters, most=10**9)
    return [_accumulated(spec, chosen) if chosen else "take a GPU with more memory"]


def _accumulated(spec: TrainingSpec, chosen: tuple[int, int]) -> str:
    samples = spec.experiment.hyperparameters.samples_per_step
    line = f"batch_size {chosen[0]} with gradient_accumulation_steps {chosen[1]}"
    return f"{line} keeps {samples} samples a step"


def _bytes(match: re.Match[str] | None) -> float | None:
    return float(match[1]) * _UNITS[match[2]] if match and match[2] in _UNITS else None


def _tell_memory(words: Words, spec: TrainingSpec) -> Told:
    return out_of_memory(words["message"], spec)


def _tell_other_memory(words: Words, spec: TrainingSpec) -> Told:
    return out_of_memory("", spec)


_DRIVER = "see that nvidia-smi lists a GPU here, and in a container that it was started with --gpus"

KNOWN = (
    Known(
        "gpu-memory",
        (r"(?P<message>CUDA out of memory\. Tried to allocate[^\n]*)",),
        _tell_memory,
        anywhere=True,
    ),
    Known(
        "gpu-memory-library",
        (
            r"CUBLAS_STATUS_ALLOC_FAILED",
            r"CUDNN_STATUS_ALLOC_FAILED",
            r"CUDA error: out of memory",
            r"Cuda failure 2 'out of memory'",
        ),
        _tell_other_memory,
        anywhere=True,
    ),
    Known(
        "driver-old",
        (
            r"The NVIDIA driver on your system is too old \(found version (?P<found>\d+)\)",
            r"CUDA driver version is insufficient for CUDA runtime version",
        ),
        told(
            "the NVIDIA driver is too old for the CUDA of the trainer's torch.",
            "update the driver, or install a torch for an older CUDA",
        ),
    ),
    Known(
        "no-gpu",
        (
            r"Found no NVIDIA driver on your system",
            r"No CUDA GPUs are available",
            r"Torch not compiled with CUDA enabled",
            r"no CUDA-capable device is detected",
        ),
        told(
            "torch finds no GPU.",
            _DRIVER,
            "CUDA_VISIBLE_DEVICES and GR00T_ASSETS_GPUS name devices that exist: nvidia-smi -L",
        ),
    ),
    Known(
        "gpu-number",
        (r"CUDA error: invalid device ordinal",),
        told(
            "a GPU was asked for that this process does not see.",
            "num_gpus is at most the number of GPUs: nvidia-smi -L",
        ),
    ),
    Known(
        "gpu-kind",
        (
            r"no kernel image is available for execution on the device",
            r"FlashAttention only supports Ampere GPUs or newer",
            r"(?:bf16|BFloat16|bfloat16).* (?:only supported|requires Ampere|not supported)",
            r"Your setup doesn't support bf16/gpu",
            r"--tf32 requires Ampere or a newer GPU arch",
        ),
        told(
            "this GPU is too old, or newer than the trainer's torch or flash-attn knows.",
            "N1.5 needs Ampere or newer (compute capability 8.0): "
            "nvidia-smi --query-gpu=name,compute_cap --format=csv",
            "torch 2.5.1 knows no Blackwell (10.0 and 12.0)",
        ),
    ),
    Known(
        "gpu-fault",
        (
            r"CUDA error: (?P<error>an illegal memory access was encountered|unspecified launch "
            r"failure|uncorrectable ECC error encountered|device-side assert triggered)",
            r"Unable to determine the device handle for GPU",
        ),
        told(
            "the GPU failed: {error}",
            "look for Xid in the kernel's log: dmesg | grep -i xid",
            "materialise it again: it goes on from its last complete checkpoint",
            "for the line that did it, set CUDA_LAUNCH_BLOCKING=1",
        ),
        anywhere=True,
    ),
    Known(
        "nccl-timeout",
        (r"Watchdog caught collective operation timeout",),
        told(
            "the GPUs waited for each other until the time was up.",
            "one process hung or died: its own last lines in the log say why",
            "where none does, the GPUs do not reach each other: try NCCL_P2P_DISABLE=1",
        ),
        anywhere=True,
        consequence=True,
    ),
    Known(
        "nccl",
        (
            r"NCCL error in: [^\n]*?, (?P<error>[^,\n]+)",
            r"(?P<error2>ncclSystemError|ncclUnhandledCudaError|ncclRemoteError|"
            r"ncclInternalError|ncclInvalidUsage)",
            r"NCCL (?:communicator was aborted|WARN)",
        ),
        told(
            "the GPUs could not talk to each other: NCCL, {error}{error2}",
            "set NCCL_DEBUG=INFO for the reason, and look at the lines before it in the log",
            "often: /dev/shm is too small, NCCL_SOCKET_IFNAME names no network, or peer access is "
            "broken (NCCL_P2P_DISABLE=1)",
            "num_gpus: 1 needs no NCCL",
        ),
        anywhere=True,
        consequence=True,
    ),
    Known(
        "peer-gone",
        (
            r"Connection closed by peer",
            r"Connection reset by peer",
            r"The client socket has timed out",
            r"Broken pipe",
        ),
        told(
            "a process of this training lost another one.",
            "the log of the process that ended first says why",
        ),
        consequence=True,
    ),
)
