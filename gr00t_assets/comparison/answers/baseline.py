"""What a run has otherwise than the one it is held against, counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gr00t_assets.comparison.answers.words import label, listed, shown
from gr00t_assets.comparison.contrasts.configurations import frames_are_equal
from gr00t_assets.comparison.contrasts.contrast import Change
from gr00t_assets.comparison.contrasts.factors import IMMATERIAL, factor_value
from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation
from gr00t_assets.core.errors import ComparisonError
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.experiments.hyperparameters import Hyperparameters

DEFAULTS = "defaults"
"""The baseline that is the defaults of Isaac-GR00T's ``gr00t_finetune.py``."""


@dataclass(frozen=True)
class Difference:
    """What two runs have otherwise.

    Attributes:
        name: Of the run.
        baseline: Of the one that it is held against.
        changes: What differs, the baseline's value ``low``; data first, what cannot matter last.
        unknown: Settings that only one of the two is known to have.
    """

    name: str
    baseline: str
    changes: tuple[Change, ...]
    unknown: tuple[str, ...] = ()

    @property
    def material(self) -> tuple[Change, ...]:
        """What can change the result."""
        return tuple(change for change in self.changes if change.material)

    @property
    def immaterial(self) -> tuple[Change, ...]:
        """What cannot."""
        return tuple(change for change in self.changes if not change.material)

    @property
    def sentence(self) -> str:
        """The difference in words, counted.

        Example:
            ``qbk0btb6 is not d9pawzt8: 4 things differ that matter, batch_size 5, not 32, ...``
        """
        if not self.changes:
            return f"{self.name} equals {self.baseline} in everything that is known of both."
        words = [f"{one.factor} {shown(one.high)}, not {shown(one.low)}" for one in self.material]
        if not words:
            text = f"{self.name} equals {self.baseline} in all that matters"
        else:
            things = "1 thing differs that matters" if len(words) == 1 else ""
            things = things or f"{len(words)} things differ that matter"
            text = f"{self.name} is not {self.baseline}: {things}, {'; '.join(words)}"
        if self.immaterial:
            text += f"; besides, {listed([_both(one) for one in self.immaterial])}"
        return f"{text}."


def baseline_named(text: str, observations: Sequence[Observation]) -> Observation:
    """The run that a person means, or the defaults as if they were one.

    Raises:
        ComparisonError: There is no such run, or the name is that of several.
    """
    if text == DEFAULTS:
        return _defaults()
    by_id = [run for run in observations if run.run_id == text]
    found = by_id or [run for run in observations if run.name == text]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(run.run_id for run in found)
        raise ComparisonError(text, "several runs have this name.", [f"take an id: {ids}"])
    names = dict.fromkeys([DEFAULTS, *map(label, observations)])
    raise ComparisonError(text, "there is no such run to be a baseline.",
                          [did_you_mean(text, names)])  # fmt: skip


def difference(run: Observation, baseline: Observation) -> Difference:
    """What a run has otherwise than the baseline; a setting that either does not know is apart."""
    changes: list[Change] = []
    unknown: list[str] = []
    for name in dict.fromkeys([*baseline.data, *run.data]):
        before, after = baseline.data.get(name), run.data.get(name)
        if before is None or after is None:
            unknown += [name] if baseline.data else []
        elif before != after:
            changes.append(Change(name, before, after))
    immaterial = _immaterial(run, baseline)
    for name in _names(run.settings, baseline.settings):
        before, after = factor_value(baseline, name), factor_value(run, name)
        if before is None or after is None:
            unknown.append(name)
        elif before != after:
            changes.append(Change(name, before, after, name not in immaterial))
    changes.sort(key=lambda change: not change.material)
    return Difference(label(run), _name(baseline), tuple(changes), tuple(unknown))


def _names(one: Mapping[str, object], other: Mapping[str, object]) -> list[str]:
    order = dict.fromkeys([*Hyperparameters.model_fields, *one, *other])
    present = {**one, **other}
    names = [name for name in order if name in present and name not in TRAINABLE_PARTS]
    if not (one.get("lora_rank") or other.get("lora_rank")):
        names = [name for name in names if name not in ("lora_alpha", "lora_dropout")]
    tuned = any(name in one for name in TRAINABLE_PARTS)
    return [*names, *(["trainable_parts"] if tuned else [])]


def _immaterial(run: Observation, baseline: Observation) -> set[str]:
    equal = frames_are_equal(run) and (not baseline.data or frames_are_equal(baseline))
    return {"seed", *IMMATERIAL, *(("video_backend", "frame_source") if equal else ())}


def _name(baseline: Observation) -> str:
    return "the defaults" if baseline.run_id == DEFAULTS else label(baseline)


def _both(change: Change) -> str:
    return f"{change.factor} {shown(change.high)}, not {shown(change.low)}"


def _defaults() -> Observation:
    settings = Hyperparameters.model_validate({})
    return Observation(
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
