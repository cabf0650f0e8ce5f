"""GPU memory that a run of the native trainer needs, counted and not measured.

Weights, moments, and the bytes alive in a step by ``native.traced_step``. Not counted: CUDA's own
context (about 0.5 GB), kernels' workspaces, fragmentation, and batches that are made meanwhile.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.base_model_files import (
    BUILT_IN,
    BUILT_IN_NAMES,
    RELEASED_MODEL,
    AnyConfig,
    load_config,
    looks_like_path,
    model_path,
)
from gr00t_assets.trainers.failures.gpu_memory import GIB, PROMPT_TOKENS, most_cameras, remedy_lines
from gr00t_assets.trainers.n15 import architecture as n15
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import moment_bytes
from gr00t_assets.trainers.native.traced_step import step_passes

SOURCE = "counted from the model's operations, see docs/native.md"

TOLERANCE = 0.15
"""How far a measured peak may be from the count before a warning is logged."""


RELEASED = n15.ModelConfig(
    backbone=n15.BackboneConfig(select_layer=12, project_to_dim=None, use_flash_attention=True),
    towers=n15.TowersConfig(),
    action_head=n15.ActionHeadConfig(
        action_dim=32,
        action_horizon=16,
        max_action_dim=32,
        backbone_embedding_dim=2048,
        diffusion_model_cfg=n15.DiffusionModelConfig(
            num_attention_heads=32,
            attention_head_dim=48,
            num_layers=16,
            dropout=0.2,
            positional_embeddings=None,
            output_dim=1024,
            cross_attention_dim=2048,
            interleave_self_attention=True,
        ),
        vl_self_attention_cfg=n15.SelfAttentionConfig(
            num_attention_heads=32, num_layers=4, dropout=0.2, positional_embeddings=None
        ),
    ),
    compute_dtype="bfloat16",
)
"""nvidia/GR00T-N1.5-3B: 2,414 M parameters."""


_OF_PASSES = {
    *("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model", "weights"),
    *("lora_rank", "lora_full_model", "lora_target_modules", "gradient_checkpointing"),
}
"""Hyperparameters that the passes of a step depend on."""


class MemoryNeed(NamedTuple):
    """Bytes on each GPU."""

    weights: int  # Of the whole model; a share of them where they are sharded.
    moments: int  # AdamW's.
    step: int  # The most of activations, gradients and copies at once in a step.

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)

    def __str__(self) -> str:
        parts = zip(self._fields, self, strict=True)
        listed = ", ".join(f"{name} {size / GIB:.1f}" for name, size in parts)
        return f"{self.total / GIB:.1f} GiB ({listed})"


def memory_need(
    config: AnyConfig,
    settings: NativeHyperparameters,
    cameras: int = 1,
    batch_size: int | None = None,
    prompt_tokens: int = PROMPT_TOKENS,
    embodiments: int = 1,
) -> MemoryNeed:
    """What a run needs on each of its GPUs.

    Samples of so many ``embodiments`` have an image of each camera and ``prompt_tokens`` around
    them; ``batch_size`` is the settings' own where left out. Raises as ``add_lora``.
    """
    processes = settings.num_gpus * settings.num_nodes
    kept = processes > 1 or settings.gradient_accumulation_steps > 1
    model = NativeHyperparameters.model_validate(settings.model_dump(include=_OF_PASSES))
    passes = step_passes(config, model, cameras, prompt_tokens, kept, embodiments)  # pyright: ignore[reportArgumentType]  # frozen: hashable
    alive = int((passes.fixed + passes.each * (batch_size or settings.batch_size)).max())
    gradients = sum(parameter.nbytes for parameter in passes.trained)
    moments = sum(moment_bytes(parameter, settings) for parameter in passes.trained)
    shards = processes if settings.sharding == "fsdp" else 1
    gathered = passes.gathered if shards > 1 else 0
    # What ``CompactAdamW`` takes beside the largest parameter; torch's own takes nothing.
    extra = 18 * (settings.weights == "bfloat16") + 8 * (settings.optimizer == "adamw_8bit")
    updating = extra * max((parameter.numel() for parameter in passes.trained), default=0)
    own = gradients // shards
    step = max(own * kept + alive + gathered, own + updating // shards)
    return MemoryNeed(passes.weights // shards, moments // shards, step)


def counted_config(base_model: str, revision: str | None = None) -> AnyConfig | None:
    """The sizes of a base model without a download; None where it is not here.

    Those of ``nvidia/GR00T-N1.5-3B`` are known without it.
    """
    if base_model in BUILT_IN:
        return BUILT_IN[base_model]
    file = model_path(base_model) / "config.json"
    try:
        if not file.is_file() and not looks_like_path(base_model):
            cached = try_to_load_from_cache(base_model, file.name, revision=revision)
            if not isinstance(cached, str):
                return RELEASED if base_model == RELEASED_MODEL else None
            file = Path(cached)
        return load_config(file) if file.is_file() else None
    except (OSError, HFValidationError):  # The name is no path or no Hub id: told when it trains.
        return None


def memory_of(spec: TrainingSpec) -> Callable[[int], MemoryNeed] | None:
    """The count of a run by batch size; None for ``tiny``, and where its sizes are not known."""
    experiment = spec.experiment
    if experiment.base_model in BUILT_IN_NAMES:
        return None
    config = counted_config(experiment.base_model, experiment.base_model_revision)
    settings, cameras = NativeHyperparameters.of(experiment), most_cameras(spec)
    rows = len(spec.embodiments)
    return config and partial(memory_need, config, settings, cameras, embodiments=rows)


def require_memory(
    name: str, needed: Callable[[int], MemoryNeed], settings: NativeHyperparameters, total: int
) -> None:
    """Refuse a run that even 15 percent less than its count would not fit a device's bytes.

    TrainingError has the largest batch size that the device holds.
    """
    if (1 - TOLERANCE) * needed(settings.batch_size).total <= total:
        return
    problem = f"the GPU's memory does not hold batch_size {settings.batch_size}."
    lines = remedy_lines(settings, lambda size: needed(size).total, total)
    raise TrainingError(name, problem, [*lines, f"the estimates are {SOURCE}"])


def compare_after_second_step(
    optimizer: torch.optim.Optimizer,
    need: MemoryNeed,
    device: torch.device,
    say: Callable[[str], None],
) -> None:
    """Log a GPU's measured peak beside the count, once moments were there for a whole step."""
    steps = count(1)

    def compare(*_: object) -> None:
        if next(steps) == 2:
            say(measured_line(need, torch.cuda.max_memory_allocated(device)))
            handle.remove()

    handle = optimizer.register_step_post_hook(compare)


def measured_line(need: MemoryNeed, peak: int) -> str:
    """A measured peak beside the count, a warning where they are more than 15 percent apart."""
    share = peak / need.total - 1
    line = f"GPU memory: {peak / GIB:.1f} GiB at most, counted {need}"
    far = f"warning: the count is off by {share:+.0%}; " if abs(share) > TOLERANCE else ""
    return far + line
