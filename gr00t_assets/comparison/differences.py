"""What a run, or an experiment that is proposed, has otherwise than another run, counted."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import computed_field

from gr00t_assets.comparison.contrasts.contrast import Change
from gr00t_assets.comparison.contrasts.factors import IMMATERIAL, factor_value, frames_are_equal
from gr00t_assets.comparison.run import TRAINABLE_PARTS, Run, samples_of, trainable_parts
from gr00t_assets.comparison.wording import in_words, label, low_to_high, other_than
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import all_hyperparameters, combined_hyperparameters

DEFAULTS = "defaults"
"""The baseline that is the defaults of the trainers' hyperparameters."""

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
    """What two runs have otherwise.

    Attributes:
        run: What the run is called.
        baseline: What the one that it is held against is called.
        changes: What differs, the baseline's value ``low``; data first, what cannot matter last.
        unknown: Settings that only one of the two is known to have.
    """

    run: str
    baseline: str
    changes: tuple[Change, ...]
    unknown: tuple[str, ...] = ()

    @computed_field
    @property
    def changed(self) -> tuple[Change, ...]:
        """What can change the result."""
        return tuple(change for change in self.changes if change.material)

    @computed_field
    @property
    def immaterial(self) -> tuple[Change, ...]:
        """What cannot."""
        return tuple(change for change in self.changes if not change.material)

    @computed_field
    @property
    def count(self) -> int:
        """Number of differences that can change the result."""
        return len(self.changed)

    @computed_field
    @property
    def sentence(self) -> str:
        """The difference in words, counted.

        Example:
            ``qbk0btb6 is not d9pawzt8: 4 things differ that matter, batch_size 5, not 32; ...``
        """
        if not self.changes:
            return f"{self.run} equals {self.baseline} in everything that is known of both."
        if not self.changed:
            text = f"{self.run} equals {self.baseline} in all that matters"
        else:
            things = f"{self.count} things differ that matter"
            if self.count == 1:
                things = "1 thing differs that matters"
            items = "; ".join(map(other_than, self.changed))
            text = f"{self.run} is not {self.baseline}: {things}, {items}"
        if self.immaterial:
            text += f"; besides, {in_words(self.immaterial, other_than)}"
        return f"{text}."


class NearestRun(NamedTuple):
    """The run that a proposal resembles most.

    Attributes:
        run: The run.
        changes: What the proposal has otherwise, as ``low`` the run's and as ``high`` its own.
    """

    run: Run
    changes: tuple[Change, ...]


def baseline_named(text: str, runs: Sequence[Run]) -> Run:
    """The run that a person means, or the defaults as if they were one.

    Raises:
        ComparisonError: There is no such run, or the name is that of several.
    """
    if text == DEFAULTS:
        return _defaults()
    by_id = [run for run in runs if run.run_id == text]
    named = by_id or [run for run in runs if run.name == text]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(run.run_id for run in named)
        raise ComparisonError(text, "several runs have this name.", [f"take an id: {ids}"])
    names = dict.fromkeys([DEFAULTS, *map(label, runs)])
    raise ComparisonError(text, "there is no such run to be a baseline.",
                          [did_you_mean(text, names)])  # fmt: skip


def difference(run: Run, baseline: Run) -> Difference:
    """What a run has otherwise than the baseline; a setting that one does not know is unknown."""
    changes: list[Change] = []
    unknown: list[str] = []
    for name in dict.fromkeys([*baseline.data, *run.data]):
        before, after = baseline.data.get(name), run.data.get(name)
        if before is None or after is None:
            unknown += [name] if baseline.data else []
        elif before != after:
            changes.append(Change(name, before, after))
    immaterial = _immaterial(run, baseline)
    for name in _setting_names(run.settings, baseline.settings):
        before, after = factor_value(baseline, name), factor_value(run, name)
        if before is None or after is None:
            unknown.append(name)
        elif before != after:
            changes.append(Change(name, before, after, name not in immaterial))
    changes.sort(key=lambda change: not change.material)
    against = "the defaults" if baseline.run_id == DEFAULTS else label(baseline)
    return Difference(label(run), against, tuple(changes), tuple(unknown))


def proposal_words(experiment: Experiment, runs: Sequence[Run]) -> tuple[str, bool]:
    """What a proposed experiment is beside the runs, in a sentence, and whether it is one of them.

    Example:
        "changes 4 factors against very_low_lr (ch7f65x3): batch size 1 to 8, ..."
    """
    settings = proposal_settings(experiment)
    equal = equal_run(settings, runs)
    if equal is not None:
        loss = f", loss {equal.loss.mean:.4g}" if equal.loss else ""
        text = f"refused: this is {equal.name} ({equal.run_id}), which is {equal.status}{loss}"
        return text, True
    nearest = nearest_run(settings, runs)
    if nearest is None:
        return "no finished run to hold it against", False
    changes = [change for change in nearest.changes if change.material and not change.implied]
    count = f"{len(changes)} factor{'' if len(changes) == 1 else 's'}"
    run = nearest.run
    changed = in_words(changes, low_to_high)
    return f"changes {count} against {run.name} ({run.run_id}): {changed}", False


def equal_run(settings: Mapping[str, object], runs: Sequence[Run]) -> Run | None:
    """The run that has every one of these settings already; None where there is none.

    Only what is stated counts: ``{"lr_scheduler_type": "cosine"}`` alone is equal to any run with
    that schedule. A run whose dataset is known by its hash alone may be on any. What a run's
    source does not tell is taken to be the script's default. Settings that change nothing that is
    learned are passed over; another seed is another run.

    Args:
        settings: Hyperparameters by name; also ``dataset``, ``data_config``, ``trainer`` and
            ``base_model`` where the proposal says them.
        runs: Those that failed or are missing do not count.

    Returns:
        The finished one where several are equal, else the first.
    """
    stated = {name: value for name, value in settings.items() if name not in IMMATERIAL}
    if not stated:
        return None
    equal = [
        run
        for run in runs
        if run.status in TAKEN and all(_has(run, name, value) for name, value in stated.items())
    ]
    return next((run for run in equal if run.finished), equal[0] if equal else None)


def nearest_run(settings: Mapping[str, object], runs: Sequence[Run]) -> NearestRun | None:
    """The finished run with the fewest changed factors, and those; None without any run.

    Trainable parts are one factor. Of equally near runs the one with the lowest loss is taken.
    """
    best: tuple[tuple[bool, int, float], NearestRun] | None = None
    for run in runs:
        if not run.finished or run.loss is None:
            continue
        changes = changed_factors(settings, run)
        other_data = any(change.factor in _DATA for change in changes)
        material = sum(change.material for change in changes)
        key = (other_data, material, run.loss.mean)
        if best is None or key < best[0]:
            best = key, NearestRun(run, changes)
    return best[1] if best else None


def changed_factors(settings: Mapping[str, object], run: Run) -> tuple[Change, ...]:
    """What a proposal has otherwise than a run, each factor once.

    Samples seen are listed where they differ, as implied: they follow from the others.
    """
    changes: list[Change] = []
    parts: list[str] = []
    for name, value in settings.items():
        if _has(run, name, value):
            continue
        if name in TRAINABLE_PARTS:
            parts.append(name)
        else:
            changes.append(Change(name, _known(run, name), value, name not in IMMATERIAL))
    if parts:
        low, high = run.settings, {**run.settings, **settings}
        changes.append(Change("trainable_parts", trainable_parts(low), trainable_parts(high)))
    samples = samples_of({**run.settings, **settings})
    if samples and run.samples_seen and samples != run.samples_seen:
        changes.append(Change("samples_seen", run.samples_seen, samples, implied=True))
    return tuple(sorted(changes, key=lambda change: (change.implied, not change.material)))


def proposal_settings(experiment: Experiment) -> dict[str, Any]:
    """An experiment of a sweep file in the words of :func:`equal_run`."""
    return {
        **experiment.hyperparameters.model_dump(),
        "dataset": experiment.dataset,
        "trainer": experiment.trainer,
        "base_model": experiment.base_model,
    }


def _setting_names(own: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    present = {**own, **other}
    order = dict.fromkeys([*all_hyperparameters(), *present])
    names = [name for name in order if name in present and name not in TRAINABLE_PARTS]
    if not (own.get("lora_rank") or other.get("lora_rank")):
        names = [name for name in names if name not in ("lora_alpha", "lora_dropout")]
    tuned = any(name in own for name in TRAINABLE_PARTS)
    return [*names, *(["trainable_parts"] if tuned else [])]


def _immaterial(run: Run, baseline: Run) -> set[str]:
    equal = frames_are_equal(run) and (not baseline.data or frames_are_equal(baseline))
    return {"seed", *IMMATERIAL, *(("video_backend", "frame_source") if equal else ())}


def _defaults() -> Run:
    settings = combined_hyperparameters().model_validate({})
    return Run(
        run_id=DEFAULTS,
        name=DEFAULTS,
        source="table",
        status="missing",
        settings=settings.model_dump(),
        data={},
        frames="not verified",
        steps=None,
        max_steps=settings.max_steps,
        samples_seen=None,
    )


def _has(run: Run, name: str, value: object) -> bool:
    if name in _DATA:
        word = next((run.data[word] for word in _DATA[name] if word in run.data), None)
        return word is None or _same_word(name, word, str(value))
    if name in ("video_backend", "frame_source") and frames_are_equal(run):
        return True
    return _known(run, name) == value


def _same_word(name: str, word: str, value: str) -> bool:
    """A trainer and a base model are told with their revision; a hash tells no name."""
    if name in ("dataset", "data_config") and _HASH.fullmatch(word):
        return True
    return word == value or word.startswith(f"{value} ")


def _known(run: Run, name: str) -> object:
    if name in _DATA:
        return next((run.data[word] for word in _DATA[name] if word in run.data), None)
    field = all_hyperparameters().get(name)
    return run.settings.get(name, field.default if field else None)
