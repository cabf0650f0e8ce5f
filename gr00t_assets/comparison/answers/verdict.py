"""What is best, and whether that is known, in a few sentences."""

from collections.abc import Iterator, Sequence

from gr00t_assets.comparison.answers.words import group_label, listed, loss_words, shown
from gr00t_assets.comparison.contrasts.changes import changes
from gr00t_assets.comparison.contrasts.configurations import configurations
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.contrasts.ranking import Class, Ranked, classes, differing, ranking
from gr00t_assets.comparison.findings import names_in_words

_CLASSES = 4
"""Classes that are told one by one."""

_FRAMES = {
    "known wrong": "they trained on wrong images",
    "not verified": "their frames are not verified",
    "verified": "",
}


def verdict_in_short(observations: Sequence[Observation]) -> str:
    """What is best in each class, and do we know it; a loss of one class is not set beside another.

    Example:
        ``Lowest loss of 5 finished runs: ch7f65x3, 0.059 ± 0.018. Not known to be the best:
        within noise of it are fwtchfxv and vtty1l1b, each ran with one seed, and they trained on
        wrong images.``
    """
    every = classes(observations)
    groups = [(group, found) for group in every if (found := ranking(group))]
    if not groups:
        count = len(observations)
        which = "The only run is not" if count == 1 else f"None of {count} runs is"
        return f"{which} finished: there is nothing to rank." if count else "There are no runs."
    ranked = [group for group, _ in groups]
    every = [
        group
        for group in every
        if group.finished or not any(_may_be_of(group, other) for other in ranked)
    ]
    if len(every) == 1:
        return _class_words(*groups[0])
    varying = differing(every)
    told = [
        f"{_name(group, varying)}: {_class_words(group, found)}"
        for group, found in groups[:_CLASSES]
    ]
    more = len(groups) - _CLASSES
    if more > 0:
        told.append(f"And {more} more classes.")
    bare = [_name(group, varying) for group in every if not group.finished]
    if bare:
        told.append(f"Without a finished run: {names_in_words(bare, _CLASSES)}.")
    head = f"{len(every)} classes, never ranked against each other: they differ in "
    return f"{head}{listed(varying)}. {' '.join(told)}"


def _may_be_of(group: Class, other: Class) -> bool:
    """Whether runs that are not over, of which not all is known yet, may turn out to be of it."""
    return all(
        other.words.get(name, "").startswith(value)
        for name, value in group.words.items()
        if name != "frames"
    )


def _class_words(group: Class, found: Sequence[Ranked]) -> str:
    best = found[0]
    runs = len(group.finished)
    name, loss = group_label(best.observations), loss_words(best.observations)
    frames = _FRAMES[group.frames]
    if len(found) == 1:
        doubt = f" ({frames})" if frames else ""
        count = "the only finished run" if runs == 1 else "the only finished configuration"
        return f"{name}, loss {loss}, is {count}{doubt}."
    text = f"Lowest loss of {runs} finished runs: {name}, {loss}."
    reasons = list(_doubts(found))
    if reasons:
        reasons += [frames] if frames else []
        return f"{text} Not known to be the best: {'; '.join(reasons)}."
    known = f"{text} It is the best by more than noise"
    if all(len(one.observations) == 1 for one in found):
        known += ", though each ran with one seed"
    parts = [
        known,
        *([frames] if frames else []),
        *([mixed] if (mixed := why_unknown(found)) else []),
    ]
    return f"{'; '.join(parts)}."


def why_unknown(found: Sequence[Ranked]) -> str:
    """What changed together between the best and the next, where that was more than one factor.

    Of such a pair nobody can say which of the factors made it the best.
    """
    if len(found) < 2:
        return ""
    best, second = (configurations(one.observations)[0] for one in found[:2])
    factors = [change.factor for change in changes(best, second, "") if change.material]
    apart = [
        [one.factor for one in changes(best, second, factor) if one.material and not one.implied]
        for factor in factors
    ]
    fewest = min(apart, key=len, default=[])
    if len(fewest) < 2:
        return ""
    words = listed([name.replace("_", " ") for name in fewest])
    return f"which of {words} makes it so is not known, since they changed together"


def _doubts(found: Sequence[Ranked]) -> Iterator[str]:
    tied = [group_label(one.observations) for one in found[1:] if one.tied_with_best]
    if not tied:
        return
    verb = "is" if len(tied) == 1 else "are"
    yield f"within noise of it {verb} {listed(tied) if len(tied) < 5 else names_in_words(tied, 4)}"
    if all(len(one.observations) == 1 for one in found):
        yield "each ran with one seed"


def _name(group: Class, varying: Sequence[str]) -> str:
    words = [shown(group.words[name]) for name in varying if name in group.words]
    return f"{', '.join(words)} [{group.short_id}]"
