"""What is best, whether that is known, and what a reader must know beside it."""

from collections.abc import Iterator, Sequence

from gr00t_assets.comparison.run import SETTINGS_OF_A_STEP, Run
from gr00t_assets.comparison.statistics.effects import FEWEST_DEGREES, Effect, nearest_pairs
from gr00t_assets.comparison.statistics.factors import QUESTIONS, configurations, factor_value
from gr00t_assets.comparison.statistics.ranking import (
    ComparabilityClass,
    class_spread,
    comparability_classes,
)
from gr00t_assets.comparison.wording import (
    SENTENCES,
    factor_words,
    first_label,
    group_label,
    label,
    listed,
    loss_and_interval,
    names_in_words,
    spread_words,
    status_words,
    value_words,
)

_SENTENCES = SENTENCES["cautions"]


def cautions(runs: Sequence[Run]) -> list[str]:
    """Sentences that a reader needs before calling one ranked run better than another."""
    ranked = [item for item in comparability_classes(runs) if item.finished]
    if len(ranked) < 2:
        return [caution for item in ranked for caution in _class_cautions(item.finished)]
    losses = f"Losses of the {len(ranked)} comparability classes are not compared with each other"
    differ = f"{losses}: they differ in {', '.join(_differing(ranked))}."
    of_classes = [f"Class {x.id}: {text}" for x in ranked for text in _class_cautions(x.finished)]
    return [differ, *of_classes]


def limits(runs: Sequence[Run], evidence: Sequence[Effect], factor: str) -> tuple[str, ...]:
    """What a reader needs beside an answer: limits of its evidence, and runs that are left out."""
    behind = [run for effect in evidence for run in effect.runs]
    left_out = [f"{label(run)} ({status_words(run)})" for run in runs if not run.finished]
    more = [f"Left out: {names_in_words(left_out, 6)}."] if left_out else []
    return (*_of_any_runs(behind), *_not_told(behind), *_memory(runs, factor), *more)


def failures(effect: Effect, runs: Sequence[Run]) -> str:
    """Values of which runs failed, so that only the lucky ones may be left."""
    same = [run for run in runs if run.class_id == effect.class_id]
    parts = []
    for level in effect.levels:
        of_value = [run for run in same if factor_value(run, effect.factor) == level.value]
        if any(run.status == "failed" for run in of_value):
            done = sum(run.finished for run in of_value)
            named = f"{effect.factor} {value_words(level.value)}"
            parts.append(f"of {len(of_value)} runs with {named} only {done} finished")
    return f"; but {listed(parts)}" if parts else ""


def _of_any_runs(runs: Sequence[Run]) -> Iterator[str]:
    for frames, sentence in (("known wrong", "wrong_frames"), ("not verified", "frames")):
        if names := [label(run) for run in runs if run.frames == frames]:
            these = "These runs" if frames == "known wrong" else "these runs"
            which = these if len(names) == len(runs) else names_in_words(names, 6)
            yield _SENTENCES[sentence].format(which)
    single = [run for run in runs if run.loss and run.loss.kind == "one logged value"]
    if samples := {run.loss.samples for run in single if run.loss}:
        which = "Each loss" if len(single) == len(runs) else f"The loss of {group_label(single)}"
        ends = dict.fromkeys((f"{min(samples):,}", f"{max(samples):,}"))
        yield _SENTENCES["logged_values"].format(which, " to ".join(ends))
    yield from _single_seeds(runs)
    lengths = {run.max_steps for run in runs if run.max_steps and not run.constant_schedule}
    if len(lengths) > 1:
        shown = [f"{length:,}" for length in sorted(lengths)]
        yield _SENTENCES["schedules"].format(names_in_words(shown, 6))
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
    if unknown := [label(run) for run in runs if run.loss and run.loss.standard_error is None]:
        yield _SENTENCES["unknown_errors"].format(names_in_words(unknown, 6))
    failed = [f"{run.name} ({', '.join(run.failed_checks)})" for run in runs if run.failed_checks]
    if failed:
        yield f"Ranked although a check failed: {'; '.join(failed)}."


def _epochs(runs: Sequence[Run]) -> Iterator[str]:
    """Runs that have not seen the whole dataset once."""
    below = [(run.epochs, run) for run in runs if run.epochs is not None and run.epochs < 1]
    if below:
        below.sort(key=lambda pair: pair[0])
        epochs = names_in_words([f"{label(run)} {epochs:.2g}" for epochs, run in below], 6)
        frames = {run.dataset_frames for _, run in below}
        of = f" of {frames.pop():,} frames" if len(frames) == 1 else ""
        some = f"{len(below)} of {len(runs)} runs have not"
        which = some if len(below) < len(runs) else "No run has"
        yield f"{which} seen every frame of the dataset once (epochs{of}: {epochs})."


def _single_seeds(runs: Sequence[Run]) -> Iterator[str]:
    """Configurations that ran once, and seeds that change nothing."""
    members = configurations(runs)
    single = [item.first for item in members if len(item.by_seed) < 2]
    if len(runs) > 1 and len(single) == len(members):
        yield _SENTENCES["not_repeated"].format(spread=spread_words(class_spread(members)))
    elif len(runs) > 1 and single:
        yield _SENTENCES["some_repeated"].format(names=group_label(single))
    equal = [
        label(run)
        for item in members
        for run in item.runs
        if len(item.by_seed) > 1
        and len({other.loss.mean for other in item.runs if other.loss}) < len(item.by_seed)
        and sum(other.loss == run.loss for other in item.runs) > 1
    ]
    if equal:
        yield _SENTENCES["equal_losses"].format(names=names_in_words(equal, 6))


def _not_told(runs: Sequence[Run]) -> Iterator[str]:
    """Settings that no table says, so that they may differ unseen."""
    if not runs or any(run.source == "store" for run in runs):
        return
    known_factors = {factor for factor in QUESTIONS for run in runs
            if factor_value(run, factor) is not None}  # fmt: skip
    if names := [factor_words(x) for x in QUESTIONS if x != "seed" and x not in known_factors]:
        yield _SENTENCES["not_told"].format(names=listed(names))


def _memory(runs: Sequence[Run], factor: str) -> Iterator[str]:
    """GPU memory, where it bears on the factor; it belongs to the runs that it was measured of."""
    if factor not in ("batch_size", "trainable_parts"):
        return
    measured = [run for run in runs if run.peak_memory_bytes and run.source != "store"]
    for run in measured[:4]:
        settings = [
            f"{name} {value_words(run.settings[name])}"
            for name in SETTINGS_OF_A_STEP
            if name in run.settings and (name == "batch_size" or run.settings[name] != 1)
        ]
        yield (
            f"{(run.peak_memory_bytes or 0) / 1e9:.1f} GB of GPU memory is that of {label(run)} "
            f"with {listed(settings)}, and of no other settings."
        )
    if factor == "trainable_parts" and measured:
        yield "Training other parts to save memory trains another model, in another class."


_CLASSES = 4  # Classes that are told one by one
_FRAMES = {"known wrong": "they trained on wrong images",
           "not verified": "their frames are not verified"}  # fmt: skip


def headline(classes: Sequence[ComparabilityClass]) -> str:
    """What is best in each class, and whether that is known; classes are not set side by side."""
    ranked = [item for item in classes if item.ranking]
    if not ranked:
        count = sum(len(item.runs) for item in classes)
        which = "The only run is not" if count == 1 else f"None of {count} runs is"
        return f"{which} finished: there is nothing to rank." if count else "There are no runs."
    separate = [x for x in classes if x.finished or not any(_may_be(x, other) for other in ranked)]
    if len(separate) == 1:
        return class_headline(ranked[0])
    varying = _differing(separate)
    parts = [f"{_name(item, varying)}: {class_headline(item)}" for item in ranked[:_CLASSES]]
    if len(ranked) > _CLASSES:
        parts.append(f"And {len(ranked) - _CLASSES} more classes.")
    if bare := [_name(item, varying) for item in separate if not item.finished]:
        parts.append(f"Without a finished run: {names_in_words(bare, _CLASSES)}.")
    head = f"{len(separate)} classes, never ranked against each other: they differ in "
    return f"{head}{listed(varying)}. {' '.join(parts)}"


def class_headline(item: ComparabilityClass) -> str:
    """What is best in one class with a finished run, and whether that is known."""
    ranking, first, best = item.ranking, item.ranking[0], item.best
    name, (loss, interval) = group_label(first.runs), loss_and_interval(first)
    loss += f" ({interval} between runs at 95 percent)" if interval else ""
    words = "; ".join(filter(None, [*doubts(item), _FRAMES.get(item.frames)]))
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


def _too_low(item: ComparabilityClass) -> str:
    """That the lowest of many losses is lower than the same configuration's next run will be."""
    first, count = item.ranking[0], len(item.ranking)
    known = item.spread.degrees >= FEWEST_DEGREES and count >= 3
    if first.expected is None or first.expected_interval is None or not known:
        return ""
    if (percent := 100 * (first.expected / first.loss.mean - 1)) < 1:
        return ""
    low, high = (f"{end:.3g}" for end in first.expected_interval)
    return (
        f", the lowest of {count} and so probably {percent:.0f} percent too low: expect {low} to "
        f"{high} on average over new seeds"
    )


def doubts(item: ComparabilityClass) -> list[str]:
    """What keeps the best of a class from being known, or is to be said of it where it is."""
    ranking = item.ranking
    reasons = [ranking[0].survivors] if ranking and ranking[0].failed else []
    if len(ranking) < 2:
        return reasons
    first, tied = ranking[0], [first_label(place.runs) for place in ranking if place.tied]
    if first.chance_best is not None and item.best is None and tied:
        reasons.append(f"its chance to be the best is {100 * first.chance_best:.0f} percent")
    if tied:
        names = listed(tied) if len(tied) < 5 else names_in_words(tied, 4)
        if item.spread.deviation is None:
            reasons.append(f"the noise between runs is not known, so {names} may be as good")
        else:
            reasons.append(f"within noise of it {'is' if len(tied) == 1 else 'are'} {names}")
    if all(len(member.by_seed) == 1 for member in item.members):
        reasons.append("each ran with one seed")
    elif len(first.runs) == 1 and item.best is None:
        reasons.append("it ran once where others were repeated")
    elif len(first.runs) == 2 and tied and item.spread.deviation is not None:
        reasons.append("it ran twice, which tells little of its own noise")
    if not tied:
        firsts = [configurations(place.runs)[0] for place in ranking[:2]]
        pairs = [pair for name in firsts[0].material for pair in nearest_pairs(firsts, name)]
        together = min(([pair.factor, *pair.confounders] for pair in pairs), key=len, default=[])
        if len(together) > 1:
            names = listed([factor_words(name) for name in together])
            not_known = "makes it so is not known, since they changed together"
            reasons.append(f"which of {names} {not_known}")
    return reasons


def _may_be(item: ComparabilityClass, other: ComparabilityClass) -> bool:
    """Whether runs that are not over, of which not all is known yet, may turn out to be of it."""
    return all(
        other.comparability.get(name, "").startswith(value)
        for name, value in item.comparability.items()
        if name != "frames"
    )


def _name(item: ComparabilityClass, varying: Sequence[str]) -> str:
    known = [item.comparability[name] for name in varying if name in item.comparability]
    return f"{', '.join(map(value_words, known))} [{item.id}]"


def _differing(classes: Sequence[ComparabilityClass]) -> list[str]:
    """The fewest names, in their order, whose values tell the classes apart."""
    chosen: list[str] = []
    distinct = 1
    for name in dict.fromkeys(name for item in classes for name in item.comparability):
        names = [*chosen, name]
        values = {tuple(map(item.comparability.get, names)) for item in classes}
        if len(values) > distinct:
            chosen, distinct = names, len(values)
    return chosen
