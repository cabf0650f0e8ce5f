"""Proposals, and single runs that make a confounded pair a controlled one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from pydantic import computed_field

from gr00t_assets.comparison.differences import equal_run
from gr00t_assets.comparison.run import (
    SETTINGS_OF_A_STEP,
    TRAINABLE_PARTS,
    Run,
    grouped,
    samples_of,
    samples_per_step,
    trainable_parts,
    upstream_trainer,
)
from gr00t_assets.comparison.speed import Speeds
from gr00t_assets.comparison.statistics.effects import Effect, Pair, nearest_pairs
from gr00t_assets.comparison.statistics.factors import configuration_key, configurations
from gr00t_assets.comparison.wording import factor_words, listed, value_words
from gr00t_assets.experiments.registry import trainer_named, trainer_names
from gr00t_assets.experiments.sweep_file import BEST

SETTINGS_OF = {"trainable_parts": TRAINABLE_PARTS, "batch_size": SETTINGS_OF_A_STEP}
"""The settings that make up a factor; of any other factor it is the setting of its name."""


@dataclass(frozen=True)
class ProposedExperiment:
    """One run that is to be made, like a reference but for some hyperparameters."""

    reference: Run
    changes: Mapping[str, Any]
    reason: str = ""  # What it tells, in one sentence; the hypothesis of the sweep file
    hours: float | None = None  # GPU-hours, or hours of a CPU where it runs on one; None: not known

    @computed_field
    @property
    def settings(self) -> dict[str, Any]:
        """Every setting: those of the reference, and what differs from them."""
        return {**self.reference.settings, **self.changes}


@dataclass(frozen=True)
class Proposal:
    """The next experiments towards the answer of a question.

    ``kind`` is ``control`` for a run that a confounded answer lacks, ``replicates`` for the whole
    design once more, ``best`` for its leaders once more, ``continue`` where the runs that are
    needed have been begun. The first one of ``questions``, factors or ``best``, is the reason.
    """

    questions: tuple[str, ...]
    kind: Literal["control", "replicates", "best", "continue"]
    reason: str  # Why the answer is open and what these runs would change about it
    experiments: tuple[ProposedExperiment, ...]
    runs: tuple[str, ...] = ()  # Ids of the runs that the answer rests on now
    chance: float | None = None  # That these runs settle every question; None: not known
    runs_after: int = 0  # Finished runs that the answer will rest on

    @property
    def topics(self) -> list[str]:
        """What they tell of, in words: ``batch size``, ``the best configuration``."""
        best = "the best configuration"
        return [best if name == BEST else factor_words(name) for name in self.questions]

    @computed_field
    @property
    def gpu_hours(self) -> float | None:
        """Sum over the experiments; hours of a CPU where they run on one; None where unknown."""
        hours = [experiment.hours for experiment in self.experiments]
        return None if None in hours else sum(filter(None, hours))

    def with_hours(self, speeds: Speeds) -> "Proposal":
        """The same with the hours of its experiments."""
        timed = []
        for item in self.experiments:
            origin = origin_of(item.reference)
            hours = speeds.hours(origin["trainer"], origin["base_model"], item.settings)
            timed.append(replace(item, hours=hours))
        return replace(self, experiments=tuple(timed))


class ControlRun(NamedTuple):
    """One run that would settle confounded pairs, and these by factor."""

    run: ProposedExperiment
    settles: dict[str, list[Pair]]


def origin_of(run: Run) -> dict[str, Any]:
    """What a run was trained on, with and from, by the fields of a sweep file.

    A table that names no trainer is of the upstream fine-tuning script's runs, and a base model
    that it does not name is the trainer's default.
    """
    if run.stored is not None:
        experiment = (run.stored.spec or run.stored).experiment
        names = {"dataset", "trainer", "base_model", "base_model_revision"}
        content = experiment.model_dump(mode="json", include=names)
        return {name: value for name, value in content.items() if value is not None}
    name = run.data.get("trainer", "").partition(" ")[0]
    name = name if name in trainer_names() else upstream_trainer()
    base, _, revision = run.data.get("base model", "").partition(" at ")
    base = base or trainer_named(name).default_base_model
    revised = {"base_model_revision": revision} if revision else {}
    return {"dataset": run.dataset, "trainer": name, "base_model": base, **revised}


def control_proposals(effects: Iterable[Effect], runs: Sequence[Run]) -> list[Proposal]:
    """Greedily the runs that settle most of what is confounded, until each factor has one."""
    open_effects = [item for item in effects if item.verdict == "confounded" and item.pair]
    proposals = []
    for key, group in grouped(open_effects, lambda item: item.runs[0].comparable).items():
        members = [run for run in runs if run.comparable == key]
        possible, left = _control_runs(group), [item.factor for item in group]
        while able := [item for item in possible if not item.settles.keys().isdisjoint(left)]:
            best = max(able, key=lambda item: _worth(item, left))
            possible.remove(best)
            equal = equal_run(best.run.settings, members)
            if equal is None or not equal.finished:
                questions = tuple(factor for factor in left if factor in best.settles)
                proposals.append(_proposal(best, questions, equal))
                left = [factor for factor in left if factor not in questions]
    return proposals


def _proposal(control: ControlRun, questions: tuple[str, ...], equal: Run | None) -> Proposal:
    pairs = [item for factor in questions for item in control.settles[factor]]
    ids = tuple(dict.fromkeys(run for pair in pairs for run in pair.runs))
    reason = _control_reason(control, questions)
    if equal is not None:
        reason = f"{reason} {equal.name} ({equal.run_id}) is that run and is {equal.status}."
        return Proposal(questions, "continue", reason, (), ids, runs_after=len(ids) + 1)
    asked, against = factor_words(questions[0]), control.run.reference
    hypothesis = (
        f"Against {against.name} ({against.run_id}) only {asked} changes"
        f"{_equal_samples(control.run)}: if {asked} matters, its loss is another than "
        f"{_mean_loss(against):.4g}.{_others(questions, 'It also')}"
    )
    experiment = replace(control.run, reason=hypothesis)
    return Proposal(questions, "control", reason, (experiment,), ids, runs_after=len(ids) + 1)


def _control_runs(confounded: Iterable[Effect]) -> list[ControlRun]:
    """Every run, once, that differs from one side of a nearest pair in the asked factor only.

    The side with the lower loss comes first, so that it is the reference where both are.
    """
    by_settings: dict[tuple[object, ...], ControlRun] = {}
    for effect in confounded:
        factor = effect.factor
        pairs = nearest_pairs(configurations(effect.runs), factor)
        fewest = min(map(_distance, pairs))
        for pair in (pair for pair in pairs if _distance(pair) == fewest):
            sides = sorted((pair.low[0], pair.high[0]), key=_mean_loss)
            for reference, other in (sides, sides[::-1]):
                if changes := _changed_settings(factor, reference, other):
                    control = ProposedExperiment(reference, changes)
                    key = configuration_key(replace(reference, settings=control.settings))
                    of_run = by_settings.setdefault(key, ControlRun(control, {}))
                    settled = of_run.settles.setdefault(factor, [])
                    if not any(pair is other for other in settled):
                        settled.append(pair)
    return list(by_settings.values())


def _worth(control: ControlRun, unsettled: Sequence[str]) -> tuple[float, ...]:
    """Questions first, then pairs, then the width of the change on the log, then what it costs."""
    settles = [group for name, group in control.settles.items() if name in unsettled]
    widths = [pair.changes[0].width or 0.0 for group in control.settles.values() for pair in group]
    return (
        len(settles),
        sum(map(len, settles)),
        round(max(widths), 6),
        -(samples_of(control.run.settings) or 0),
        -_mean_loss(control.run.reference),
    )


def _distance(pair: Pair) -> float:
    """Factors that would have to be undone; samples that follow from another one do not count."""
    return sum(name != "samples_seen" for name in pair.confounders) or 0.5


def _changed_settings(factor: str, reference: Run, other: Run) -> dict[str, Any]:
    """What gives the reference the other's value of one factor; nothing where it is not known.

    For batch size the number of steps follows, so that both runs see as many samples.
    """
    changes: dict[str, Any] = {
        name: other.settings[name]
        for name in SETTINGS_OF.get(factor, (factor,))
        if name in other.settings and other.settings[name] != reference.settings.get(name)
    }
    if not changes:
        return {}
    settings = {**reference.settings, **changes}
    samples = reference.samples_seen or samples_of(reference.settings)
    per_step = samples_per_step(settings)
    if factor == "batch_size" and samples and per_step:
        changes["max_steps"] = settings["max_steps"] = math.ceil(samples / per_step)
    save, steps = settings.get("save_steps"), settings.get("max_steps")
    if isinstance(save, int) and isinstance(steps, int) and save > steps:
        changes["save_steps"] = steps
    return changes


def _mean_loss(run: Run) -> float:
    return run.loss.mean if run.loss else math.inf


def _control_reason(control: ControlRun, questions: Sequence[str]) -> str:
    pairs = control.settles[questions[0]]
    between_best = min(pairs, key=lambda pair: sum(map(_mean_loss, (*pair.low, *pair.high))))
    names = listed([factor_words(name) for name in between_best.confounders])
    sides = [dict.fromkeys(run.name for run in x) for x in (between_best.low, between_best.high)]
    low, high = (listed(list(side)) for side in sides)
    asked, reference = factor_words(questions[0]), control.run.reference.name
    return (
        f"{low} and {high} differ in {asked} and also in {names}. {reference} with "
        f"{_changes_words(control.run)} differs from {reference} in {asked} alone"
        f"{_equal_samples(control.run)}.{_others(questions, 'The same run also')}"
    )


def _others(questions: Sequence[str], which: str) -> str:
    names = listed([factor_words(name) for name in questions[1:]])
    return f" {which} tells of {names}." if names else ""


def _changes_words(run: ProposedExperiment) -> str:
    """What a run has otherwise than its reference, without what changes nothing learned."""
    settings = [
        f"{factor_words(name)} {value_words(value)}"
        for name, value in run.changes.items()
        if name not in (*TRAINABLE_PARTS, "save_steps")
    ]
    if not run.changes.keys().isdisjoint(TRAINABLE_PARTS):
        settings.insert(0, f"{trainable_parts(run.settings)} trained")
    return listed(settings)


def _equal_samples(run: ProposedExperiment) -> str:
    return ", at equal samples seen" if {"max_steps", "batch_size"} <= run.changes.keys() else ""
