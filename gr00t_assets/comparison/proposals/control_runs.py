"""What is proposed to be run next, and the single runs that would settle a confounded contrast."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import computed_field

from gr00t_assets.comparison.contrasts.contrast import Contrast
from gr00t_assets.comparison.contrasts.factors import material_settings
from gr00t_assets.comparison.run import (
    TRAINABLE_PARTS,
    Run,
    RunId,
    samples_of,
    samples_per_step,
    trainable_parts,
    upstream_trainer,
)
from gr00t_assets.comparison.wording import factor_words, listed, value_words
from gr00t_assets.experiments.registry import trainer_named, trainer_names


@dataclass(frozen=True)
class ProposedExperiment:
    """One run that is to be made.

    Attributes:
        reference: The run that it is to be held against.
        changes: What differs from that run: hyperparameters by name.
        reason: What it tells, in one sentence; it becomes the hypothesis of the sweep file.
        hours: GPU-hours that it is expected to take, hours of a CPU where it runs on one; None
            where no run tells.
    """

    reference: RunId
    changes: Mapping[str, Any]
    reason: str
    hours: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting: those of the reference, and what differs from them."""
        return {**self.reference.settings, **self.changes}


@dataclass(frozen=True)
class Proposal:
    """The fewest experiments that settle a question.

    Attributes:
        questions: The factors that are asked about, the first one the reason of the proposal.
        kind: ``control`` for a run that a confounded answer lacks, ``replicates`` for a noisy one,
            ``continue`` where a run that would settle it has been begun.
        reason: Why the answer is open and what these runs would change about it.
        experiments: None where a begun run has only to be continued.
        runs: Ids of the runs whose contrast is open.
    """

    questions: tuple[str, ...]
    kind: Literal["control", "replicates", "continue"]
    reason: str
    experiments: tuple[ProposedExperiment, ...]
    runs: tuple[str, ...] = field(default=())

    @property
    def question(self) -> str:
        """The factor that it is proposed for."""
        return self.questions[0]

    @computed_field
    @property
    def gpu_hours(self) -> float | None:
        """Sum over the experiments; hours of a CPU where they run on one; None where unknown."""
        hours = [experiment.hours for experiment in self.experiments]
        known = [value for value in hours if value is not None]
        return sum(known) if len(known) == len(hours) else None


@dataclass(frozen=True)
class Origin:
    """What a run was trained on, with and from, in the words of a sweep file."""

    dataset: str
    trainer: str
    base_model: str
    base_model_revision: str | None = None

    @classmethod
    def of(cls, run: Run) -> "Origin":
        """From the experiment of a run of the store; else from what its table says.

        A table that names no trainer is of the upstream fine-tuning script's runs, and a base model
        that it does not name is the trainer's default.
        """
        if run.stored is not None:
            experiment = (run.stored.spec or run.stored).experiment
            return cls(
                experiment.dataset,
                experiment.trainer,
                experiment.base_model,
                experiment.base_model_revision,
            )
        name = run.data.get("trainer", "").partition(" ")[0]
        name = name if name in trainer_names() else upstream_trainer()
        base, _, revision = run.data.get("base model", "").partition(" at ")
        return cls(
            run.dataset, name, base or trainer_named(name).default_base_model, revision or None
        )

    def fields(self) -> dict[str, str]:
        """The fields of a sweep file's defaults, or of an entry."""
        fields = {
            "dataset": self.dataset,
            "trainer": self.trainer,
            "base_model": self.base_model,
            "base_model_revision": self.base_model_revision,
        }
        return {name: value for name, value in fields.items() if value is not None}


SETTINGS_OF = {
    "trainable_parts": TRAINABLE_PARTS,
    "batch_size": ("batch_size", "gradient_accumulation_steps", "num_gpus"),
}
"""The settings that make up a factor; of any other factor it is the setting of its name."""

_DERIVED = {"samples_seen"}


@dataclass
class ControlRun:
    """One run that would settle contrasts.

    Attributes:
        reference: The run that it differs from in one factor.
        changes: The settings that differ from the reference.
        settles: The confounded contrasts that it would settle, by factor.
    """

    reference: Run
    changes: dict[str, Any]
    settles: dict[str, list[Contrast]] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting of the run."""
        return {**self.reference.settings, **self.changes}

    @property
    def samples(self) -> int:
        """Samples of the whole run, which stand for its cost."""
        return samples_of(self.settings) or 0


def control_runs(confounded: Mapping[str, Iterable[Contrast]]) -> list[ControlRun]:
    """Every run that differs from one side of a contrast in the asked factor only.

    A run that two contrasts ask for is there once; the side with the lower loss comes first, so
    that it is the reference where both are.

    Args:
        confounded: By factor the contrasts that are to be settled.
    """
    by_settings: dict[tuple[object, ...], ControlRun] = {}
    for factor, contrasts in confounded.items():
        for contrast in contrasts:
            for reference, changes in _either_side(factor, contrast):
                control = ControlRun(reference, changes)
                control = by_settings.setdefault(_key(control), control)
                settled = control.settles.setdefault(factor, [])
                if not any(contrast is other for other in settled):
                    settled.append(contrast)
    return list(by_settings.values())


def distance(contrast: Contrast) -> float:
    """Factors that would have to be undone; samples that follow from another one do not count."""
    return len([name for name in contrast.confounders if name not in _DERIVED]) or 0.5


def changed_settings(factor: str, reference: Run, other: Run) -> dict[str, Any]:
    """What makes of the reference a run with the other's value of one factor, and nothing else.

    For batch size the number of steps follows, so that both runs see as many samples. Nothing
    where the other's value is not known.
    """
    names = SETTINGS_OF.get(factor, (factor,))
    changes = {
        name: other.settings[name]
        for name in names
        if name in other.settings and other.settings[name] != reference.settings.get(name)
    }
    samples = reference.samples_seen or samples_of(reference.settings)
    per_step = samples_per_step({**reference.settings, **changes})
    if changes and factor == "batch_size" and samples and per_step:
        changes["max_steps"] = math.ceil(samples / per_step)
    save, steps = (
        {**reference.settings, **changes}.get(name) for name in ("save_steps", "max_steps")
    )
    if changes and isinstance(save, int) and isinstance(steps, int) and save > steps:
        changes["save_steps"] = steps
    return changes


def mean_loss(run: Run) -> float:
    """Its loss; infinite where it has none."""
    return run.loss.mean if run.loss else math.inf


def control_reason(control: ControlRun, questions: Sequence[str]) -> str:
    """Why the question is open and what one run changes about it."""
    first = min(control.settles[questions[0]], key=_losses)
    names = listed([factor_words(name) for name in first.confounders])
    asked = factor_words(questions[0])
    text = (
        f"{names_of(first.low)} and {names_of(first.high)} differ in {asked} and also in {names}. "
        f"{control.reference.name} with {_changes_words(control)} differs from "
        f"{control.reference.name} in {asked} alone{_equal_samples(control)}."
    )
    others = [factor_words(name) for name in questions[1:]]
    return f"{text} The same run also tells of {listed(others)}." if others else text


def run_reason(control: ControlRun, questions: Sequence[str]) -> str:
    """The hypothesis of the run, a question that it answers either way."""
    asked = factor_words(questions[0])
    text = (
        f"Against {control.reference.name} ({control.reference.run_id}) only {asked} changes"
        f"{_equal_samples(control)}: if {asked} matters, its loss is another than "
        f"{control.reference.loss.mean:.4g}."
        if control.reference.loss
        else f"Against {control.reference.name} only {asked} changes."
    )
    others = [factor_words(name) for name in questions[1:]]
    return f"{text} It also tells of {listed(others)}." if others else text


def names_of(runs: Sequence[Run]) -> str:
    """Names of replicates, each once."""
    return listed(list(dict.fromkeys(run.name for run in runs)))


def _either_side(factor: str, contrast: Contrast) -> Iterator[tuple[Run, dict[str, Any]]]:
    sides = ((contrast.low[0], contrast.high[0]), (contrast.high[0], contrast.low[0]))
    for reference, other in sorted(sides, key=lambda side: mean_loss(side[0])):
        changes = changed_settings(factor, reference, other)
        if changes:
            yield reference, changes


def _key(control: ControlRun) -> tuple[object, ...]:
    run = replace(control.reference, settings=control.settings)
    return (run.comparable, tuple(sorted(material_settings(run).items())))


def _changes_words(control: ControlRun) -> str:
    """What a run has otherwise than its reference, without what changes nothing learned."""
    parts = [name for name in control.changes if name in TRAINABLE_PARTS]
    settings = [
        f"{factor_words(name)} {value_words(value)}"
        for name, value in control.changes.items()
        if name not in TRAINABLE_PARTS and name != "save_steps"
    ]
    if parts:
        settings.insert(0, f"{trainable_parts(control.settings)} trained")
    return listed(settings)


def _losses(contrast: Contrast) -> float:
    """Of two contrasts the one between better runs is the one to name."""
    return sum(run.loss.mean for run in (*contrast.low, *contrast.high) if run.loss)


def _equal_samples(control: ControlRun) -> str:
    stepped = "max_steps" in control.changes and "batch_size" in control.changes
    return ", at equal samples seen" if stepped else ""
