"""What a run of the native trainer writes: bytes of a checkpoint, and of the final model."""

from gr00t_assets.trainers.native.model import Gr00tN15
from gr00t_assets.trainers.native.optimization import trainable

_MOMENTS = 2
"""AdamW's moments of each trained number, in its own type."""

_HEADER = 256
"""Bytes that a tensor takes in the header of a safetensors file, at most."""


def sizes_on_disk(model: Gr00tN15) -> tuple[int, int]:
    """Bytes of one checkpoint with its optimizer state, and of the final model.

    Args:
        model: With its trainable parts set.
    """
    trained = [parameter for _, parameter in trainable(model)]
    checkpoint = sum(
        (1 + _MOMENTS) * (each.numel() * each.element_size() + _HEADER) for each in trained
    )
    state = model.state_dict().values()
    return checkpoint, sum(each.numel() * each.element_size() + _HEADER for each in state)
