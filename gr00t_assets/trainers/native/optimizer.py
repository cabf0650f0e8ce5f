"""What of a model is trained: its parts or LoRA, AdamW, the schedule, the weights' average.

AdamW and the schedule are by transformers' rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from transformers import get_scheduler

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.trainers.native.action_head import by_embodiment
from gr00t_assets.trainers.native.compact_adamw import BLOCK, MOMENTS, SMALLEST, CompactAdamW
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.weights import save_tensors

if TYPE_CHECKING:
    from peft import LoraConfig

ADAPTER = "adapter"
"""Folder in that of the final model with LoRA's adapter, in peft's own layout."""


def trainable(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Named parameters that are trained, in a fixed order."""
    return ((name, value) for name, value in model.named_parameters() if value.requires_grad)


def make_optimizer(model: nn.Module, settings: NativeHyperparameters) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; biases and norm layers are not decayed.

    The split is the one of transformers' ``Trainer``, which Isaac-GR00T uses. Raises as
    ``CompactAdamW``.
    """
    norms = {
        f"{name}.{parameter}"
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for parameter, _ in module.named_parameters(recurse=False)
    }
    decayed, plain = [], []
    for name, parameter in trainable(model):
        (plain if name in norms or "bias" in name else decayed).append(parameter)
    groups = [
        {
            "params": parameters,
            "weight_decay": decay,
            "lr": settings.learning_rate,
            "betas": (settings.adam_beta1, settings.adam_beta2),
            "eps": settings.adam_epsilon,
        }
        for parameters, decay in ((decayed, settings.weight_decay), (plain, 0.0))
        if parameters
    ]
    eight_bits = settings.optimizer == "adamw_8bit"
    if eight_bits or settings.weights == "bfloat16":
        return CompactAdamW(groups, settings.seed, eight_bits)
    return torch.optim.AdamW(groups, fused=True)


def set_up_training(
    model: Gr00tModel, settings: NativeHyperparameters, embodiments: Sequence[int]
) -> None:
    """Freeze what a run does not train, add LoRA, and set other embodiments' weights aside.

    LoRA's matrices are drawn by the run's seed. ``embodiments`` are the ids of those that the run
    has samples of, in ascending order. Raises as ``add_lora``.
    """
    model.set_trainable(**settings.tuned_parts)
    torch.manual_seed(settings.seed)
    add_lora(model, settings)
    if settings.weights == "bfloat16":
        for _, parameter in trainable(model):
            parameter.data = parameter.data.bfloat16()
    for layer in by_embodiment(model).values():
        layer.keep_rows(embodiments)
    if settings.gradient_checkpointing:
        model.recompute_activations()


def finish_training(
    model: Gr00tModel, settings: NativeHyperparameters, adapter: Path | None = None
) -> None:
    """Undo ``set_up_training`` for a model to be saved: weights put back, LoRA merged.

    ``adapter`` is the folder where LoRA's matrices are kept as they were trained, for peft.
    """
    for layer in by_embodiment(model).values():
        layer.put_back()
    merge_lora(model, settings, adapter)


def add_lora(model: Gr00tModel, settings: NativeHyperparameters) -> None:
    """Freeze a model and put adapters on its linear layers; nothing where ``lora_rank`` is 0.

    Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", by peft: small trained
    matrices beside frozen layers. As in Isaac-GR00T they are on the action head unless
    ``lora_full_model`` asks for the backbone too. They are float32, whatever the layers are.

    Raises:
        TrainingError: ``lora_target_modules`` has a name that no layer has.
    """
    if not settings.lora_rank:
        return
    from peft import inject_adapter_in_model

    model.requires_grad_(False)
    inject_adapter_in_model(_lora_config(model, settings), model)
    for _, parameter in trainable(model):
        parameter.data = parameter.data.float()


def merge_lora(
    model: Gr00tModel, settings: NativeHyperparameters, folder: Path | None = None
) -> None:
    """Keep the adapters in a folder, add them to the weights beside them, and take them away."""
    if not settings.lora_rank:
        return
    from peft import get_peft_model_state_dict
    from peft.tuners.lora import LoraLayer

    if folder is not None:
        folder.mkdir(parents=True)
        save_tensors(get_peft_model_state_dict(model), folder / "adapter_model.safetensors")
        _lora_config(model, settings).save_pretrained(str(folder))
    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, layer.get_base_layer())


def _lora_config(model: Gr00tModel, settings: NativeHyperparameters) -> "LoraConfig":
    """What is adapted, and how; it has the full names of the layers."""
    from peft import LoraConfig
    from peft.tuners.lora import LoraLayer

    modules = [item for item in model.named_modules() if not item[0].startswith(model.unused)]
    linear = {name for name, x in modules if type(x) is nn.Linear or isinstance(x, LoraLayer)}
    own = {name for name in linear if settings.lora_full_model or name.startswith("action_head.")}
    ends = settings.lora_target_modules.split()
    missing = [end for end in ends if not _ending_in(end, linear)]
    found = {name for end in ends for name in _ending_in(end, own)}
    if missing or not found:
        where = "the model" if settings.lora_full_model else "the action head"
        known = ", ".join(sorted({name.rsplit(".", 1)[1] for name in own}))
        details = [f"no layer's name ends in {end}" for end in missing]
        details.append(f"{where} has layers whose names end in {known}")
        if not settings.lora_full_model:
            details.append("lora_full_model: true adapts the backbone as well")
        raise TrainingError("lora_target_modules", "LoRA has nothing to be put on.", details)
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=sorted(found),
    )


def _ending_in(end: str, names: set[str]) -> set[str]:
    return {name for name in names if f".{name}".endswith(f".{end}")}


def moment_bytes(parameter: Tensor, settings: NativeHyperparameters) -> int:
    """Bytes of a parameter's moments, by the optimizer of a run."""
    count = parameter.numel()
    if settings.optimizer == "adamw_8bit" and count >= SMALLEST:
        return len(MOMENTS) * (count + 4 * -(-count // BLOCK))
    return len(MOMENTS) * 4 * count


def make_scheduler(
    optimizer: torch.optim.Optimizer, settings: NativeHyperparameters
) -> torch.optim.lr_scheduler.LambdaLR:
    """The learning rate's course over ``max_steps``, warm-up included."""
    kind, warmup_steps = settings.lr_scheduler_type, settings.warmup_steps
    scheduler = get_scheduler(kind, optimizer, warmup_steps, settings.max_steps)
    assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
    return scheduler


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """AdamW's moments as tensors named ``exp_avg/<parameter>`` and so on."""
    return {
        f"{key}/{name}": torch.as_tensor(value)
        for name, parameter in trainable(model)
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Put back what ``optimizer_tensors`` gave."""
    named = dict(trainable(model))
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        optimizer.state[named[name]][kind] = value.to(named[name].device)


class WeightAverage:
    """The exponential moving average (EMA) of trained weights, which starts at them as they are.

    Polyak and Juditsky 1992 have the idea. A step keeps the share ``decay`` of it, the rest is the
    step's weights; with 0 there is no average. The ``tensors`` are float32, by name, each on the
    device of its parameter.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters) if decay else {}
        self._average = get_ema_multi_avg_fn(decay)
        self.tensors = {
            name: parameter.detach().to(torch.float32, copy=True)
            for name, parameter in self._parameters.items()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step, without waiting for the device."""
        if self.tensors:
            now = [parameter.float() for parameter in self._parameters.values()]
            self._average(list(self.tensors.values()), now, 0)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go back to the averages of a checkpoint."""
        for name, average in self.tensors.items():
            average.copy_(tensors[name])

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The model has the averages, if any, inside the block, and its own weights after it."""
        own = {name: value.detach().clone() for name, value in self._parameters.items()}
        self._put(self.tensors)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(tensors[name])
