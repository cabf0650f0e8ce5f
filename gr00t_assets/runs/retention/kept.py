"""Which checkpoints stay: the newest ones, and the best, whose last steps had the lowest loss."""

import math
from collections.abc import Collection, Iterable
from pathlib import Path

from gr00t_assets.runs.loss_window import window_steps
from gr00t_assets.runs.metrics import read_metrics


def kept_steps(
    steps: Collection[int], last: int, run_directory: Path, best: bool = True
) -> set[int]:
    """Steps whose checkpoints stay: the newest ``last`` of them, and the best one."""
    kept = set(sorted(steps)[-last:])
    chosen = best_step(steps, run_directory) if best else None
    return kept if chosen is None else kept | {chosen}


def best_step(steps: Iterable[int], run_directory: Path) -> int | None:
    """The step with the lowest window loss, the later one of equals.

    The window of step ``s`` is the final window of a run of ``s`` steps; see ``window_steps``. A
    step with no logged loss in its window, or one that is not finite, is not compared.

    Args:
        steps: Steps that have a checkpoint.
        run_directory: Where ``metrics.jsonl`` is.

    Returns:
        One of ``steps``; ``None`` where none can be compared.
    """
    losses: dict[int, float] = {}
    for metric in read_metrics(run_directory):
        first = metric.step - len(metric.losses) + 1
        losses |= {first + place: loss for place, loss in enumerate(metric.losses)}
    found = {step: _window(losses, step) for step in steps}
    compared = [(loss, -step) for step, loss in found.items() if math.isfinite(loss)]
    return -min(compared)[1] if compared else None


def _window(losses: dict[int, float], step: int) -> float:
    window = range(step - window_steps(step) + 1, step + 1)
    values = [losses[number] for number in window if number in losses]
    return sum(values) / len(values) if values else math.inf
