"""GPU-hours that a proposed run will take, from the speed of runs like it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gr00t_assets.comparison.contrasts.factors import samples_per_step
from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation
from gr00t_assets.comparison.next_experiments.equal_run import samples_of


def expected_hours(
    settings: Mapping[str, Any], reference: Observation, observations: Sequence[Observation]
) -> float | None:
    """GPU-hours of a whole run, or hours of the CPU where the runs before it were on one.

    The speed is that of the finished run of the same trainer and base model that trains the same
    parts, where there is one, with the nearest number of samples a step; the reference first.

    Returns:
        None where no such run has a speed, as in a table of final losses.
    """
    samples = samples_of(settings)
    alike = [
        run
        for run in (reference, *observations)
        if run.finished
        and run.samples_per_second
        and all(run.data.get(word) == reference.data.get(word) for word in _SPEED)
    ]
    if not samples or not alike:
        return None
    run = min(alike, key=lambda run: _distance(run.settings, settings))
    speed = run.samples_per_second or math.inf
    gpus = int(settings.get("num_gpus", 1)) if run.gpu_hours else 1
    scale = gpus / int(run.settings.get("num_gpus", 1)) if run.gpu_hours else 1  # type: ignore[arg-type]
    return samples / (speed * scale) / 3600 * gpus


_SPEED = ("base model", "trainer")


def _distance(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[int, float]:
    parts = sum(theirs.get(name) != ours.get(name) for name in TRAINABLE_PARTS)
    other, own = samples_per_step(theirs), samples_per_step(ours)
    return parts, abs(math.log(other / own)) if other and own else math.inf
