"""What is best, and whether that is known, in a few sentences."""

from collections.abc import Sequence

from gr00t_assets.comparison.contrasts.contrast import changes
from gr00t_assets.comparison.contrasts.factors import configurations
from gr00t_assets.comparison.contrasts.ranking import (
    ComparabilityClass,
    RankedConfiguration,
    comparability_classes,
    differing,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import (
    factor_words,
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


def headline(runs: Sequence[Run]) -> str:
    """What is best in each class, and whether that is known; classes are not set side by side."""
    return classes_headline(comparability_classes(runs))


def classes_headline(classes: Sequence[ComparabilityClass]) -> str:
    """As ``headline``, of runs whose classes are known."""
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
    ranking, best = item.ranking, item.ranking[0]
    name, loss, reasons = group_label(best.runs), loss_words(best.runs), doubts(ranking)
    reasons += [_FRAMES[item.frames]] if item.frames in _FRAMES else []
    words = "; ".join(reasons)
    if len(ranking) == 1:
        count = "run" if len(item.finished) == 1 else "configuration"
        doubt = f" ({words})" if words else ""
        return f"{name}, loss {loss}, is the only finished {count}{doubt}."
    text = f"Lowest loss of {len(item.finished)} finished runs: {name}, {loss}."
    if any(place.tied for place in ranking):
        return f"{text} Not known to be the best: {words}."
    return f"{text} It is the best by more than noise{', though ' if words else ''}{words}."


def doubts(ranking: Sequence[RankedConfiguration]) -> list[str]:
    """What keeps the best of a class from being known, or is to be said of it where it is."""
    if len(ranking) < 2:
        return []
    tied = [group_label(place.runs) for place in ranking if place.tied]
    reasons = []
    if tied:
        names = listed(tied) if len(tied) < 5 else names_in_words(tied, 4)
        reasons.append(f"within noise of it {'is' if len(tied) == 1 else 'are'} {names}")
    if all(len(place.runs) == 1 for place in ranking):
        reasons.append("each ran with one seed")
    if not tied and (together := _changed_together(*ranking[:2])):
        names = listed([factor_words(name) for name in together])
        reasons.append(f"which of {names} makes it so is not known, since they changed together")
    return reasons


def _changed_together(best: RankedConfiguration, second: RankedConfiguration) -> list[str]:
    """What differs between the two, where that is more than one factor."""
    low, high = (configurations(place.runs)[0] for place in (best, second))

    def changed(factor: str) -> list[str]:
        material = [item for item in changes(low, high, factor) if item.material]
        return [item.factor for item in material if not item.implied]

    fewest = min(map(changed, changed("")), key=len, default=[])
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
