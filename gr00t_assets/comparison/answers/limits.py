"""What a reader must know beside a ranking or an answer.

``cautions`` speaks of the ranked runs of each class, ``limits`` of those that an answer rests on.
"""

from collections.abc import Iterator, Sequence

from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.statistics.effects import Effect
from gr00t_assets.comparison.statistics.factors import QUESTIONS, configurations, factor_value
from gr00t_assets.comparison.statistics.ranking import (
    class_spread,
    comparability_classes,
    differing,
)
from gr00t_assets.comparison.wording import (
    SENTENCES,
    factor_words,
    group_label,
    label,
    listed,
    names_in_words,
    spread_words,
    status_words,
    value_words,
)

_SENTENCES = SENTENCES["cautions"]


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


def limits(runs: Sequence[Run], evidence: Sequence[Effect], factor: str) -> tuple[str, ...]:
    """Sentences that a reader needs beside an answer about a factor.

    ``runs`` are all that were compared, of any status; without any ``evidence`` that the answer
    rests on, only those left out are named.
    """
    behind = [run for effect in evidence for run in effect.runs]
    return (*_of_any_runs(behind), *_not_told(behind), *_memory(runs, factor), *_left_out(runs))


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
    some = len(below) < len(runs)
    which = f"{len(below)} of {len(runs)} runs have not" if some else "No run has"
    yield f"{which} seen every frame of the dataset once (epochs{of}: {epochs})."


def _logged_values(runs: Sequence[Run]) -> Iterator[str]:
    """Losses that are one logged value."""
    single = [run for run in runs if run.loss and run.loss.kind == "one logged value"]
    if not single:
        return
    samples = {run.loss.samples for run in single if run.loss}
    which = "Each loss" if len(single) == len(runs) else f"The loss of {group_label(single)}"
    ends = dict.fromkeys((f"{min(samples):,}", f"{max(samples):,}"))
    yield _SENTENCES["logged_values"].format(which, " to ".join(ends))


def _single_seeds(runs: Sequence[Run]) -> Iterator[str]:
    """Configurations that ran once, and seeds that change nothing."""
    members = configurations(runs)
    single = [item.first for item in members if len(item.by_seed) < 2]
    if len(runs) > 1 and len(single) == len(members):
        spread = spread_words(class_spread(members))
        yield _SENTENCES["not_repeated"].format(spread=spread)
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
    names = [
        factor_words(name)
        for name in QUESTIONS
        if name != "seed" and all(factor_value(run, name) in (None, "none known") for run in runs)
    ]
    if names:
        yield _SENTENCES["not_told"].format(names=listed(names))


def _memory(runs: Sequence[Run], factor: str) -> Iterator[str]:
    """GPU memory, where it bears on the factor; it belongs to the runs that it was measured of."""
    if factor not in ("batch_size", "trainable_parts"):
        return
    measured = [run for run in runs if run.peak_memory_bytes and run.source != "store"]
    for run in measured[:4]:
        settings = [
            f"{name} {value_words(run.settings[name])}"
            for name in ("batch_size", "gradient_accumulation_steps", "num_gpus", "num_nodes")
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
