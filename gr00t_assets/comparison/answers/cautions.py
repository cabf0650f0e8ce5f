"""What a reader must know beside a ranking or an answer: noise not measured, wrong images, ...

:func:`cautions` speaks of the ranked runs of each class, :func:`limits` of the runs that an answer
rests on.
"""

from collections.abc import Iterator, Sequence

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.factors import configurations
from gr00t_assets.comparison.contrasts.noise import ASSUMED_SPREAD
from gr00t_assets.comparison.contrasts.ranking import comparability_classes, differing
from gr00t_assets.comparison.run import Run
from gr00t_assets.comparison.wording import (
    group_label,
    label,
    listed,
    names_in_words,
    status_words,
    value_words,
)

_REASON = "torchvision_av gave the frame of another time until it was mended in September 2025"


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
    return (
        *_frames(behind),
        *_logged_values(behind),
        *_single_seeds(behind),
        *_schedules(behind),
        *_epochs(behind),
        *_memory(runs, factor),
        *_left_out(runs),
    )


def _class_cautions(runs: Sequence[Run]) -> Iterator[str]:
    yield from _frames(runs)
    yield from _samples(runs)
    yield from _schedules(runs)
    yield from _continued(runs)
    yield from _epochs(runs)
    yield from _augmentation(runs)
    yield from _unknown_errors(runs)
    if len(runs) > 1 and all(len(item.by_seed) < 2 for item in configurations(runs)):
        yield (
            "Each configuration ran with one seed: the standard errors cover the noise within a "
            "run, not the difference between two runs of the same configuration."
        )
    failed = [f"{run.name} ({', '.join(run.failed_checks)})" for run in runs if run.failed_checks]
    if failed:
        yield f"Ranked although a check failed: {'; '.join(failed)}."


def _frames(runs: Sequence[Run]) -> Iterator[str]:
    """Whether the images were the right ones."""
    wrong = [label(run) for run in runs if run.frames == "known wrong"]
    unknown = [label(run) for run in runs if run.frames == "not verified"]
    if wrong:
        which = "These runs" if len(wrong) == len(runs) else names_in_words(wrong, 6)
        yield (
            f"{which} trained on wrong images ({_REASON}): the losses say nothing of learning "
            "from images."
        )
    if unknown:
        which = "these runs" if len(unknown) == len(runs) else names_in_words(unknown, 6)
        yield (
            f"The frames of {which} are not verified: the images may not be those of the recorded "
            "time, so the losses say nothing of learning from images."
        )


def _samples(runs: Sequence[Run]) -> Iterator[str]:
    seen = {run.samples_seen for run in runs if run.samples_seen is not None}
    if len(seen) > 1:
        yield (
            f"These runs saw different numbers of samples ({min(seen):,} to {max(seen):,}): loss "
            "follows samples seen as well as the factor."
        )


def _schedules(runs: Sequence[Run]) -> Iterator[str]:
    """Losses at the end of schedules of other lengths."""
    lengths = sorted({run.max_steps for run in runs if run.max_steps and not _constant(run)})
    if len(lengths) > 1:
        steps = names_in_words([f"{length:,}" for length in lengths], 6)
        yield (
            f"The schedules have different lengths ({steps} steps): each loss is that at the end "
            "of its own schedule."
        )


def _continued(runs: Sequence[Run]) -> Iterator[str]:
    names = [
        f"{run.name} (from {run.stored.experiment.continue_from} at step {run.continued_steps[-1]})"
        for run in runs
        if run.stored and run.continued_steps and not _constant(run)
    ]
    if names:
        yield (
            f"Continued from a shorter run: {names_in_words(names)}. The learning rate followed "
            "two schedules, so a run that had all its steps from the start may end elsewhere."
        )


def _epochs(runs: Sequence[Run]) -> Iterator[str]:
    """Runs that have not seen the whole dataset once."""
    below = sorted(
        ((run.epochs, run) for run in runs if run.epochs is not None and run.epochs < 1),
        key=lambda pair: pair[0],
    )
    if not below:
        return
    epochs = names_in_words([f"{label(run)} {epochs:.2g}" for epochs, run in below], 6)
    frames = {run.dataset_frames for _, run in below}
    of = f" of {frames.pop():,} frames" if len(frames) == 1 else ""
    which = (
        "No run has" if len(below) == len(runs) else f"{len(below)} of {len(runs)} runs have not"
    )
    yield f"{which} seen every frame of the dataset once (epochs{of}: {epochs})."


def _augmentation(runs: Sequence[Run]) -> Iterator[str]:
    if len({run.settings.get("augmentation") for run in runs}) > 1:
        yield (
            "Augmentation differs: a training loss on augmented images is that of a harder task "
            "than one on plain images."
        )


def _unknown_errors(runs: Sequence[Run]) -> Iterator[str]:
    unknown = [label(run) for run in runs if run.loss and run.loss.standard_error is None]
    if unknown:
        yield (
            f"The standard error of the loss of {names_in_words(unknown, 6)} cannot be told: the "
            "final window is too short for how much neighbouring steps resemble each other."
        )


def _logged_values(runs: Sequence[Run]) -> Iterator[str]:
    """Losses that are one logged value."""
    single = [run for run in runs if run.loss and run.loss.kind == "one logged value"]
    if not single:
        return
    samples = sorted({run.loss.samples for run in single if run.loss})
    many = f"{samples[0]:,}" if len(samples) == 1 else f"{samples[0]:,} to {samples[-1]:,}"
    which = "Each loss" if len(single) == len(runs) else f"The loss of {group_label(single)}"
    yield (
        f"{which} is one logged value, the mean over {many} samples with random flow times; its "
        "error is estimated from their number."
    )


def _single_seeds(runs: Sequence[Run]) -> Iterator[str]:
    """Configurations that ran once."""
    members = configurations(runs)
    single = [item for item in members if len(item.by_seed) < 2]
    if members and len(single) == len(members):
        yield (
            "Each configuration ran with one seed: how much two runs of one configuration differ "
            f"is not measured, and taken to be {100 * ASSUMED_SPREAD:.0f} percent."
        )
    elif single:
        which = group_label([item.first for item in single])
        yield f"Ran with one seed: {which}; the spread is that of the configurations with more."


def _memory(runs: Sequence[Run], factor: str) -> Iterator[str]:
    """GPU memory, where it bears on the factor; it belongs to the runs that it was measured of."""
    if factor not in ("batch_size", "trainable_parts"):
        return
    measured = [run for run in runs if run.peak_memory_bytes and run.source != "store"]
    for run in measured[:4]:
        names = ("batch_size", "gradient_accumulation_steps", "num_gpus")
        settings = [
            f"{name} {value_words(run.settings[name])}"
            for name in names
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
    unfinished = [run for run in runs if not run.finished]
    if unfinished:
        names = names_in_words([f"{label(run)} ({status_words(run)})" for run in unfinished], 6)
        yield f"Left out: {names}."


def _constant(run: Run) -> bool:
    return str(run.settings.get("lr_scheduler_type", "")).startswith("constant")
