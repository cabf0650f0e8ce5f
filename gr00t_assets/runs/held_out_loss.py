"""``held_out_loss.jsonl``: the loss on held-out episodes while a run trains."""

import json
import math
from pathlib import Path

from gr00t_assets.core.files import append_line, read_objects, sync_file

HELD_OUT_LOSS = "held_out_loss.jsonl"
"""In the run directory: ``step``, ``loss``, and ``samples`` that it is the mean of."""


def append_held_out_loss(run_directory: Path, step: int, loss: float, samples: int) -> None:
    """Add the loss after a step; it outlasts a power cut.

    Raises:
        OSError: The disk is full.
    """
    path = run_directory / HELD_OUT_LOSS
    append_line(path, json.dumps({"step": step, "loss": loss, "samples": samples}).encode())
    sync_file(path)


def read_held_out_losses(run_directory: Path) -> dict[int, float]:
    """Loss after each step that it was taken at, in the order of steps.

    Of a step that was done twice, since a run died after it, the later one. A damaged line, and a
    loss that is no finite number, are passed over.
    """
    losses = {
        item["step"]: item["loss"]
        for item in read_objects(run_directory / HELD_OUT_LOSS)
        if isinstance(item.get("step"), int)
        and isinstance(item.get("loss"), float)
        and math.isfinite(item["loss"])
    }
    return dict(sorted(losses.items()))
