"""Contrasts: what the finished runs say of one factor, pair by pair.

Pairs, estimates, noise and verdicts are known to nobody outside this folder but ``proposals``,
which asks for the run-to-run spread.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, pairwise, product

from gr00t_assets.comparison.contrasts.contrast import (
    Contrast,
    changes,
    class_changes,
    samples_are_equal,
    setting_names,
)
from gr00t_assets.comparison.contrasts.factors import (
    Configuration,
    configurations,
    factors_of,
    order_of,
)
from gr00t_assets.comparison.contrasts.noise import (
    Level,
    Spread,
    end_level,
    level,
    pooled_spread,
    spread_of,
)
from gr00t_assets.comparison.contrasts.verdicts import ContrastEstimate, judged, matched
from gr00t_assets.comparison.run import Run

MANY_CLASSES = 40
"""Of up to so many kinds of data every pair is named as not comparable; of more, neighbours."""

ALL_PAIRS = 40
"""Up to so many configurations every pair that differs in the factor is contrasted."""

CANDIDATES = 40
"""Of a level with more configurations so many are searched for the nearest one."""

LADDER = 12
"""In a group with more values than this, each is contrasted with the first one at least twice as
large, for neighbours are too near to each other to show anything."""

NEAREST = 3
"""Confounded contrasts for two neighbouring levels without a clean one."""

Pair = tuple[Configuration, Configuration]

Key = tuple[object, ...]


def all_contrasts(runs: Sequence[Run]) -> dict[str, list[Contrast]]:
    """The contrasts of every factor that varies, by factor, in the order of questions."""
    return _contrasts(runs, factors_of(runs))


def contrasts(runs: Sequence[Run], factor: str) -> list[Contrast]:
    """Every contrast that says something of one factor, those with the fewest confounders first.

    Where several pairs of configurations have the same two values of the factor and differ in
    nothing else, each at other settings, they are also tested together; where that shows an
    effect, it is a contrast of its own with all runs of either value.

    Runs of other data, base model, trainer or frames are never set side by side: for each two of
    these there is one contrast with the verdict ``not_comparable``, at the end of the list.

    Only finished runs take part, and a factor's name is that of ``factor_named``.
    """
    return _contrasts(runs, [factor])[factor]


def _contrasts(runs: Sequence[Run], factors: Sequence[str]) -> dict[str, list[Contrast]]:
    members = configurations(runs)
    by_class: dict[Key, list[Configuration]] = {}
    for item in members:
        by_class.setdefault(item.class_key, []).append(item)
    spreads = {key: spread_of(same_class) for key, same_class in by_class.items()}
    separate = _not_comparable(runs, factors)
    return {
        factor: _of_factor(runs, factor, members, spreads) + separate[factor] for factor in factors
    }


def _of_factor(
    runs: Sequence[Run], factor: str, members: Sequence[Configuration], spreads: dict[Key, Spread]
) -> list[Contrast]:
    if not any(factor in item.material for item in members) and factor != "samples_seen":
        members = configurations(runs, split_by=factor)
    by_data: dict[Key, list[Configuration]] = {}
    for item in members:
        by_data.setdefault(item.comparable, []).append(item)
    estimates = [
        estimate
        for same_data in by_data.values()
        for estimate in _estimates(same_data, factor, spreads)
    ]
    estimates.sort(key=lambda estimate: estimate.confounders)
    return judged(factor, [*matched(estimates), *estimates])


def _estimates(
    members: Sequence[Configuration], factor: str, spreads: dict[Key, Spread]
) -> Iterable[ContrastEstimate]:
    names = [
        name
        for name in setting_names(members)
        if any(item.value(name) != members[0].value(name) for item in members)
    ]
    levels = {id(item): end_level(item) for item in members}
    for low, high in pairs(members, factor):
        spread = None
        if factor != "seed":
            keys = dict.fromkeys((low.class_key, high.class_key))
            spread = pooled_spread(spreads.get(key, Spread()) for key in keys)
        differences = changes(low, high, factor, names)
        ends = (levels[id(low)], levels[id(high)])
        yield ContrastEstimate(low, high, differences, *ends, spread)
        if factor not in ("max_steps", "samples_seen") and not samples_are_equal(low, high):
            seen = min(low.samples_seen or 0, high.samples_seen or 0)
            lower, upper = _level_at(low, seen), _level_at(high, seen)
            if lower and upper:
                differences = changes(low, high, factor, names, equal_samples=True)
                yield ContrastEstimate(
                    low, high, differences, lower, upper, spread, "equal samples"
                )


def _level_at(item: Configuration, seen: int) -> Level | None:
    """The level where each run had seen so many samples; None where one has no curve there."""
    losses = [
        [loss for run in same_seed if (loss := run.loss_at(seen)) is not None]
        for same_seed in item.by_seed
    ]
    return level(losses) if seen and all(losses) else None


def _not_comparable(runs: Sequence[Run], factors: Iterable[str]) -> dict[str, list[Contrast]]:
    """By factor a contrast for each two groups of runs, of any status, of other data or frames."""
    groups: dict[Key, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.comparable, []).append(run)
    separate = [tuple(group) for group in groups.values()]
    few = len(separate) <= MANY_CLASSES
    by_factor: dict[str, list[Contrast]] = {factor: [] for factor in factors}
    for low, high in combinations(separate, 2) if few else pairwise(separate):
        differences = class_changes(low, high)
        named = "; ".join(f"{item.factor} {item.low} and {item.high}" for item in differences)
        reason = f"The losses are not of one kind: {named}. They are not compared."
        for factor, of_factor in by_factor.items():
            of_factor.append(
                Contrast(factor, low, high, differences, None, None, None, "not_comparable", reason)
            )
    return by_factor


def pairs(members: Sequence[Configuration], factor: str) -> list[Pair]:
    """The pairs to contrast, the lower value of the factor first.

    Of up to ``ALL_PAIRS`` configurations (of the same data and frames) it is every pair that
    differs in the factor. Of more it is every two neighbouring values within a group that is equal
    in all else (of many values every two that are a factor of two apart), and for values that are
    in no such group the nearest configurations of the neighbouring value; their number grows in
    proportion to that of the configurations.
    """
    known = [item for item in members if item.value(factor) is not None]
    known.sort(key=lambda item: order_of(factor, item.value(factor)))
    if len(known) <= ALL_PAIRS:
        return [pair for pair in combinations(known, 2) if differ(*pair, factor)]
    left_out = {factor} | ({"max_steps"} if factor == "samples_seen" else set())
    clean = list(_neighbours(known, factor, left_out))
    if factor == "batch_size":
        clean += _neighbours(known, factor, {factor, "max_steps"}, with_samples=True)
    return clean + list(_nearest(known, factor, clean))


def differ(low: Configuration, high: Configuration, factor: str) -> bool:
    """Whether two configurations have other values of the factor."""
    if factor == "samples_seen":
        return not samples_are_equal(low, high)
    return low.value(factor) != high.value(factor)


def _neighbours(
    known: Sequence[Configuration], factor: str, left_out: set[str], with_samples: bool = False
) -> Iterator[Pair]:
    """Neighbouring values in groups that are equal in all but what is left out."""
    groups: dict[tuple[object, ...], list[Configuration]] = {}
    for item in known:
        others = tuple(sorted((k, v) for k, v in item.material.items() if k not in left_out))
        samples = item.samples_seen if with_samples else None
        groups.setdefault((item.comparable, others, samples), []).append(item)
    for group in groups.values():
        steps = _ladder(group, factor) if len(group) > LADDER else pairwise(group)
        yield from (pair for pair in steps if differ(*pair, factor))


def _ladder(members: Sequence[Configuration], factor: str) -> Iterator[Pair]:
    """Each configuration with the first whose value is at least twice as large, else the last."""
    values = [item.value(factor) for item in members]
    numbers = [value for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values) or numbers[0] <= 0:
        yield from pairwise(members)
        return
    last = len(members) - 1
    for place, value in enumerate(numbers[:-1]):
        yield members[place], members[min(last, bisect_left(numbers, 2 * value))]


def _nearest(known: Sequence[Configuration], factor: str, clean: Sequence[Pair]) -> Iterator[Pair]:
    covered = {item.value(factor) for pair in clean for item in pair}
    levels: dict[object, list[Configuration]] = {}
    for item in known:
        levels.setdefault(item.value(factor), []).append(item)

    def distance(pair: Pair) -> int:
        low, high = (item.material for item in pair)
        names = low.keys() | high.keys()
        return sum(name != factor and low.get(name) != high.get(name) for name in names)

    for lower, upper in pairwise(levels.values()):
        if lower[0].value(factor) in covered and upper[0].value(factor) in covered:
            continue
        candidates = sorted(product(lower[:CANDIDATES], upper[:CANDIDATES]), key=distance)
        yield from candidates[: min(NEAREST, len(lower), len(upper))]
