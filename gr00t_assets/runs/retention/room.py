"""Room on the disk for what a training is about to write, looked at before it starts."""

from pathlib import Path

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.files import free_bytes
from gr00t_assets.core.units import in_units

_SPARE = 1 << 20
"""Bytes for metrics, log and manifest."""


def require_room(subject: str, directory: Path, checkpoint: int, model: int) -> None:
    """Refuse to train where the next checkpoint and the final model do not fit together.

    Args:
        subject: What the error is about: an experiment.
        directory: The run directory.
        checkpoint: Bytes of one checkpoint with its optimizer state.
        model: Bytes of the final model; 0 where it shares those of the last checkpoint.

    Raises:
        StoreError: They do not; the message has the figures. Nothing was written.
    """
    free = free_bytes(directory)
    need = checkpoint + model + _SPARE
    if need <= free:
        return
    parts = [f"a checkpoint with optimizer state takes {in_units(checkpoint)}"]
    if model:
        parts.append(f"the model takes {in_units(model)}")
    raise StoreError(
        subject,
        f"training it needs {in_units(need)}, and the disk of its run directory has "
        f"{in_units(free)} free; nothing was trained.",
        [
            *parts,
            "see `gr00t-assets store status` and `store prune`, or move the store to a larger disk "
            "with GR00T_ASSETS_STORE; then start it again",
        ],
    )
