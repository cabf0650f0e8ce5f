"""The sentences of a proposal."""

from collections.abc import Sequence

from gr00t_assets.comparison.contrasts.contrast import Change, Contrast
from gr00t_assets.comparison.contrasts.factors import factor_value, trainable_parts
from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation
from gr00t_assets.comparison.next_experiments.candidates import Candidate
from gr00t_assets.comparison.next_experiments.replicates import Replicates
from gr00t_assets.experiments.random_samples import short_value


def factor_words(factor: str) -> str:
    """A factor as it is read: ``batch_size`` is "batch size"."""
    return factor.replace("_", " ")


def value_words(value: object) -> str:
    """A setting's value as it is read."""
    if isinstance(value, bool):
        return str(value).lower()
    return short_value(value) if isinstance(value, int | float) else str(value)


def value_of(run: Observation, factor: str) -> str:
    """A run's value of a factor, in words."""
    return value_words(factor_value(run, factor))


def listed(words: Sequence[str]) -> str:
    """Words with commas, and "and" before the last."""
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + "".join(words[-1:])


def named_changes(change: Change) -> str:
    """One change with both values: "batch size 1 to 8"."""
    low, high = value_words(change.low), value_words(change.high)
    return f"{factor_words(change.factor)} {low} to {high}"


def changes_words(candidate: Candidate) -> str:
    """What a run has otherwise than its reference, without what changes nothing learned."""
    parts = [name for name in candidate.changes if name in TRAINABLE_PARTS]
    words = [
        f"{factor_words(name)} {value_words(value)}"
        for name, value in candidate.changes.items()
        if name not in TRAINABLE_PARTS and name != "save_steps"
    ]
    if parts:
        words.insert(0, f"{trainable_parts(candidate.settings)} trained")
    return listed(words)


def control_reason(candidate: Candidate, questions: Sequence[str]) -> str:
    """Why the question is open and what one run changes about it."""
    first = min(candidate.settles[questions[0]], key=_losses)
    names = listed([factor_words(name) for name in first.confounders])
    asked = factor_words(questions[0])
    text = (
        f"{_names(first.low)} and {_names(first.high)} differ in {asked} and also in {names}. "
        f"{candidate.reference.name} with {changes_words(candidate)} differs from "
        f"{candidate.reference.name} in {asked} alone{_equal_samples(candidate)}."
    )
    others = [factor_words(name) for name in questions[1:]]
    return f"{text} The same run also tells of {listed(others)}." if others else text


def run_reason(candidate: Candidate, questions: Sequence[str]) -> str:
    """The hypothesis of the run, a question that it answers either way."""
    asked = factor_words(questions[0])
    text = (
        f"Against {candidate.reference.name} ({candidate.reference.run_id}) only {asked} changes"
        f"{_equal_samples(candidate)}: if {asked} matters, its loss is another than "
        f"{candidate.reference.loss.mean:.4g}."
        if candidate.reference.loss
        else f"Against {candidate.reference.name} only {asked} changes."
    )
    others = [factor_words(name) for name in questions[1:]]
    return f"{text} It also tells of {listed(others)}." if others else text


def replicate_reason(factor: str, contrast: Contrast, wanted: Replicates, count: int) -> str:
    """Why a pair is repeated, and what so many repetitions can show."""
    asked = factor_words(factor)
    text = (
        f"{_names(contrast.low)} and {_names(contrast.high)} differ in {asked} alone, and the "
        f"difference may be noise. {count} more runs with other seeds make {wanted.each} of either"
    )
    percent = 100 * (wanted.visible - 1)
    if wanted.enough:
        return f"{text}, enough to tell the difference that was seen."
    return f"{text}, which shows a difference of {percent:.0f} percent or more."


def _losses(contrast: Contrast) -> float:
    """Of two contrasts the one between better runs is the one to name."""
    return sum(run.loss.mean for run in (*contrast.low, *contrast.high) if run.loss)


def _equal_samples(candidate: Candidate) -> str:
    stepped = "max_steps" in candidate.changes and "batch_size" in candidate.changes
    return ", at equal samples seen" if stepped else ""


def _names(runs: Sequence[Observation]) -> str:
    return listed(list(dict.fromkeys(run.name for run in runs)))
