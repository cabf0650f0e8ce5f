"""Contrasts: what the finished runs say of one factor, pair by pair."""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

from gr00t_assets.comparison.contrasts.changes import (
    changes,
    class_changes,
    samples_are_equal,
    setting_names,
)
from gr00t_assets.comparison.contrasts.configurations import Configuration, configurations
from gr00t_assets.comparison.contrasts.contrast import Change, Contrast
from gr00t_assets.comparison.contrasts.drafts import Draft, matched
from gr00t_assets.comparison.contrasts.factors import factors_of
from gr00t_assets.comparison.contrasts.measures import loss_at_samples
from gr00t_assets.comparison.contrasts.noise import (
    Level,
    Spread,
    end_level,
    level,
    pooled_spread,
    spread_of,
)
from gr00t_assets.comparison.contrasts.observation import Loss, Observation
from gr00t_assets.comparison.contrasts.pairs import pairs
from gr00t_assets.comparison.contrasts.verdicts import judged

MANY_CLASSES = 40
"""Of up to so many kinds of data every pair is named as not comparable; of more, neighbours."""

Key = tuple[object, ...]


def all_contrasts(observations: Sequence[Observation]) -> dict[str, list[Contrast]]:
    """The contrasts of every factor that varies, by factor, in the order of questions."""
    found = configurations(observations)
    spreads = _spreads(found)
    apart = _apart(observations)
    return {
        factor: _of_factor(observations, factor, found, spreads) + _named(apart, factor)
        for factor in factors_of(observations)
    }


def contrasts(observations: Sequence[Observation], factor: str) -> list[Contrast]:
    """Every contrast that says something of one factor, those with the fewest confounders first.

    Where several pairs of configurations have the same two values of the factor and differ in
    nothing else, each at other settings, they are also tested together; where that shows an
    effect, it is a contrast of its own with all runs of either value.

    Runs of other data, base model, trainer or frames are never set side by side: for each two of
    these there is one contrast with the verdict ``not_comparable``, at the end of the list.

    Args:
        observations: Of any status; only finished ones take part.
        factor: Its name, see :func:`~gr00t_assets.comparison.contrasts.factors.factor_named`.
    """
    found = configurations(observations)
    of_factor = _of_factor(observations, factor, found, _spreads(found))
    return of_factor + _named(_apart(observations), factor)


def _of_factor(
    observations: Sequence[Observation],
    factor: str,
    found: Sequence[Configuration],
    spreads: dict[Key, Spread],
) -> list[Contrast]:
    if not any(factor in one.material for one in found) and factor != "samples_seen":
        found = configurations(observations, split_by=factor)
    by_data: dict[Key, list[Configuration]] = {}
    for one in found:
        by_data.setdefault(one.comparable, []).append(one)
    drafts = [draft for members in by_data.values() for draft in _drafts(members, factor, spreads)]
    drafts.sort(key=lambda draft: draft.confounders)
    return judged(factor, [*matched(drafts), *drafts])


def _drafts(
    members: Sequence[Configuration], factor: str, spreads: dict[Key, Spread]
) -> Iterable[Draft]:
    names = [name for name in setting_names(members) if _varies(members, name)]
    levels: dict[int, Level] = {}

    def end(one: Configuration) -> Level:
        if id(one) not in levels:
            levels[id(one)] = end_level(one)
        return levels[id(one)]

    for low, high in pairs(members, factor):
        spread = _spread(low, high, spreads) if factor != "seed" else None
        differences = changes(low, high, factor, names)
        yield Draft(low, high, differences, end(low), end(high), spread)
        if factor not in ("max_steps", "samples_seen") and not samples_are_equal(low, high):
            lower, upper = _at_equal_samples(low, high)
            if lower and upper:
                differences = changes(low, high, factor, names, equal_samples=True)
                yield Draft(low, high, differences, lower, upper, spread, "equal samples")


def _varies(members: Sequence[Configuration], name: str) -> bool:
    first = members[0].value(name)
    return any(one.value(name) != first for one in members)


def _at_equal_samples(low: Configuration, high: Configuration) -> tuple[Level | None, Level | None]:
    """Levels where the run that saw more had seen as many samples as the other one."""
    if not low.samples_seen or not high.samples_seen:
        return None, None
    seen = min(low.samples_seen, high.samples_seen)
    return _level_at(low, seen), _level_at(high, seen)


def _level_at(one: Configuration, seen: int) -> Level | None:
    units: list[list[tuple[Observation, Loss]]] = []
    for unit in one.units:
        losses = [(run, loss_at_samples(run, seen)) for run in unit]
        units.append([(run, loss) for run, loss in losses if loss is not None])
    return level(units) if all(units) else None


def _spreads(found: Iterable[Configuration]) -> dict[Key, Spread]:
    """The run-to-run spread of each class."""
    classes: dict[Key, list[Configuration]] = {}
    for one in found:
        classes.setdefault(one.class_key, []).append(one)
    return {key: spread_of(members) for key, members in classes.items()}


def _spread(low: Configuration, high: Configuration, spreads: dict[Key, Spread]) -> Spread:
    keys = dict.fromkeys((low.class_key, high.class_key))
    return pooled_spread(spreads.get(key, Spread()) for key in keys)


Apart = tuple[tuple[Observation, ...], tuple[Observation, ...], tuple[Change, ...]]


def _apart(observations: Sequence[Observation]) -> list[Apart]:
    """Each two groups of runs whose data or frames differ, with what differs; any status."""
    groups: dict[Key, list[Observation]] = {}
    for run in observations:
        groups.setdefault(run.comparable, []).append(run)
    members = list(groups.values())
    few = len(members) <= MANY_CLASSES
    chosen = combinations(members, 2) if few else pairwise(members)
    return [(tuple(one), tuple(other), class_changes(one, other)) for one, other in chosen]


def _named(apart: Iterable[Apart], factor: str) -> list[Contrast]:
    return [
        Contrast(
            factor=factor,
            low=one,
            high=other,
            changes=differences,
            effect=None,
            interval=None,
            ratio=None,
            verdict="not_comparable",
            reason=(
                f"The losses are not of one kind: {_differing(differences)}. They are not compared."
            ),
        )
        for one, other, differences in apart
    ]


def _differing(differences: Iterable[Change]) -> str:
    return "; ".join(f"{one.factor} {one.low} and {one.high}" for one in differences)
