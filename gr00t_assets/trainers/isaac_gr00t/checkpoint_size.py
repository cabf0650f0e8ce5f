"""What a run of Isaac-GR00T's trainer writes, from the headers of the base model's weights."""

import json
import math
from pathlib import Path

from gr00t_assets.experiments.hyperparameters import Hyperparameters

_BYTES = 4
"""Of a number in float32, which weights and AdamW's moments are saved in."""

_MOMENTS = 2
_LONGEST_HEADER = 100_000_000
"""Bytes of a safetensors header, at most; see the format's own limit."""

_TRAINED = {
    "tune_llm": ("backbone.eagle_model.language_model.",),
    "tune_visual": ("backbone.eagle_model.vision_model.", "backbone.eagle_model.mlp1."),
}


def sizes_on_disk(base_model: Path, settings: Hyperparameters) -> tuple[int, int]:
    """Bytes of one checkpoint with its optimizer state, and of the final model beside it.

    The final model shares the files of the last checkpoint, except with LoRA, whose checkpoints
    hold adapters only. Both are 0 where the base model's weights are no safetensors.

    Args:
        base_model: Folder of the base model.
        settings: Which parts of it are trained.
    """
    numbers = _numbers(base_model)
    weights = sum(numbers.values()) * _BYTES
    if settings.lora_rank:
        return 0, weights
    trained = ["action_head."] if settings.tune_projector or settings.tune_diffusion_model else []
    for name, parts in _TRAINED.items():
        trained += parts if getattr(settings, name) else ()
    moments = sum(count for name, count in numbers.items() if name.startswith(tuple(trained)))
    return weights + _MOMENTS * moments * _BYTES, 0


def _numbers(folder: Path) -> dict[str, int]:
    """Numbers of each tensor by name; nothing but headers is read."""
    found: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with path.open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(size)) if size <= _LONGEST_HEADER else {}
            found |= {
                name: math.prod(tensor["shape"])
                for name, tensor in header.items()
                if name != "__metadata__"
            }
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
