"""What is best, and whether that is known."""

from collections.abc import Sequence

from gr00t_assets.comparison.statistics.effects import FEWEST_DEGREES, nearest_pairs
from gr00t_assets.comparison.statistics.factors import configurations
from gr00t_assets.comparison.statistics.ranking import (
    ComparabilityClass,
    RankedConfiguration,
    differing,
)
from gr00t_assets.comparison.wording import (
    factor_words,
    first_label,
    group_label,
    listed,
    loss_words,
    names_in_words,
    value_words,
)

_CLASSES = 4
"""Classes that are told one by one."""

_FRAMES = {
    "known wrong": "they trained on wrong images",
    "not verified": "their frames are not verified",
}


def headline(classes: Sequence[ComparabilityClass]) -> str:
    """What is best in each class, and whether that is known; classes are not set side by side."""
    ranked = [item for item in classes if item.ranking]
    if not ranked:
        count = sum(len(item.runs) for item in classes)
        which = "The only run is not" if count == 1 else f"None of {count} runs is"
        return f"{which} finished: there is nothing to rank." if count else "There are no runs."
    separate = [
        item
        for item in classes
        if item.finished or not any(_may_belong_to(item, other) for other in ranked)
    ]
    if len(separate) == 1:
        return class_headline(ranked[0])
    varying = differing(separate)
    parts = [f"{_name(item, varying)}: {class_headline(item)}" for item in ranked[:_CLASSES]]
    if len(ranked) > _CLASSES:
        parts.append(f"And {len(ranked) - _CLASSES} more classes.")
    bare = [_name(item, varying) for item in separate if not item.finished]
    if bare:
        parts.append(f"Without a finished run: {names_in_words(bare, _CLASSES)}.")
    head = f"{len(separate)} classes, never ranked against each other: they differ in "
    return f"{head}{listed(varying)}. {' '.join(parts)}"


def class_headline(item: ComparabilityClass) -> str:
    """What is best in one class with a finished run, and whether that is known."""
    ranking, first, best = item.ranking, item.ranking[0], item.best
    name, loss = group_label(first.runs), _loss_words(first)
    reasons = doubts(item)
    reasons += [_FRAMES[item.frames]] if item.frames in _FRAMES else []
    words = "; ".join(reasons)
    if len(ranking) == 1:
        count = "run" if len(item.finished) == 1 else "configuration"
        doubt = f" ({words})" if words else ""
        return f"{name}, loss {loss}, is the only finished {count}{doubt}."
    text = f"Lowest loss of {len(item.finished)} finished runs: {name}, {loss}{_too_low(item)}."
    if best is None:
        text += f" Not known to be the best: {words}."
    else:
        text += f" It is the best by more than noise{', though ' if words else ''}{words}."
    names = [first_label(place.runs) for place in item.good]
    if len(names) > 1:
        which = listed(names) if len(names) < 5 else names_in_words(names, 4)
        text += f" Any of {which} will do: none is likely more than {item.band:.0%} above the best."
    return text


def _loss_words(place: RankedConfiguration) -> str:
    """A configuration's loss with its interval between runs, where that is known."""
    if place.interval is None or place.interval[1] > 10 * place.interval[0]:
        return loss_words(place.runs)
    low, high = (f"{end:.3g}" for end in place.interval)
    return f"{place.loss.mean:.3g} ({low} to {high} between runs at 95 percent)"


def _too_low(item: ComparabilityClass) -> str:
    """That the lowest of many losses is lower than the same configuration's next run will be."""
    first, count = item.ranking[0], len(item.ranking)
    interval = first.expected_interval
    if first.expected is None or interval is None or item.spread.degrees < FEWEST_DEGREES:
        return ""
    percent = 100 * (first.expected / first.loss.mean - 1)
    if count < 3 or percent < 1:
        return ""
    low, high = (f"{end:.3g}" for end in interval)
    return (
        f", the lowest of {count} and so probably {percent:.0f} percent too low: expect {low} to "
        f"{high} on average over new seeds"
    )


def doubts(item: ComparabilityClass) -> list[str]:
    """What keeps the best of a class from being known, or is to be said of it where it is."""
    ranking = item.ranking
    reasons = [f"{ranking[0].survivors}"] if ranking and ranking[0].failed else []
    if len(ranking) < 2:
        return reasons
    first, tied = ranking[0], [first_label(place.runs) for place in ranking if place.tied]
    repeated = any(len(member.by_seed) > 1 for member in item.members)
    if first.chance_best is not None and item.best is None and tied:
        reasons.append(f"its chance to be the best is {100 * first.chance_best:.0f} percent")
    if tied:
        names = listed(tied) if len(tied) < 5 else names_in_words(tied, 4)
        if item.spread.deviation is None:
            reasons.append(f"the noise between runs is not known, so {names} may be as good")
        else:
            reasons.append(f"within noise of it {'is' if len(tied) == 1 else 'are'} {names}")
    if not repeated:
        reasons.append("each ran with one seed")
    elif len(first.runs) == 1 and item.best is None:
        reasons.append("it ran once where others were repeated")
    elif len(first.runs) == 2 and tied and item.spread.deviation is not None:
        reasons.append("it ran twice, which tells little of its own noise")
    if not tied and (together := _changed_together(item)):
        names = listed([factor_words(name) for name in together])
        reasons.append(f"which of {names} makes it so is not known, since they changed together")
    return reasons


def _changed_together(item: ComparabilityClass) -> list[str]:
    """What differs between the first two, where that is more than one factor."""
    firsts = [configurations(place.runs)[0] for place in item.ranking[:2]]
    names = [name for name in firsts[0].material if firsts[0].value(name) != firsts[1].value(name)]
    pairs = [pair for name in names for pair in nearest_pairs(firsts, name)]
    together = [[pair.factor, *pair.confounders] for pair in pairs]
    fewest = min(together, key=len, default=[])
    return fewest if len(fewest) > 1 else []


def _may_belong_to(item: ComparabilityClass, other: ComparabilityClass) -> bool:
    """Whether runs that are not over, of which not all is known yet, may turn out to be of it."""
    return all(
        other.comparability.get(name, "").startswith(value)
        for name, value in item.comparability.items()
        if name != "frames"
    )


def _name(item: ComparabilityClass, varying: Sequence[str]) -> str:
    values = [
        value_words(item.comparability[name]) for name in varying if name in item.comparability
    ]
    return f"{', '.join(values)} [{item.id}]"
