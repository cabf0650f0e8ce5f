"""What a trainer cannot do, known when the sweep file is read and before anything is trained."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from gr00t_assets.experiments.experiment import Trainer
from gr00t_assets.experiments.hyperparameters import Hyperparameters

RELEASED_MODEL = "nvidia/GR00T-N1.5-3B"
"""What the fine-tuning script starts from when it is not told otherwise."""

BUILT_IN_MODEL = "tiny"

_NOT_NATIVE = ("lora_rank", "lora_full_model", "num_gpus", "frame_source")
_HUB_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*")
_CHECKPOINT = re.compile(r"(checkpoint|step)-\d+")


class Limit(NamedTuple):
    """One thing that a trainer does not take: the field of the experiment, and why."""

    field: str
    message: str


def trainer_limits(
    trainer: Trainer, base_model: str, hyperparameters: Hyperparameters
) -> list[Limit]:
    """Everything of an experiment that its trainer does not take.

    Args:
        trainer: The experiment's trainer.
        base_model: Its base model as the file gives it.
        hyperparameters: All of them, defaults included.

    Example:
        >>> limits = trainer_limits("native", "tiny", Hyperparameters(num_gpus=2))
        >>> limits[0].message
        'the native trainer does not take num_gpus 2; isaac-gr00t does'
    """
    if trainer == "native":
        return list(_native(hyperparameters))
    return [*_isaac_base_model(base_model), *_isaac(hyperparameters)]


def _native(settings: Hyperparameters) -> Iterator[Limit]:
    for name in _NOT_NATIVE:
        value = getattr(settings, name)
        if value == Hyperparameters.model_fields[name].default:
            continue
        if name == "frame_source":
            message = "the native trainer reads the frame cache alone; isaac-gr00t can read videos"
        else:
            shown = str(value).lower()
            message = f"the native trainer does not take {name} {shown}; isaac-gr00t does"
        yield Limit(name, message)


def _isaac_base_model(base_model: str) -> Iterator[Limit]:
    """Isaac-GR00T takes a relative path for a Hub id, and looks for it there."""
    if base_model == BUILT_IN_MODEL:
        message = (
            f"the base model '{BUILT_IN_MODEL}' is built in to the native trainer; give "
            f"isaac-gr00t base_model {RELEASED_MODEL}, or the absolute path of a folder"
        )
    elif base_model.startswith("~/") or PurePosixPath(base_model).is_absolute():
        return
    elif not _HUB_ID.fullmatch(base_model) or _CHECKPOINT.fullmatch(base_model.split("/")[1]):
        message = (
            f"'{base_model}' is neither a Hub id (owner/name) nor an absolute path; Isaac-GR00T "
            "looks for a relative path on the Hub, so write a folder's path in full"
        )
    else:
        return
    yield Limit("base_model", message)


def _isaac(settings: Hyperparameters) -> Iterator[Limit]:
    if settings.augmentation == "none":
        yield Limit(
            "augmentation",
            "isaac-gr00t always augments: NVIDIA's data configs crop and jitter at random; "
            "leave it out, or train with native",
        )
    if settings.lora_full_model and not settings.lora_rank:
        yield Limit(
            "lora_full_model",
            "has no effect without LoRA: give lora_rank as well, or leave it out",
        )
    tuned = ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model")
    if not settings.lora_rank and not any(getattr(settings, name) for name in tuned):
        yield Limit(
            "tune_projector",
            "nothing is left to train: tune_llm, tune_visual, tune_projector and "
            "tune_diffusion_model are all false, and isaac-gr00t would go on training vlln and "
            "vl_self_attention, which no setting freezes; set one of the four to true",
        )
