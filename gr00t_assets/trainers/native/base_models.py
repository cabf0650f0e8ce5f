"""Base models, the built-in ``tiny``, a folder or one of the Hub, and the device they run on."""

import importlib.util
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gr00t_assets.core.errors import BaseModelError, TrainingError
from gr00t_assets.core.files import write_json
from gr00t_assets.modality.camera_images import image_shape
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.trainers.base_model_files import (
    BUILT_IN,
    AnyConfig,
    download,
    hub_commit,
    load_config,
    locate,
)
from gr00t_assets.trainers.n15.architecture import ModelConfig
from gr00t_assets.trainers.n17.architecture import N17Config
from gr00t_assets.trainers.n17.processor_configs import files_of, inexpressible
from gr00t_assets.trainers.native import prompts
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.native.gr00t_n15 import Gr00tN15
from gr00t_assets.trainers.native.gr00t_n17 import Gr00tN17
from gr00t_assets.trainers.native.weights import (
    FUTURE_TOKENS,
    load_weights,
    save_shards,
    stored_weights,
)


@dataclass(frozen=True)
class Device:
    """One GPU, or the CPU."""

    device: torch.device
    name: str  # ``cpu``, or the GPU's.
    uuid: str | None  # The GPU's, as nvidia-smi shows it.
    mixed_precision: bool = False  # Whether it computes in bfloat16, as a GPU always does.

    @property
    def on_gpu(self) -> bool:
        """Whether this is a GPU."""
        return self.device.type == "cuda"

    @property
    def attention(self) -> str:
        """Attention of the towers; flash-attn's, where it is installed, needs a GPU."""
        flash = self.on_gpu and importlib.util.find_spec("flash_attn") is not None
        return "flash_attention_2" if flash else "sdpa"

    def peak_memory_bytes(self) -> int:
        """Most memory held at once: torch's on a GPU, the whole process's on a CPU."""
        if self.on_gpu:
            return torch.cuda.max_memory_reserved(self.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    def autocast(self) -> torch.autocast:
        """bfloat16 for matrix products on a GPU, plain float32 on a CPU unless asked otherwise."""
        enabled = self.on_gpu or self.mixed_precision
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)


def choose_device(kind: str | None = None, index: int = 0) -> Device:
    """A GPU of those that CUDA_VISIBLE_DEVICES leaves, else the CPU with one thread.

    One thread is faster than two for models this small, and makes losses repeat to the last digit.
    ``kind`` is ``cpu`` or ``cuda``; each process of a training has the GPU of another ``index``.
    TrainingError says that it is not there.
    """
    if kind not in (None, "cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        found = "no GPU is seen here" if kind == "cuda" else f"'{kind}' is neither cpu nor cuda"
        raise TrainingError("device", f"{found}.", ["take cpu, or leave it out"])
    if kind != "cpu" and torch.cuda.is_available():
        if index >= (count := torch.cuda.device_count()):
            problem = f"process {index} has no GPU: {count} are seen here."
            remedy = "lower num_gpus, or name more GPUs in CUDA_VISIBLE_DEVICES"
            raise TrainingError("processes", problem, [remedy])
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.cuda.set_device(index)
        properties = torch.cuda.get_device_properties(index)
        uuid = f"GPU-{properties.uuid}" if hasattr(properties, "uuid") else None
        return Device(torch.device("cuda", index), properties.name, uuid)
    torch.set_num_threads(1)
    return Device(torch.device("cpu"), "cpu", None)


class BaseModel(NamedTuple):
    """A model that is ready to be trained or asked for actions."""

    model: Gr00tModel  # In training mode, everything trainable.
    tokenizer: prompts.Tokenizer
    revision: str | None  # Commit on the Hub; None for a folder and for what is built in.

    @property
    def config(self) -> Any:
        """One of ``AnyConfig``."""
        return self.model.config

    def prompt_ids(self, task: str, data: ModalityConfig) -> tuple[int, ...]:
        """Tokens of a task's prompt with the images of the data's cameras."""
        size = image_shape(self.config.image_recipe, data)  # pyright: ignore[reportArgumentType]  # frozen: hashable
        return self.tokenizer.prompt_ids(task, len(data.video), self.config.image_tokens(*size))

    def too_long(self, task: str, data: ModalityConfig) -> str | None:
        """By how much a task's prompt is longer than the model takes; None where it is not."""
        most = self.config.towers.text_config.max_position_embeddings
        count = len(self.prompt_ids(task, data))
        return f"a prompt of {count:,} tokens; the model takes {most:,}" if count > most else None


def load_base_model(
    base_model: str,
    revision: str | None = None,
    *,
    seed: int = 42,
    action_horizon: int | None = None,
    attn: str = "sdpa",
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> BaseModel:
    """Load a base model.

    Args:
        base_model: ``tiny``, ``tiny-n1.7``, a folder in Isaac-GR00T's layout or ours, or a Hub id.
        revision: Commit, tag or branch on the Hub; the default branch where missing.
        seed: Of ``tiny``'s random weights; torch's own generator is left as it was.
        action_horizon: Actions of one prediction where other than the model's.
        attn: Attention of the towers, ``sdpa`` or ``flash_attention_2``.
        dtype: Of the towers' weights; the action head is always float32.
        device: Where the weights go. ``tiny``'s do not depend on it.

    Raises:
        BaseModelError: There is no such model, or it is neither an N1.5 nor an N1.7.

    Examples:
        >>> load_base_model("tiny").model.trainable_parameters()["diffusion_model"]
        544128
    """
    if base_model in BUILT_IN:
        config = _with_horizon(BUILT_IN[base_model], action_horizon, base_model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = new_model(config, attn)
        model.backbone.to(dtype)
        model.backbone.rebuild_buffers()
        return BaseModel(model.to(device), prompts.byte_tokenizer(model.prompt), None)
    directory = locate(base_model, revision)
    if not (directory / "config.json").is_file():
        files = ", ".join(sorted(path.name for path in directory.iterdir())[:8]) or "nothing"
        expected = "expected config.json, model.safetensors"
        details = [f"looked in {directory}", f"found {files}", expected]
        raise BaseModelError(base_model, "its config.json is missing.", details)
    config = _with_horizon(load_config(directory / "config.json"), action_horizon, base_model)
    weights = stored_weights(directory, config.layers)
    if isinstance(config, ModelConfig) and FUTURE_TOKENS not in weights:
        head = config.action_head.model_copy(update={"num_target_vision_tokens": 0})
        config = config.model_copy(update={"action_head": head})
    with torch.device("meta"):
        model = new_model(config, attn)
    subject, files = str(directory), ["tokenizer.json", "tokenizer_config.json"]
    if config.towers.tokenizer == "bytes":
        tokenizer = prompts.byte_tokenizer(model.prompt)
        prompts.require_image_token(tokenizer, subject, model.backbone.image_token)
    else:
        has_own = prompts.has_tokenizer(directory)
        folder = directory if has_own else download(prompts.QWEN, None, files)
        tokenizer = prompts.load_tokenizer(folder, model.backbone.image_token, model.prompt)
    model.backbone.to(dtype)
    load_weights(model, weights, device, subject)
    model.backbone.rebuild_buffers()
    return BaseModel(model, tokenizer, hub_commit(directory))


def new_model(config: AnyConfig, attn: str = "sdpa") -> Gr00tModel:
    """A model of a configuration, with weights drawn at random."""
    return (Gr00tN17 if isinstance(config, N17Config) else Gr00tN15)(config, attn)


def save_model(
    model: Gr00tModel,
    directory: Path,
    tokenizer: prompts.Tokenizer | None = None,
    data: Sequence[ModalityConfig] = (),
) -> None:
    """Write ``model.safetensors`` with NVIDIA's names, ``tokenizer.json`` if any, ``config.json``.

    Of N1.7 there are NVIDIA's processor files for the ``data`` that it was trained on as well,
    where they can say what is done to it.

    Weights of more than 5 GB are several files and an index, as transformers writes them. A tensor
    without elements, as the future tokens of a model that has none, is left out. OSError where the
    disk is full.
    """
    config = model.config
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if tensor.numel()}
    save_shards(tensors, directory)
    if tokenizer is not None and config.towers.tokenizer != "bytes":
        tokenizer.save(directory)
    write_json(directory / "config.json", config.to_json())
    if isinstance(config, N17Config) and data and not inexpressible(data):
        files_of(data, config).write(directory)


def _with_horizon(config: AnyConfig, action_horizon: int | None, subject: str) -> AnyConfig:
    if action_horizon is None:
        return config
    try:
        return config.with_action_horizon(action_horizon)
    except ValueError as error:
        problem = f"it cannot predict {action_horizon} actions at once."
        raise BaseModelError(subject, problem, [str(error)]) from error
