"""A contrast: two groups of runs, what differs between them, and what may be said of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import computed_field

from gr00t_assets.comparison.contrasts.factors import Configuration, known_factors
from gr00t_assets.comparison.run import TRAINABLE_PARTS, Change, Run, RunIds

Verdict = Literal["controlled", "confounded", "within_noise", "inconclusive", "not_comparable"]
"""What a contrast says of the factor that is asked about: that it alone changed and the difference
is more than noise, that more changed (samples seen included), that the noise within the runs alone
covers the difference, that noise between two runs of one configuration may, which nothing here has
measured well enough, or that the losses are of other data, base model, trainer or frames."""


@dataclass(frozen=True)
class Contrast:
    """Two groups of finished runs that differ in the factor that is asked about.

    Attributes:
        low: Replicates of one configuration (equal but for the seed); the lower value of the
            factor, or the reference where values have no order. Of matched pairs, which are
            contrasted together only where that shows an effect, all runs of the value.
        high: Replicates of the other configuration, or of the other value.
        changes: Everything that differs, the factor first, then the other material ones.
        effect: Loss of ``high`` minus loss of ``low``, pooled over replicates; None where the
            verdict is ``not_comparable``.
        interval: Of the effect at 95 percent, both kinds of noise included.
        ratio: Loss of ``high`` over that of ``low``.
        basis: Where the losses are taken: ``end`` or ``equal samples``.
    """

    factor: str
    low: RunIds
    high: RunIds
    changes: tuple[Change, ...]
    effect: float | None
    interval: tuple[float, float] | None
    ratio: float | None
    verdict: Verdict
    reason: str
    basis: str = "end"

    @computed_field
    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of all runs, low ones first."""
        return tuple(run.run_id for run in (*self.low, *self.high))

    @computed_field
    @property
    def changed_factors(self) -> tuple[str, ...]:
        """Names of what differs, the factor first."""
        return tuple(change.factor for change in self.changes)

    @computed_field
    @property
    def confounders(self) -> tuple[str, ...]:
        """Material factors that changed besides the one asked about, and are not implied."""
        return tuple(
            change.factor
            for change in self.changes
            if change.material and not change.implied and change.factor != self.factor
        )

    @computed_field
    @property
    def immaterial(self) -> tuple[str, ...]:
        """Settings that differ and cannot change what is learned."""
        return tuple(change.factor for change in self.changes if not change.material)


SAME_SAMPLES = 0.02
"""Samples seen count as equal where they differ by no more than this share: the nearest whole
number of steps."""


def changes(
    low: Configuration,
    high: Configuration,
    factor: str,
    names: Iterable[str] | None = None,
    equal_samples: bool = False,
) -> tuple[Change, ...]:
    """Everything that differs between two configurations of the same data and frames.

    Args:
        low: One side.
        high: The other.
        factor: What is asked about; its change comes first.
        names: Settings that may differ; all of both sides where left out.
        equal_samples: Whether the losses are taken where both have seen equally many samples.
    """
    constant = low.first.constant_schedule and high.first.constant_schedule
    by_name: dict[str, Change] = {}
    for name in names if names is not None else setting_names([low, high]):
        before, after = low.value(name), high.value(name)
        if before != after:
            material = name in low.material or name in high.material
            steps_alone = name == "max_steps" and equal_samples and constant
            material = name == factor or (material and not steps_alone)
            by_name[name] = Change(name, before, after, material)
    if not samples_are_equal(low, high):
        before, after = low.samples_seen, high.samples_seen
        if not equal_samples:
            by_name["samples_seen"] = Change("samples_seen", before, after)
        elif before and after and not constant:
            seen, name = min(before, after), "schedule_fraction"
            by_name[name] = Change(name, seen / before, seen / after)
    implied = {"max_steps": "samples_seen", "samples_seen": "max_steps"}.get(factor)
    if factor == "batch_size" and "samples_seen" not in by_name:
        implied = "max_steps"
    order = {name: place for place, name in enumerate(known_factors())}

    def rank(item: Change) -> tuple[object, ...]:
        place = order.get(item.factor, len(order))
        return item.factor != factor, not item.material, item.implied, place, item.factor

    marked = (replace(item, implied=item.factor == implied) for item in by_name.values())
    return tuple(sorted(marked, key=rank))


def setting_names(members: Iterable[Configuration]) -> list[str]:
    """Names of everything that may differ between configurations, samples seen left out."""
    names = dict.fromkeys(
        name for item in members for name in (*item.material, *item.first.settings)
    )
    return [name for name in names if name not in TRAINABLE_PARTS]


def samples_are_equal(low: Configuration, high: Configuration) -> bool:
    """Whether both saw the same number of samples, to the nearest step."""
    fewer, more = low.samples_seen, high.samples_seen
    if fewer is None or more is None:
        return fewer == more
    return abs(fewer - more) <= SAME_SAMPLES * max(fewer, more)


def class_changes(low: Sequence[Run], high: Sequence[Run]) -> tuple[Change, ...]:
    """What tells two groups of runs apart: their data, and their frames."""
    before, after = low[0], high[0]
    names = list(dict.fromkeys([*before.data, *after.data]))
    differences = [Change(name, before.data.get(name), after.data.get(name)) for name in names]
    differences.append(Change("frames", before.frames, after.frames))
    return tuple(change for change in differences if change.low != change.high)
