"""Facts about the model and the machine for the manifest. Runs under the checkout's Python."""

import importlib.metadata
import os
import platform
import resource
from typing import Any

PARTS = {
    "llm": ("backbone.eagle_model.language_model.",),
    "visual": ("backbone.eagle_model.vision_model.", "backbone.eagle_model.mlp1."),
    "projector": (
        "action_head.state_encoder.",
        "action_head.action_encoder.",
        "action_head.action_decoder.",
        "action_head.position_embedding.",
    ),
    "diffusion_model": ("action_head.model.",),
}
"""Parameters of each part by the start of their names; what belongs to none is ``other``."""

ADAPTED = "base_model.model."
"""In front of every name once LoRA is around the model."""

PACKAGES = ("torch", "transformers", "accelerate", "flash-attn", "peft", "numpy")


def describe_model(model: Any) -> dict[str, Any]:
    """``parameters`` and ``trainable_parameters`` of ``Facts``."""
    trained = dict.fromkeys((*PARTS, "other"), 0)
    total = 0
    for name, parameter in model.named_parameters():
        total += parameter.numel()
        if parameter.requires_grad:
            trained[part_of(name)] += parameter.numel()
    return {"parameters": total, "trainable_parameters": trained}


def part_of(name: str) -> str:
    """The part that a parameter belongs to.

    Examples:
        >>> part_of("base_model.model.action_head.model.proj_out_1.weight")
        'diffusion_model'
    """
    bare = name[len(ADAPTED) :] if name.startswith(ADAPTED) else name
    return next((part for part, starts in PARTS.items() if bare.startswith(starts)), "other")


def describe_machine(device: Any) -> dict[str, Any]:
    """``device``, ``device_uuid``, ``gpus`` and ``versions`` of ``Facts``."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if device.type != "cuda":
        return {"device": "cpu", "device_uuid": None, "gpus": 0, "versions": versions}
    import torch

    # A torch before 2.4 does not tell it.
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return {
        "device": torch.cuda.get_device_name(device),
        "device_uuid": None if uuid is None else f"GPU-{uuid}",
        "gpus": int(os.environ.get("WORLD_SIZE", "1")),
        "versions": versions,
    }


def peak_memory_bytes(device: Any) -> int:
    """Highest GPU memory that torch reserved; on a CPU the process's own."""
    if device is not None and device.type == "cuda":
        import torch

        return torch.cuda.max_memory_reserved(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
