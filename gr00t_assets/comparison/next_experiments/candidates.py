"""The single runs that would make a confounded contrast a controlled one."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gr00t_assets.comparison.contrasts.configurations import material_settings
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.factors import samples_per_step
from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation
from gr00t_assets.comparison.next_experiments.equal_run import samples_of

SETTINGS_OF = {
    "trainable_parts": TRAINABLE_PARTS,
    "batch_size": ("batch_size", "gradient_accumulation_steps", "num_gpus"),
}
"""The settings that make up a factor; of any other factor it is the setting of its name."""

_DERIVED = {"samples_seen"}


@dataclass
class Candidate:
    """One run that would settle contrasts.

    Attributes:
        reference: The run that it differs from in one factor.
        changes: The settings that differ from the reference.
        settles: The confounded contrasts that it would settle, by factor.
    """

    reference: Observation
    changes: dict[str, Any]
    settles: dict[str, list[Contrast]] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting of the run."""
        return {**self.reference.settings, **self.changes}

    @property
    def samples(self) -> int:
        """Samples of the whole run, which stand for its cost."""
        return samples_of(self.settings) or 0

    @property
    def contrasts(self) -> int:
        """Contrasts that it would settle, over all factors."""
        return sum(len(found) for found in self.settles.values())


def candidates(confounded: Mapping[str, Iterable[Contrast]]) -> list[Candidate]:
    """Every run that differs from one side of a contrast in the asked factor only.

    Runs that two contrasts ask for are one candidate; the side with the lower loss comes first, so
    that it is the reference where both are.

    Args:
        confounded: By factor the contrasts that are to be settled.
    """
    found: dict[tuple[object, ...], Candidate] = {}
    for factor, contrasts in confounded.items():
        for contrast in contrasts:
            for reference, changes in _either_side(factor, contrast):
                made = Candidate(reference, changes)
                kept = found.setdefault(_key(made), made)
                listed = kept.settles.setdefault(factor, [])
                if contrast not in listed:
                    listed.append(contrast)
    return list(found.values())


def distance(contrast: Contrast) -> float:
    """Factors that would have to be undone; samples that follow from another one do not count."""
    return len([name for name in contrast.confounders if name not in _DERIVED]) or 0.5


def _either_side(factor: str, contrast: Contrast) -> Iterator[tuple[Observation, dict[str, Any]]]:
    sides = ((contrast.low[0], contrast.high[0]), (contrast.high[0], contrast.low[0]))
    for reference, other in sorted(sides, key=lambda side: _loss(side[0])):
        changes = moved(factor, reference, other)
        if changes:
            yield reference, changes


def moved(factor: str, reference: Observation, other: Observation) -> dict[str, Any]:
    """What makes of the reference a run with the other's value of one factor, and nothing else.

    For batch size the number of steps follows, so that both runs see as many samples. Nothing
    where the other's value is not known.
    """
    names = SETTINGS_OF.get(factor, (factor,))
    changes = {
        name: other.settings[name]
        for name in names
        if name in other.settings and other.settings[name] != reference.settings.get(name)
    }
    samples = reference.samples_seen or samples_of(reference.settings)
    per_step = samples_per_step({**reference.settings, **changes})
    if changes and factor == "batch_size" and samples and per_step:
        changes["max_steps"] = math.ceil(samples / per_step)
    save, steps = (
        {**reference.settings, **changes}.get(name) for name in ("save_steps", "max_steps")
    )
    if changes and isinstance(save, int) and isinstance(steps, int) and save > steps:
        changes["save_steps"] = steps
    return changes


def _key(candidate: Candidate) -> tuple[object, ...]:
    run = replace(candidate.reference, settings=candidate.settings)
    return (run.comparable, tuple(sorted(material_settings(run).items())))


def _loss(run: Observation) -> float:
    return run.loss.mean if run.loss else math.inf
