"""Findings about the machine: GPUs, host memory, disk, and the accounts that training uses."""

import os
from pathlib import Path

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.project import Store
from gr00t_assets.experiments.hyperparameters import Hyperparameters
from gr00t_assets.gpu.devices import CPU, GPUS, devices
from gr00t_assets.trainers.base_model_files import looks_like_path
from gr00t_assets.trainers.isaac_gr00t.doctor import credentials
from gr00t_assets.trainers.isaac_gr00t.doctor.findings import Collector
from gr00t_assets.trainers.isaac_gr00t.doctor.machine import Gpu, Gpus, gpus, host_memory
from gr00t_assets.trainers.isaac_gr00t.doctor.probe import Probe
from gr00t_assets.trainers.isaac_gr00t.doctor.sizes import (
    BATCH_1,
    CHECKPOINT,
    LOADING,
    WEIGHTS,
    gigabytes,
)

_AMPERE = (8, 0)
_BLACKWELL = (10, 0)
_BLACKWELL_CUDA = (12, 8)


def check_gpus(collector: Collector, answer: Probe | str) -> None:
    """Look at the driver and at each GPU that training may use."""
    collector.part = "gpu"
    found = gpus()
    if found.problem:
        collector.error(
            "gpu",
            found.problem,
            f"an NVIDIA GPU with {gigabytes(BATCH_1)} of memory or more, and its driver",
            "install the driver, or run this where the GPU is",
        )
        return
    build = answer.torch.cuda if isinstance(answer, Probe) else None
    cuda = _version(build) if build else None
    _check_driver(collector, found, cuda)
    for gpu in _usable(collector, found.listed):
        _check_gpu(collector, gpu, cuda)


def _check_driver(collector: Collector, found: Gpus, cuda: tuple[int, int] | None) -> None:
    driver = found.listed[0].driver
    runs = ".".join(map(str, found.cuda)) if found.cuda else "unknown"
    if found.cuda and cuda and found.cuda[0] < cuda[0]:
        collector.error(
            "driver",
            f"driver {driver} runs CUDA up to {runs}",
            f"CUDA {cuda[0]}, which torch is built for",
            "install a newer driver",
        )
    else:
        collector.ok("driver", f"driver {driver}, CUDA up to {runs}")


def _usable(collector: Collector, listed: tuple[Gpu, ...]) -> list[Gpu]:
    """The GPUs that slots are given on."""
    try:
        named = devices()
    except TrainingError as error:
        collector.error("gpu", error.problem, "a list of GPUs", *error.details)
        return []
    usable = [gpu for gpu in listed if gpu.index in named or _named(gpu.uuid, named)]
    if not usable:
        names = "none" if CPU in named else ", ".join(named)
        collector.error(
            "gpu",
            f"{GPUS} or CUDA_VISIBLE_DEVICES names {names}; nvidia-smi lists {len(listed)}",
            "GPUs that are there",
            f"set {GPUS}, such as 0 or 0,1",
        )
    return usable


def _check_gpu(collector: Collector, gpu: Gpu, cuda: tuple[int, int] | None) -> None:
    expected = f"{gigabytes(BATCH_1)} free, as published for N1.5 at batch size 1"
    if gpu.capability is not None and gpu.capability < _AMPERE:
        collector.error(
            "gpu",
            f"{gpu.sentence()}, compute capability {_dotted(gpu.capability)}",
            "8.0 or more, which flash-attn and bfloat16 need",
            "train on an Ampere GPU or a newer one",
        )
    elif (
        gpu.capability is not None
        and gpu.capability >= _BLACKWELL
        and cuda
        and (cuda < _BLACKWELL_CUDA)
    ):
        collector.error(
            "gpu",
            f"{gpu.sentence()}, compute capability {_dotted(gpu.capability)}",
            f"one that torch for CUDA {_dotted(cuda)} has code for",
            "install torch 2.7 or newer for CUDA 12.8, as the README of Isaac-GR00T says of "
            "Blackwell, and flash-attn again",
        )
    elif gpu.total is not None and gpu.total < WEIGHTS:
        collector.error(
            "gpu",
            gpu.sentence(),
            expected,
            f"train on another GPU: the weights alone are {gigabytes(WEIGHTS)}",
        )
    elif gpu.total is not None and gpu.total < BATCH_1:
        collector.warn(
            "gpu",
            gpu.sentence(),
            expected,
            "train with tune_diffusion_model: false or with LoRA, at a small batch size",
        )
    elif gpu.free is not None and gpu.free < BATCH_1:
        collector.warn("gpu", gpu.sentence(), expected, "see with nvidia-smi what holds the rest")
    else:
        collector.ok("gpu", gpu.sentence())


def check_host(collector: Collector, store: Store) -> None:
    """Look at host memory, and at the disk of the store."""
    collector.part = "machine"
    memory = host_memory()
    found = f"{gigabytes(memory)} of host memory"
    expected = (
        f"{gigabytes(LOADING)} and more for loader processes: the weights are there twice "
        "while they are loaded (2 x 2,414 M parameters x 4 bytes)"
    )
    if memory < WEIGHTS:
        collector.error("host-memory", found, expected, "train on a machine with more memory")
    elif memory < LOADING:
        collector.warn("host-memory", found, expected, "lower dataloader_num_workers, or add swap")
    else:
        collector.ok("host-memory", found)
    kept = Hyperparameters().save_total_limit
    least, most = CHECKPOINT + WEIGHTS, (kept + 1) * CHECKPOINT + WEIGHTS
    free = free_bytes(store.root)
    found = f"{gigabytes(free)} free at {store.root}"
    expected = (
        f"{gigabytes(least)} for one checkpoint and the model, {gigabytes(most)} for the {kept} "
        f"that are kept, the next and the model; one with optimizer is {gigabytes(CHECKPOINT)} "
        "(2,414 M weights and twice the 1,069 M that are trained, 4 bytes each)"
    )
    if free < least:
        remedy = "free some space, or move the store with GR00T_ASSETS_STORE"
        collector.error("disk", found, expected, remedy)
    elif free < most:
        collector.warn("disk", found, expected, "lower save_total_limit, or free some space")
    else:
        collector.ok("disk", found)


def check_accounts(collector: Collector) -> None:
    """Look whether the keys are there; their values are not looked at."""
    collector.part = "accounts"
    key, off = credentials.wandb_key(), credentials.wandb_is_off()
    if key or off:
        collector.ok("wandb-key", key or f"not needed: WANDB_MODE is {off}")
    else:
        collector.warn(
            "wandb-key",
            "no key of Weights & Biases: runs are recorded offline",
            "WANDB_API_KEY, or a key in ~/.netrc",
            "wandb login, or set report_to: none",
        )
    token = credentials.hub_token()
    if token:
        collector.ok("hub-token", token)
    else:
        collector.warn(
            "hub-token",
            "no token of the Hugging Face Hub: private and gated models cannot be had",
            "HF_TOKEN, or the file that hf auth login writes",
            "hf auth login",
        )


def check_base_model(collector: Collector, base_model: str) -> None:
    """Look whether a base model is here; nothing is downloaded."""
    folder = Path(base_model).expanduser()
    if folder.is_dir():
        collector.ok("base-model", f"{base_model} is a folder here")
    elif looks_like_path(base_model):
        collector.error(
            "base-model", f"no folder {base_model}", "a model's folder", "check the path"
        )
    elif _in_hub_cache(base_model):
        collector.ok("base-model", f"{base_model} is in the Hub's cache")
    else:
        offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
        add = collector.error if offline else collector.warn
        add(
            "base-model",
            f"{base_model} is not in the Hub's cache"
            + (", and HF_HUB_OFFLINE keeps it from being downloaded" if offline else ""),
            "the weights on this machine; the first training downloads them",
            f"hf download {base_model}",
        )


def _in_hub_cache(repository: str) -> bool:
    """Whether the cache has the config and every file of the weights."""
    import json

    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(repository, "config.json")
        whole = try_to_load_from_cache(repository, "model.safetensors")
        index = try_to_load_from_cache(repository, "model.safetensors.index.json")
        if not isinstance(config, str):
            return False
        if not isinstance(index, str):
            return isinstance(whole, str)
        shards = set(json.loads(Path(index).read_text())["weight_map"].values())
        return all(isinstance(try_to_load_from_cache(repository, name), str) for name in shards)
    except (HFValidationError, OSError, ValueError, KeyError, AttributeError):
        return False


def _named(uuid: str, named: dict[str, int]) -> bool:
    return any(name != CPU and len(name) >= 8 and uuid.startswith(name) for name in named)


def _version(text: str) -> tuple[int, int] | None:
    numbers = text.split(".")
    return (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else None


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
