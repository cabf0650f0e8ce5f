"""Which configurations are contrasted: all pairs of few, and of many those that say the most."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

from gr00t_assets.comparison.contrasts.changes import samples_are_equal
from gr00t_assets.comparison.contrasts.configurations import Configuration
from gr00t_assets.comparison.contrasts.factors import order_of

ALL_PAIRS = 40
"""Up to so many configurations every pair that differs in the factor is contrasted."""

CANDIDATES = 40
"""Of a level with more configurations so many are looked through for the nearest one."""

LADDER = 12
"""In a group with more values than this, each is contrasted with the first one at least twice as
large, for neighbours are too near to each other to show anything."""

NEAREST = 3
"""Confounded contrasts for two neighbouring levels without a clean one."""

Pair = tuple[Configuration, Configuration]


def pairs(found: Sequence[Configuration], factor: str) -> list[Pair]:
    """The pairs to contrast, the lower value of the factor first.

    Of up to :data:`ALL_PAIRS` configurations it is every pair that differs in the factor. Of more
    it is every two neighbouring values within a group that is equal in all else (of many values
    every two that are a factor of two apart), and for values
    that are in no such group the nearest configurations of the neighbouring value; their number
    grows in proportion to that of the configurations.

    Args:
        found: Configurations of the same data and frames.
        factor: What is asked about.
    """
    known = [one for one in found if one.value(factor) is not None]
    known.sort(key=lambda one: order_of(factor, one.value(factor)))
    if len(known) <= ALL_PAIRS:
        return [pair for pair in combinations(known, 2) if differ(*pair, factor)]
    clean = list(_clean(known, factor))
    return clean + list(_nearest(known, factor, clean))


def differ(low: Configuration, high: Configuration, factor: str) -> bool:
    """Whether two configurations have other values of the factor."""
    if factor == "samples_seen":
        return not samples_are_equal(low, high)
    return low.value(factor) != high.value(factor)


def _clean(known: Sequence[Configuration], factor: str) -> Iterator[Pair]:
    """Neighbouring values in groups that are equal in all that is not implied."""
    left_out = {factor} | ({"max_steps"} if factor == "samples_seen" else set())
    yield from _neighbours(known, factor, left_out, with_samples=False)
    if factor == "batch_size":
        yield from _neighbours(known, factor, {factor, "max_steps"}, with_samples=True)


def _neighbours(
    known: Sequence[Configuration], factor: str, left_out: set[str], with_samples: bool
) -> Iterator[Pair]:
    groups: dict[tuple[object, ...], list[Configuration]] = {}
    for one in known:
        rest = tuple(sorted((k, v) for k, v in one.material.items() if k not in left_out))
        samples = one.samples_seen if with_samples else None
        groups.setdefault((one.comparable, rest, samples), []).append(one)
    for members in groups.values():
        steps = _ladder(members, factor) if len(members) > LADDER else pairwise(members)
        yield from (pair for pair in steps if differ(*pair, factor))


def _ladder(members: Sequence[Configuration], factor: str) -> Iterator[Pair]:
    """Each configuration with the first whose value is at least twice as large, else the last."""
    values = [one.value(factor) for one in members]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values) or numbers[0] <= 0:
        yield from pairwise(members)
        return
    last = len(members) - 1
    for place, value in enumerate(numbers[:-1]):
        yield members[place], members[min(last, bisect_left(numbers, 2 * value))]


def _nearest(known: Sequence[Configuration], factor: str, clean: Sequence[Pair]) -> Iterator[Pair]:
    covered = {one.value(factor) for pair in clean for one in pair}
    levels: dict[object, list[Configuration]] = {}
    for one in known:
        levels.setdefault(one.value(factor), []).append(one)
    for lower, upper in pairwise(levels.values()):
        if lower[0].value(factor) in covered and upper[0].value(factor) in covered:
            continue
        candidates = [(low, high) for low in lower[:CANDIDATES] for high in upper[:CANDIDATES]]
        candidates.sort(key=lambda pair: _distance(*pair, factor))
        yield from candidates[: min(NEAREST, len(lower), len(upper))]


def _distance(low: Configuration, high: Configuration, factor: str) -> int:
    names = low.material.keys() | high.material.keys()
    return sum(
        name != factor and low.material.get(name) != high.material.get(name) for name in names
    )
