"""Whether Isaac-GR00T can train on this machine, and what is missing where it cannot.

What a generation takes of memory and disk is counted from its parameters; see
``failures/gpu_memory.py`` for the published figures. Keys of accounts are looked for and never kept
or shown, and nothing is downloaded.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from packaging.version import Version

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.core.files import FileStamp, file_stamp, free_bytes
from gr00t_assets.core.finding import Findings
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import format_bytes
from gr00t_assets.gpu.devices import CPU, GPUS, Gpu, read_driver, read_gpus, slots_by_device
from gr00t_assets.trainers.base import EnvironmentReport
from gr00t_assets.trainers.base_model_files import looks_like_path, model_path
from gr00t_assets.trainers.isaac_gr00t.commits import Revision, revision_of
from gr00t_assets.trainers.isaac_gr00t.doctor.diagnosis import Diagnosis, Probe, listed, probe
from gr00t_assets.trainers.isaac_gr00t.environment import IsaacEnvironment, IsaacGeneration
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters

_PACKAGES = (
    "python", "torch", "torchvision", "transformers", "flash-attn", "accelerate", "peft", "numpy",
    "pipablepytorch3d", "decord", "torchcodec",
)  # fmt: skip
"""Packages of the checkout's Python that can change a loss, and the Python itself."""

_PROBES: dict[FileStamp, Probe] = {}
"""Answers of Pythons that this process has asked, by what changes with their packages."""

_BYTES_PER_NUMBER = 4
_MIN_UUID_CHARACTERS = 8
_AMPERE, _BLACKWELL, _BLACKWELL_CUDA = (8, 0), (10, 0), (12, 8)
_CGROUP_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
_WANDB_SERVER = "https://api.wandb.ai"


def examine(
    environment: IsaacEnvironment,
    *,
    store: Store,
    gpu: bool | None = None,
    base_model: str | None = None,
) -> EnvironmentReport:
    """Look at everything that a training with Isaac-GR00T needs; nothing is changed.

    torch is imported neither here nor there: the checkout's Python is asked for versions alone.
    It is asked once for the same files; memory, disk and accounts are looked at each time. No fault
    of the environment is raised as an exception.

    Args:
        environment: Checkout and Python; neither need exist.
        store: Where checkpoints go.
        gpu: Whether it is to train on a GPU, as by ``wants_gpu`` where left out. Without one a
            small model is trained: GPU, CUDA, flash-attn, and the memory and disk of the released
            weights are not asked for.
        base_model: Hub id or folder of the weights to start from; NVIDIA's own where left out.
    """
    gpu = wants_gpu() if gpu is None else gpu
    answer, revision = _ask(environment.python), revision_of(environment.checkout)
    diagnosis = Diagnosis(environment, answer)
    _check_checkout(diagnosis, revision)
    diagnosis.check_packages(gpu)
    if gpu:
        _check_gpus(diagnosis, answer.cuda)
        _check_host(diagnosis, store)
    _check_accounts(diagnosis)
    if gpu:
        _check_base_model(diagnosis, base_model or environment.generation.base_model)
    findings = diagnosis.findings()
    installed = {"python": answer.python, **answer.packages}
    return EnvironmentReport(
        findings=findings,
        code_findings=Findings([item for item in findings if item.subject == "checkout"]),
        versions={name: installed[name] for name in _PACKAGES if installed.get(name)},
        source={
            "commit": revision.commit or "",
            **{fix.code: str(revision.fixed[fix.code]) for fix in environment.generation.fixes},
        },
    )


def wants_gpu() -> bool:
    """Whether this machine is to train on a GPU: unless ``GR00T_ASSETS_GPUS`` names none."""
    return os.environ.get(GPUS) is None or bool(os.environ[GPUS].strip())


def _ask(python: Path) -> Probe:
    """The answer of a Python, kept for as long as its files are the same."""
    packages = list(python.parents[1].glob("lib/python3*/site-packages"))
    torch = [folder / "torch" / "version.py" for folder in packages]
    stamp = file_stamp([python, *packages, *torch])
    answer = _PROBES.get(stamp) or probe(python)
    if not answer.problem:
        _PROBES[stamp] = answer
    return answer


def _check_checkout(diagnosis: Diagnosis, revision: Revision) -> None:
    environment, facts = diagnosis.environment, diagnosis.environment.generation
    checkout = environment.checkout
    if not environment.script.is_file():
        missing = f"no {facts.script} in" if checkout.is_dir() else "no folder"
        diagnosis.judge("checkout", "checkout", f"{missing} {checkout}", "checkout")
        return
    diagnosis.judge("checkout", "checkout", str(checkout))
    line = {"unknown": "no line that is known"}.get(revision.line, f"the {revision.line} line")
    found, fault = f"commit {str(revision.commit)[:12]}, of {line}", "commit-of-another-line"
    if revision.commit is None:
        has_git = (checkout / ".git").exists()
        fault = "commit-unreadable" if has_git else "commit-missing"
        found = "git cannot read the checkout" if has_git else "the folder is no clone"
        found += ", so runs do not record their commit"
    elif revision.line == facts.line:
        fault = ""
    elif revision.line == "unknown":
        fault = "commit-unknown"
    diagnosis.judge("checkout", "commit", found, fault)
    if revision.changed:
        names = listed([name.strip() for name in revision.changed])
        found = f"files differ from the commit: {names}"
        diagnosis.judge("checkout", "changed-files", found, "changed-files")
    for fix in facts.fixes:
        if fixed := revision.fixed[fix.code]:
            found = f"fixed in this source, as by {fix.commit[:7]} ({fix.date})"
        else:
            unknown = "" if fixed is False else "whether it is fixed is not known: "
            found = f"{unknown}{fix.fault}"
        fault = "" if fixed else fix.code
        diagnosis.judge("checkout", fix.code, found, fault, commit=fix.commit, date=fix.date)


def _check_gpus(diagnosis: Diagnosis, torch_cuda: str | None) -> None:
    driver, gpus = read_driver(), read_gpus()
    if driver is None or not gpus:
        missing = "there is no NVIDIA driver, or it does not answer"
        if driver is not None:
            missing = f"driver {driver.version} lists no GPU"
        diagnosis.judge("gpu", "gpu", missing, "gpu-missing")
        return
    cuda = (Version(torch_cuda).major, Version(torch_cuda).minor) if torch_cuda else None
    newest = f"CUDA up to {_dotted(driver.cuda) if driver.cuda else 'unknown'}"
    if driver.cuda and cuda and driver.cuda[0] < cuda[0]:
        found = f"driver {driver.version} runs {newest}"
        diagnosis.judge("gpu", "driver", found, "driver", cuda=cuda[0])
    else:
        diagnosis.judge("gpu", "driver", f"driver {driver.version}, {newest}")
    for gpu in _with_slots(diagnosis, gpus):
        _check_gpu(diagnosis, gpu, cuda)


def _check_host(diagnosis: Diagnosis, store: Store) -> None:
    weights, checkpoint = file_bytes(diagnosis.environment.generation)
    memory, fault = _host_memory(), ""
    if memory < 2 * weights:
        fault = "host-memory-too-small" if memory < weights else "host-memory"
    found, loading = f"{format_bytes(memory)} of host memory", format_bytes(2 * weights)
    diagnosis.judge("machine", "host-memory", found, fault, loading=loading)
    limit, free, fault = IsaacHyperparameters().save_total_limit, free_bytes(store.root), ""
    least, most = checkpoint + weights, (limit + 1) * checkpoint + weights
    if free < most:
        fault = "disk-too-small" if free < least else "disk"
    sizes = {"least": least, "most": most, "checkpoint": checkpoint}
    texts = {name: format_bytes(size) for name, size in sizes.items()}
    found = f"{format_bytes(free)} free at {store.root}"
    diagnosis.judge("machine", "disk", found, fault, limit=limit, **texts)


def _check_accounts(diagnosis: Diagnosis) -> None:
    absent = "no key of Weights & Biases: runs are recorded offline"
    place = _wandb_key()
    diagnosis.judge("accounts", "wandb-key", place or absent, "" if place else "wandb-key")
    absent = "no token of the Hugging Face Hub: private and gated models cannot be had"
    place = _hub_token()
    diagnosis.judge("accounts", "hub-token", place or absent, "" if place else "hub-token")


def _check_base_model(diagnosis: Diagnosis, base_model: str) -> None:
    found, fault = f"{base_model} is in the Hub's cache", ""
    if model_path(base_model).is_dir():
        found = f"{base_model} is a folder here"
    elif looks_like_path(base_model):
        found, fault = f"no folder {base_model}", "base-model-folder"
    elif not _in_hub_cache(base_model):
        found, fault = f"{base_model} is not in the Hub's cache", "base-model"
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            found += ", and HF_HUB_OFFLINE keeps it from being downloaded"
            fault += "-offline"
    diagnosis.judge("accounts", "base-model", found, fault, base_model=base_model)


def file_bytes(facts: IsaacGeneration) -> tuple[int, int]:
    """Bytes of a generation's weights in float32, and of a checkpoint with optimizer.

    That is the weights, and Adam's two moments of what is trained with the backbone frozen.
    """
    weights = facts.weights * 10**6 * _BYTES_PER_NUMBER
    return weights, weights + 2 * facts.trained * 10**6 * _BYTES_PER_NUMBER


def _with_slots(diagnosis: Diagnosis, gpus: list[Gpu]) -> list[Gpu]:
    try:
        slots = slots_by_device()
    except TrainingError as error:
        remedy = "; ".join(error.details)
        diagnosis.judge("gpu", "gpu", error.problem, "gpu-list", remedy=remedy)
        return []
    # A slot may name a GPU by its UUID or the beginning of it.
    uuids = tuple(name for name in slots if name != CPU and len(name) >= _MIN_UUID_CHARACTERS)
    usable = [gpu for gpu in gpus if gpu.name in slots or gpu.uuid.startswith(uuids)]
    if not usable:
        names = "none" if CPU in slots else ", ".join(slots)
        found = f"{GPUS} or CUDA_VISIBLE_DEVICES names {names}; the driver lists {len(gpus)}"
        diagnosis.judge("gpu", "gpu", found, "gpu-unlisted")
    return usable


def _check_gpu(diagnosis: Diagnosis, gpu: Gpu, cuda: tuple[int, int] | None) -> None:
    facts, total, fault = diagnosis.environment.generation, gpu.total_bytes, ""
    free = None if total is None or gpu.used_bytes is None else total - gpu.used_bytes
    memory = "memory shared with the host" if total is None else f"{total / 1e9:.0f} GB"
    memory = memory if free is None else f"{free / 1e9:.0f} of {memory} free"
    found = f"GPU {gpu.name}, {gpu.model}: {memory}"
    weights, least = file_bytes(facts)[0], facts.batch_1_gb * 10**9
    capability = gpu.capability or _AMPERE
    is_newer = capability >= _BLACKWELL and cuda is not None and cuda < _BLACKWELL_CUDA
    if is_newer or capability < _AMPERE:
        found += f", compute capability {_dotted(capability)}"
        fault = "gpu-newer" if is_newer else "gpu-older"
    elif total is not None and total < least:
        fault = "gpu-too-small" if total < weights else "gpu-small"
    elif free is not None and free < least:
        fault = "gpu-used"
    texts = {"cuda": _dotted(cuda) if cuda else "", "weights": format_bytes(weights)}
    diagnosis.judge("gpu", "gpu", found, fault, title=facts.title, **texts)


def _host_memory() -> int:
    """Bytes of memory of the host, or of the container where that has less."""
    total = psutil.virtual_memory().total
    for file in _CGROUP_LIMITS:
        with suppress(OSError):
            limit = Path("/sys/fs/cgroup", file).read_text(encoding="utf-8").strip()
            total = min(total, int(limit)) if limit.isdigit() else total
    return total


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _in_hub_cache(repository: str) -> bool:
    """Whether the cache has the config and every file of the weights."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        index = try_to_load_from_cache(repository, "model.safetensors.index.json")
        weights = ["model.safetensors"]
        if isinstance(index, str):
            weights = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values()
        files = ("config.json", *weights)
        return all(isinstance(try_to_load_from_cache(repository, file), str) for file in files)
    except (HFValidationError, OSError, ValueError, KeyError, AttributeError):
        return False


def _wandb_key() -> str | None:
    """Where a key of Weights & Biases is, or why none is needed; ``None`` where there is none."""
    from requests.utils import get_netrc_auth

    if os.environ.get("WANDB_API_KEY", "").strip():
        return "WANDB_API_KEY in the environment"
    server = os.environ.get("WANDB_BASE_URL") or _WANDB_SERVER
    if get_netrc_auth(server):
        return f"{os.environ.get('NETRC') or '~/.netrc'} for {urlsplit(server).hostname}"
    mode = os.environ.get("WANDB_MODE", "").strip().lower()
    nothing_is_sent = mode in ("offline", "disabled", "dryrun")
    return f"not needed: WANDB_MODE is {mode}" if nothing_is_sent else None


def _hub_token() -> str | None:
    """Where a token of the Hub is, in words; ``None`` where there is none."""
    from huggingface_hub.constants import HF_TOKEN_PATH

    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(variable, "").strip():
            return f"{variable} in the environment"
    with suppress(OSError):
        if Path(HF_TOKEN_PATH).read_text(encoding="utf-8").strip():
            return HF_TOKEN_PATH
    return None
