"""What a run, or an experiment that is proposed, has otherwise than another run, counted."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import computed_field

from gr00t_assets.comparison.columns import setting_names
from gr00t_assets.comparison.run import TRAINABLE_PARTS, Change, Run, samples_of, trainable_parts
from gr00t_assets.comparison.statistics.factors import (
    FRAME_SOURCES,
    IMMATERIAL,
    factor_value,
    frames_are_equal,
    idle_settings,
)
from gr00t_assets.comparison.wording import LOW_TO_HIGH, OTHER_THAN, in_words, label
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.text import counted, did_you_mean
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import all_hyperparameters, combined_hyperparameters

DEFAULTS = "defaults"  # The baseline that is the defaults of the trainers' hyperparameters
TAKEN = frozenset({"finished", "unfinished", "interrupted", "pruned", "running"})
"""A run with one of these statuses stands for its settings; one that failed is tried again."""

_DATA = {
    "dataset": ("dataset", "dataset version"),
    "data_config": ("data config", "modality config"),
    "trainer": ("trainer",),
    "base_model": ("base model",),
}
"""Fields of a proposal besides hyperparameters, with the names that ``Run.data`` has for them."""

_HASH = re.compile(r"[0-9a-f]{12,64}")


@dataclass(frozen=True)
class Difference:
    """What a run has otherwise than its baseline (``low``): data first, what cannot matter last."""

    run: str
    baseline: str
    changed: tuple[Change, ...]  # What can change the result
    immaterial: tuple[Change, ...]  # What cannot
    unknown: tuple[str, ...] = ()  # Settings that only one of the two is known to have

    @computed_field
    @property
    def changes(self) -> tuple[Change, ...]:
        """All of them."""
        return self.changed + self.immaterial

    @computed_field
    @property
    def count(self) -> int:
        """Number of differences that can change the result."""
        return len(self.changed)

    @computed_field
    @property
    def sentence(self) -> str:
        """Such as ``a is not b: 4 things differ that matter, batch_size 5, not 32; ...``."""
        if not self.changes:
            return f"{self.run} equals {self.baseline} in everything that is known of both."
        text = f"{self.run} equals {self.baseline} in all that matters"
        if self.changed:
            many = f"{self.count} things differ that matter"
            differ = many if self.count > 1 else "1 thing differs that matters"
            items = in_words(self.changed, OTHER_THAN, "; ")
            text = f"{self.run} is not {self.baseline}: {differ}, {items}"
        also = f"; besides, {in_words(self.immaterial, OTHER_THAN)}" if self.immaterial else ""
        return f"{text}{also}."


def baseline_named(text: str, runs: Sequence[Run]) -> Run:
    """The run that a person means, or the defaults as if they were one.

    Raises:
        ComparisonError: There is no such run, or the name is that of several.
    """
    if text == DEFAULTS:
        settings = combined_hyperparameters().model_validate({})
        return Run(DEFAULTS, DEFAULTS, "table", "missing", settings.model_dump(), {},
                   "not verified", None, settings.max_steps, None)  # fmt: skip
    named = [run for run in runs if run.run_id == text] or [run for run in runs if run.name == text]
    if not named:
        hint = did_you_mean(text, dict.fromkeys([DEFAULTS, *map(label, runs)]))
        raise ComparisonError(text, "there is no such run to be a baseline.", [hint])
    if len(named) > 1:
        ids = ", ".join(run.run_id for run in named)
        raise ComparisonError(text, "several runs have this name.", [f"take an id: {ids}"])
    return named[0]


def difference(run: Run, baseline: Run) -> Difference:
    """What a run has otherwise than the baseline; a setting that one does not know is unknown."""
    left_out = idle_settings(run.settings) & idle_settings(baseline.settings) | {*TRAINABLE_PARTS}
    names = [*baseline.data, *run.data] if baseline.data else []
    names += [name for name in setting_names([run, baseline]) if name not in left_out]
    if not {*run.settings, *baseline.settings}.isdisjoint(TRAINABLE_PARTS):
        names.append("trainable_parts")
    pairs = {name: (factor_value(baseline, name), factor_value(run, name)) for name in names}
    immaterial = {"seed", *IMMATERIAL}
    if frames_are_equal(run) and (not baseline.data or frames_are_equal(baseline)):
        immaterial |= FRAME_SOURCES
    changes = [
        Change(name, before, after, name not in immaterial)
        for name, (before, after) in pairs.items()
        if before is not None and after is not None and before != after
    ]
    return Difference(
        run=label(run),
        baseline="the defaults" if baseline.run_id == DEFAULTS else label(baseline),
        changed=tuple(change for change in changes if change.material),
        immaterial=tuple(change for change in changes if not change.material),
        unknown=tuple(name for name, sides in pairs.items() if None in sides),
    )


def proposal_words(experiment: Experiment, runs: Sequence[Run]) -> tuple[str, bool]:
    """Such as ``changes 1 factor against a (id): batch size 1 to 8``, and whether it is a run."""
    settings = experiment.hyperparameters.model_dump() | {
        "trainer": experiment.trainer,
        "base_model": experiment.base_model,
        "dataset": experiment.dataset_name,
    }
    if equal := equal_run(settings, runs):
        loss = f", loss {equal.loss.mean:.4g}" if equal.loss else ""
        which = f"{equal.name} ({equal.run_id}), which is {equal.status}{loss}"
        return f"refused: this is {which}", True
    if not (run := nearest_run(settings, runs)):
        return "no finished run to hold it against", False
    changes = [x for x in changed_factors(settings, run) if x.material and not x.implied]
    words = in_words(changes, LOW_TO_HIGH)
    count = counted(len(changes), "factor")
    return f"changes {count} against {run.name} ({run.run_id}): {words}", False


def equal_run(settings: Mapping[str, object], runs: Sequence[Run]) -> Run | None:
    """The run that has every one of these settings already, a finished one first.

    Only what is stated counts, hyperparameters or names of ``_DATA``. A run whose dataset is known
    by its hash alone may be on any. What a run's source does not tell is taken to be the script's
    default. Settings that change nothing that is learned are passed over; another seed is another.
    """
    taken = [run for run in runs if run.status in TAKEN and not settings.keys() <= IMMATERIAL]
    equal = [run for run in taken if _changed(settings, run).keys() <= IMMATERIAL]
    return max(equal, key=lambda run: run.finished, default=None)


def nearest_run(settings: Mapping[str, object], runs: Sequence[Run]) -> Run | None:
    """The finished run with the fewest changes, on the same data first, then of the lowest loss."""

    def distance(run: Run) -> tuple[bool, int, float]:
        changes = changed_factors(settings, run)
        other_data = any(change.factor in _DATA for change in changes)
        material = sum(change.material for change in changes)
        return other_data, material, run.loss.mean if run.loss else 0.0

    return min((run for run in runs if run.finished), key=distance, default=None)


def changed_factors(settings: Mapping[str, object], run: Run) -> tuple[Change, ...]:
    """What a proposal has otherwise than a run (``low``), each factor once, trainable parts as one.

    Samples seen are listed where they differ, as implied: they follow from the others.
    """
    after = {**run.settings, **settings}
    other = _changed(settings, run)
    changes = [
        Change(name, _known(run, name), value, name not in IMMATERIAL)
        for name, value in other.items()
        if name not in TRAINABLE_PARTS
    ]
    if not other.keys().isdisjoint(TRAINABLE_PARTS):
        low, high = trainable_parts(run.settings), trainable_parts(after)
        changes.append(Change("trainable_parts", low, high))
    samples = samples_of(after)
    if samples and run.samples_seen and samples != run.samples_seen:
        changes.append(Change("samples_seen", run.samples_seen, samples, implied=True))
    return tuple(sorted(changes, key=lambda change: (change.implied, not change.material)))


def _changed(settings: Mapping[str, object], run: Run) -> dict[str, object]:
    """Those of the settings that a run has otherwise, but what does nothing in either."""
    idle = idle_settings(run.settings) & idle_settings({**run.settings, **settings})
    active = {name: value for name, value in settings.items() if name not in idle}
    return {name: value for name, value in active.items() if not _has(run, name, value)}


def _has(run: Run, name: str, value: object) -> bool:
    known = _known(run, name)
    if name in ("dataset", "data_config") and _HASH.fullmatch(str(known)):
        return True
    if name in _DATA:
        return known is None or f"{known} ".startswith(f"{value} ")
    return known == value or (name in FRAME_SOURCES and frames_are_equal(run))


def _known(run: Run, name: str) -> object:
    """What a run has; data with their revision, and the default of what its source leaves out."""
    if name in _DATA:
        return next((run.data[word] for word in _DATA[name] if word in run.data), None)
    field = all_hyperparameters().get(name)
    return run.settings.get(name, field.default if field else None)
