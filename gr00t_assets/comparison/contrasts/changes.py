"""What differs between two configurations, and which of it confounds."""

from collections.abc import Iterable, Sequence

from gr00t_assets.comparison.contrasts.configurations import Configuration
from gr00t_assets.comparison.contrasts.contrast import Change
from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation
from gr00t_assets.experiments.hyperparameters import Hyperparameters

SAME_SAMPLES = 0.02
"""Samples seen count as equal where they differ by no more than this share: the nearest whole
number of steps."""

_ORDER = {name: place for place, name in enumerate(Hyperparameters.model_fields)}


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
    constant = low.constant_schedule and high.constant_schedule
    found: dict[str, Change] = {}
    for name in names if names is not None else setting_names([low, high]):
        before, after = low.value(name), high.value(name)
        if before == after:
            continue
        material = name in low.material or name in high.material
        if name == "max_steps" and equal_samples and constant:
            material = False
        found[name] = Change(name, before, after, material or name == factor)
    for change in _samples(low, high, equal_samples, constant):
        found[change.factor] = change
    implied = _implied(factor, found)
    listed = [
        Change(one.factor, one.low, one.high, one.material, one.factor in implied)
        for one in found.values()
    ]
    return tuple(sorted(listed, key=lambda one: _place(one, factor)))


def setting_names(found: Iterable[Configuration]) -> list[str]:
    """Names of everything that may differ between configurations, samples seen left out."""
    names: dict[str, None] = {}
    for configuration in found:
        names.update(dict.fromkeys(configuration.material))
        names.update(dict.fromkeys(configuration.first.settings))
    return [name for name in names if name not in TRAINABLE_PARTS]


def samples_are_equal(low: Configuration, high: Configuration) -> bool:
    """Whether both saw the same number of samples, to the nearest step."""
    one, other = low.samples_seen, high.samples_seen
    if one is None or other is None:
        return one == other
    return abs(one - other) <= SAME_SAMPLES * max(one, other)


def _samples(
    low: Configuration, high: Configuration, equal_samples: bool, constant: bool
) -> Iterable[Change]:
    if samples_are_equal(low, high):
        return
    one, other = low.samples_seen, high.samples_seen
    if not equal_samples:
        yield Change("samples_seen", one, other)
    elif one and other and not constant:
        seen = min(one, other)
        yield Change("schedule_fraction", seen / one, seen / other)


def _implied(factor: str, found: dict[str, Change]) -> set[str]:
    """Changes without which the factor could not have been changed."""
    if factor == "max_steps":
        return {"samples_seen"}
    if factor == "samples_seen":
        return {"max_steps"}
    if factor == "batch_size" and "samples_seen" not in found:
        return {"max_steps"}
    return set()


def _place(change: Change, factor: str) -> tuple[bool, bool, bool, int, str]:
    return (
        change.factor != factor,
        not change.material,
        change.implied,
        _ORDER.get(change.factor, len(_ORDER)),
        change.factor,
    )


def class_changes(low: Sequence[Observation], high: Sequence[Observation]) -> tuple[Change, ...]:
    """What keeps two groups of runs apart: words of their data, and frames."""
    one, other = low[0], high[0]
    names = list(dict.fromkeys([*one.data, *other.data]))
    found = [Change(name, one.data.get(name), other.data.get(name)) for name in names]
    found.append(Change("frames", one.frames, other.frames))
    return tuple(change for change in found if change.low != change.high)
