"""What is best, whether that is known, and what a reader must know beside a ranking or an answer.

``cautions`` speaks of the ranked runs of each class, ``limits`` of those that an answer rests on.
"""

from collections.abc import Iterator, Sequence

from gr00t_assets.comparison.contrasts.contrast import Contrast, changes
from gr00t_assets.comparison.contrasts.factors import configurations
from gr00t_assets.comparison.contrasts.noise import ASSUMED_SPREAD
from gr00t_assets.comparison.contrasts.ranking import (
    ComparabilityClass,
    RankedConfiguration,
    comparability_classes,
    differing,
)
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import (
    SENTENCES,
    factor_words,
    group_label,
    label,
    listed,
    loss_words,
    names_in_words,
    status_words,
    value_words,
)

_SENTENCES = SENTENCES["cautions"]

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


def cautions(runs: Sequence[Run]) -> list[str]:
    """Sentences that a reader needs before calling one ranked run better than another."""
    ranked = [item for item in comparability_classes(runs) if item.finished]
    sentences = []
    if len(ranked) > 1:
        sentences.append(
            f"Losses of the {len(ranked)} comparability classes are not compared with each other: "
            f"they differ in {', '.join(differing(ranked))}."
        )
    for item in ranked:
        name = f"Class {item.id}: " if len(ranked) > 1 else ""
        sentences += [name + caution for caution in _class_cautions(item.finished)]
    return sentences


def limits(runs: Sequence[Run], evidence: Sequence[Contrast], factor: str) -> tuple[str, ...]:
    """Sentences that a reader needs beside an answer.

    Args:
        runs: All that were compared, of any status.
        evidence: What the answer rests on; without any, only the runs left out are named.
        factor: What was asked about.
    """
    ids = {run.run_id for contrast in evidence for run in (*contrast.low, *contrast.high)}
    behind = [run for run in runs if run.finished and run.run_id in ids]
    return (*_of_any_runs(behind), *_memory(runs, factor), *_left_out(runs))


def _of_any_runs(runs: Sequence[Run]) -> Iterator[str]:
    yield from _frames(runs)
    yield from _logged_values(runs)
    yield from _single_seeds(runs)
    lengths = {run.max_steps for run in runs if run.max_steps and not run.constant_schedule}
    if len(lengths) > 1:
        yield _SENTENCES["schedules"].format(
            names_in_words([f"{length:,}" for length in sorted(lengths)], 6)
        )
    yield from _epochs(runs)


def _class_cautions(runs: Sequence[Run]) -> Iterator[str]:
    yield from _of_any_runs(runs)
    seen = {run.samples_seen for run in runs if run.samples_seen is not None}
    if len(seen) > 1:
        yield _SENTENCES["samples"].format(min(seen), max(seen))
    continued = [
        f"{run.name} (from {run.stored.experiment.continue_from} at step {run.continued_steps[-1]})"
        for run in runs
        if run.stored and run.continued_steps and not run.constant_schedule
    ]
    if continued:
        yield _SENTENCES["continued"].format(names_in_words(continued))
    if len({run.settings.get("augmentation") for run in runs}) > 1:
        yield _SENTENCES["augmentation"]
    unknown = [label(run) for run in runs if run.loss and run.loss.standard_error is None]
    if unknown:
        yield _SENTENCES["unknown_errors"].format(names_in_words(unknown, 6))
    failed = [f"{run.name} ({', '.join(run.failed_checks)})" for run in runs if run.failed_checks]
    if failed:
        yield f"Ranked although a check failed: {'; '.join(failed)}."


def _frames(runs: Sequence[Run]) -> Iterator[str]:
    """Whether the images were the right ones."""
    for frames, sentence, everyone in (
        ("known wrong", _SENTENCES["wrong_frames"], "These runs"),
        ("not verified", _SENTENCES["frames"], "these runs"),
    ):
        names = [label(run) for run in runs if run.frames == frames]
        if names:
            yield sentence.format(everyone if len(names) == len(runs) else names_in_words(names, 6))


def _epochs(runs: Sequence[Run]) -> Iterator[str]:
    """Runs that have not seen the whole dataset once."""
    below = [(run.epochs, run) for run in runs if run.epochs is not None and run.epochs < 1]
    if not below:
        return
    below.sort(key=lambda pair: pair[0])
    epochs = names_in_words([f"{label(run)} {epochs:.2g}" for epochs, run in below], 6)
    frames = {run.dataset_frames for _, run in below}
    of = f" of {frames.pop():,} frames" if len(frames) == 1 else ""
    which = "No run has"
    if len(below) < len(runs):
        which = f"{len(below)} of {len(runs)} runs have not"
    yield f"{which} seen every frame of the dataset once (epochs{of}: {epochs})."


def _logged_values(runs: Sequence[Run]) -> Iterator[str]:
    """Losses that are one logged value."""
    single = [run for run in runs if run.loss and run.loss.kind == "one logged value"]
    if not single:
        return
    samples = sorted({run.loss.samples for run in single if run.loss})
    which = "Each loss" if len(single) == len(runs) else f"The loss of {group_label(single)}"
    ends = dict.fromkeys(f"{count:,}" for count in (samples[0], samples[-1]))
    yield _SENTENCES["logged_values"].format(which, " to ".join(ends))


def _single_seeds(runs: Sequence[Run]) -> Iterator[str]:
    """Configurations that ran once."""
    members = configurations(runs)
    single = [item.first for item in members if len(item.by_seed) < 2]
    if len(runs) < 2:
        return
    if len(single) == len(members):
        yield _SENTENCES["spread_assumed"].format(100 * ASSUMED_SPREAD)
    elif single:
        which = group_label(single)
        yield f"Ran with one seed: {which}; the spread is that of the configurations with more."


def _memory(runs: Sequence[Run], factor: str) -> Iterator[str]:
    """GPU memory, where it bears on the factor; it belongs to the runs that it was measured of."""
    if factor not in ("batch_size", "trainable_parts"):
        return
    measured = [run for run in runs if run.peak_memory_bytes and run.source != "store"]
    for run in measured[:4]:
        settings = [
            f"{name} {value_words(run.settings[name])}"
            for name in ("batch_size", "gradient_accumulation_steps", "num_gpus")
            if name in run.settings and (name == "batch_size" or run.settings[name] != 1)
        ]
        yield (
            f"{(run.peak_memory_bytes or 0) / 1e9:.1f} GB of GPU memory is that of {label(run)} "
            f"with {listed(settings)}, and of no other settings."
        )
    if factor == "trainable_parts" and measured:
        yield "Training other parts to save memory trains another model, in another class."


def _left_out(runs: Sequence[Run]) -> Iterator[str]:
    """Runs that take no part in any contrast."""
    names = [f"{label(run)} ({status_words(run)})" for run in runs if not run.finished]
    if names:
        yield f"Left out: {names_in_words(names, 6)}."
