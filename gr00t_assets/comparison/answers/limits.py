"""What an answer does not cover: noise that was not measured, images that were wrong, and so on."""

from collections.abc import Iterator, Sequence

from gr00t_assets.comparison.answers.words import group_label, label, listed, shown
from gr00t_assets.comparison.contrasts.configurations import configurations
from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.noise import ASSUMED_SPREAD
from gr00t_assets.comparison.contrasts.observation import Observation
from gr00t_assets.comparison.findings import names_in_words

MENDED = "torchvision_av gave the frame of another time until it was mended in September 2025"


def limits(
    observations: Sequence[Observation], evidence: Sequence[Contrast], factor: str
) -> tuple[str, ...]:
    """Sentences that a reader needs beside an answer.

    Args:
        observations: All that were compared, of any status.
        evidence: What the answer rests on; without any, only the runs left out are named.
        factor: What was asked about.
    """
    ids = {run.run_id for one in evidence for run in (*one.low, *one.high)}
    runs = [run for run in observations if run.finished and run.run_id in ids]
    return (
        *frame_limits(runs),
        *logged_value_limits(runs),
        *repeat_limits(runs),
        *schedule_limits(runs),
        *epoch_limits(runs),
        *memory_limits(observations, factor),
        *left_out(observations),
    )


def frame_limits(runs: Sequence[Observation]) -> Iterator[str]:
    """Whether the images were the right ones."""
    wrong = [label(run) for run in runs if run.frames == "known wrong"]
    unknown = [label(run) for run in runs if run.frames == "not verified"]
    if wrong:
        which = "These runs" if len(wrong) == len(runs) else names_in_words(wrong, 6)
        yield (
            f"{which} trained on wrong images ({MENDED}): the losses say nothing of learning "
            "from images."
        )
    if unknown:
        which = "these runs" if len(unknown) == len(runs) else names_in_words(unknown, 6)
        yield f"The frames of {which} are not verified."


def logged_value_limits(runs: Sequence[Observation]) -> Iterator[str]:
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


def repeat_limits(runs: Sequence[Observation]) -> Iterator[str]:
    """Configurations that ran once."""
    found = configurations(runs)
    once = [one for one in found if len(one.units) < 2]
    if found and len(once) == len(found):
        yield (
            "Each configuration ran with one seed: how much two runs of one configuration differ "
            f"is not measured, and taken to be {100 * ASSUMED_SPREAD:.0f} percent."
        )
    elif once:
        which = group_label([one.first for one in once])
        yield f"Ran with one seed: {which}; the spread is that of the configurations with more."


def schedule_limits(runs: Sequence[Observation]) -> Iterator[str]:
    """Losses at the end of schedules of other lengths."""
    falling = [
        run
        for run in runs
        if run.max_steps
        and not str(run.settings.get("lr_scheduler_type", "")).startswith("constant")
    ]
    lengths = sorted({run.max_steps for run in falling if run.max_steps})
    if len(lengths) > 1:
        shown_lengths = names_in_words([f"{length:,}" for length in lengths], 6)
        yield (
            f"The schedules have different lengths ({shown_lengths} steps): each loss is that at "
            "the end of its own schedule."
        )


def epoch_limits(runs: Sequence[Observation]) -> Iterator[str]:
    """Runs that have not seen the whole dataset once."""
    known = [(run, run.epochs) for run in runs if run.epochs is not None]
    below = [(run, epochs) for run, epochs in known if epochs < 1]
    if not below:
        return
    below.sort(key=lambda pair: pair[1])
    words = names_in_words([f"{label(run)} {epochs:.2g}" for run, epochs in below], 6)
    frames = {run.dataset_frames for run, _ in below}
    of = f" of {frames.pop():,} frames" if len(frames) == 1 else ""
    which = (
        "No run has" if len(below) == len(runs) else f"{len(below)} of {len(runs)} runs have not"
    )
    yield f"{which} seen every frame once (epochs{of}: {words})."


def memory_limits(observations: Sequence[Observation], factor: str) -> Iterator[str]:
    """GPU memory, where it bears on the factor; it belongs to the runs that it was measured of."""
    if factor not in ("batch_size", "trainable_parts"):
        return
    known = [run for run in observations if run.peak_memory_bytes and run.source != "store"]
    for run in known[:4]:
        yield memory_words(run)
    if factor == "trainable_parts" and known:
        yield "Training other parts to save memory trains another model, in another class."


def memory_words(run: Observation) -> str:
    """The memory of one run, with the settings that it belongs to."""
    names = ("batch_size", "gradient_accumulation_steps", "num_gpus")
    settings = [
        f"{name} {shown(run.settings[name])}"
        for name in names
        if name == "batch_size" or run.settings.get(name, 1) != 1
        if name in run.settings
    ]
    size = (run.peak_memory_bytes or 0) / 1e9
    return (
        f"{size:.1f} GB of GPU memory is that of {label(run)} with {listed(settings)}, and of no "
        "other settings."
    )


def left_out(observations: Sequence[Observation]) -> Iterator[str]:
    """Runs that take no part in any contrast."""
    found = [run for run in observations if not run.finished]
    if found:
        words = names_in_words([f"{label(run)} ({status_words(run)})" for run in found], 6)
        yield f"Left out: {words}."


def status_words(run: Observation) -> str:
    """Why a run is not ranked.

    Example:
        ``unfinished, at step 8,600 of 10,000``
    """
    if run.status == "finished":
        return "finished, without a loss"
    if run.steps is not None and run.max_steps:
        return f"{run.status}, at step {run.steps:,} of {run.max_steps:,}"
    return run.status
