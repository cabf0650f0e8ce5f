"""Configurations: all settings of a run but its seed. Runs of one configuration are replicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from gr00t_assets.comparison.contrasts.factors import (
    IMMATERIAL,
    factor_value,
    samples_per_step,
    samples_seen,
    trainable_parts,
)
from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation


@dataclass(frozen=True, eq=False)
class Configuration:
    """Finished runs that are equal in all that can change what is learned, but for the seed.

    Attributes:
        observations: The replicates, in the order in which they came.
        material: Value of every material factor that is known.
    """

    observations: tuple[Observation, ...]
    material: dict[str, object]

    @property
    def first(self) -> Observation:
        """The first of the replicates."""
        return self.observations[0]

    @property
    def comparable(self) -> tuple[object, ...]:
        """Data and frames, equal in all configurations that may be contrasted."""
        return self.first.comparable

    @property
    def class_key(self) -> tuple[object, ...]:
        """Data, frames and trainable parts."""
        return (self.comparable, self.material.get("trainable_parts"))

    @cached_property
    def samples_seen(self) -> int | None:
        """Of the first replicate; replicates differ in it by nothing, or by a rest."""
        return samples_seen(self.first)

    @cached_property
    def units(self) -> tuple[tuple[Observation, ...], ...]:
        """Replicates by seed. Two runs with one seed repeat each other and count as one."""
        by_seed: dict[object, list[Observation]] = {}
        for place, run in enumerate(self.observations):
            seed = run.settings.get("seed")
            by_seed.setdefault(("unknown", place) if seed is None else seed, []).append(run)
        return tuple(tuple(runs) for runs in by_seed.values())

    @property
    def constant_schedule(self) -> bool:
        """Whether the learning rate does not depend on how long the run is."""
        return str(self.material.get("lr_scheduler_type", "")).startswith("constant")

    def value(self, factor: str) -> object:
        """Value of a factor, which replicates share unless it is immaterial."""
        if factor in self.material:
            return self.material[factor]
        return factor_value(self.first, factor)


def material_settings(observation: Observation) -> dict[str, object]:
    """The value of each known factor that can change what this run learns, but for the seed.

    Left out besides the immaterial ones: LoRA's scale and dropout without LoRA; warm-up of a
    constant schedule, which has none; where frames come from, when they are the right ones.
    """
    settings = observation.settings
    left_out = {"seed", *IMMATERIAL, *TRAINABLE_PARTS}
    if not settings.get("lora_rank"):
        left_out |= {"lora_alpha", "lora_dropout"}
    scheduler = str(settings.get("lr_scheduler_type", ""))
    if scheduler == "constant":
        left_out.add("warmup_ratio")
    if frames_are_equal(observation):
        left_out |= {"video_backend", "frame_source"}
    found = {name: value for name, value in settings.items() if name not in left_out}
    found["trainable_parts"] = trainable_parts(settings)
    found["batch_size"] = samples_per_step(settings)
    found["max_steps"] = settings.get("max_steps", observation.max_steps)
    if observation.continued_steps and not scheduler.startswith("constant"):
        found["continued_steps"] = observation.continued_steps
    return found


def frames_are_equal(observation: Observation) -> bool:
    """Whether the images do not depend on the video backend."""
    return (
        observation.frames == "verified"
        or observation.settings.get("frame_source") == "cache"
        or observation.data.get("trainer", "").startswith("native")
    )


def configurations(
    observations: Sequence[Observation], split_by: str | None = None
) -> list[Configuration]:
    """The finished runs by configuration, in order of first appearance.

    Args:
        observations: Of any status and class; those that are not finished are left out.
        split_by: A further factor that replicates must share, such as the seed or an immaterial
            one that is asked about.
    """
    groups: dict[tuple[object, ...], tuple[list[Observation], dict[str, object]]] = {}
    for run in observations:
        if not run.finished or run.loss is None or not run.loss.mean > 0:
            continue
        material = material_settings(run)
        extra = factor_value(run, split_by) if split_by and split_by not in material else None
        key = (run.comparable, tuple(sorted(material.items())), extra)
        groups.setdefault(key, ([], material))[0].append(run)
    return [Configuration(tuple(runs), material) for runs, material in groups.values()]
