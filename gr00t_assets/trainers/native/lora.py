"""LoRA by peft: small trained matrices beside frozen linear layers, merged for the final model.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models". As in Isaac-GR00T, everything
else is frozen, and the adapters are on the action head unless ``lora_full_model`` asks for the
backbone too.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from gr00t_assets.core.errors import TrainingError
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.weights import save_tensors

if TYPE_CHECKING:
    from peft import LoraConfig

ADAPTER = "adapter"
"""Folder in that of the final model, in peft's own layout."""

_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_UNUSED = ".vision_model.head."
"""SigLIP's pooling head, which takes no part in the forward pass."""


def add_lora(model: nn.Module, settings: NativeHyperparameters) -> None:
    """Freeze a model and put adapters on its linear layers; nothing where ``lora_rank`` is 0.

    Adapters are float32, whatever the layers are.

    Raises:
        TrainingError: ``lora_target_modules`` has a name that no layer has.
    """
    if not settings.lora_rank:
        return
    from peft import inject_adapter_in_model

    model.requires_grad_(False)
    inject_adapter_in_model(_config(model, settings), model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def merge_lora(
    model: nn.Module, settings: NativeHyperparameters, folder: Path | None = None
) -> None:
    """Add the adapters to the weights that they are beside, and take them away.

    ``folder`` is where they are kept as they were trained, for peft.
    """
    if not settings.lora_rank:
        return
    from peft import get_peft_model_state_dict
    from peft.tuners.lora import LoraLayer

    if folder is not None:
        folder.mkdir(parents=True)
        save_tensors(get_peft_model_state_dict(model), folder / _ADAPTER_WEIGHTS)
        _config(model, settings).save_pretrained(str(folder))
    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoraLayer):
            layer.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, layer.get_base_layer())


def _config(model: nn.Module, settings: NativeHyperparameters) -> "LoraConfig":
    """What is adapted, and how; it has the full names of the layers."""
    from peft import LoraConfig
    from peft.tuners.lora import LoraLayer

    linear = {
        name
        for name, module in model.named_modules()
        if (type(module) is nn.Linear or isinstance(module, LoraLayer))
        and _UNUSED not in f".{name}."
    }
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
