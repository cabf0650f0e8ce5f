"""Whether a proposal has been run already, and how far it is from what has."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gr00t_assets.comparison.contrasts.configurations import frames_are_equal
from gr00t_assets.comparison.contrasts.contrast import Change
from gr00t_assets.comparison.contrasts.factors import (
    IMMATERIAL,
    samples_per_step,
    trainable_parts,
)
from gr00t_assets.comparison.contrasts.observation import TRAINABLE_PARTS, Observation
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters

TAKEN = frozenset({"finished", "unfinished", "interrupted", "pruned", "running"})
"""A run with one of these statuses stands for its settings; one that failed is tried again."""

_DATA = {
    "dataset": ("dataset", "dataset version"),
    "data_config": ("data config", "modality config"),
    "trainer": ("trainer",),
    "base_model": ("base model",),
}
"""Words of a proposal besides hyperparameters, with the words of ``Observation.data`` for them."""

_HASH = re.compile(r"[0-9a-f]{12,64}")
_DEFAULTS = Hyperparameters().model_dump()


class Nearest(NamedTuple):
    """The run that a proposal resembles most.

    Attributes:
        observation: The run.
        changes: What the proposal has otherwise, as ``low`` the run's and as ``high`` its own.
    """

    observation: Observation
    changes: tuple[Change, ...]


def equal_run(
    settings: Mapping[str, object], observations: Sequence[Observation]
) -> Observation | None:
    """The run that has every one of these settings already; None where there is none.

    Only what is stated counts: ``{"lr_scheduler_type": "cosine"}`` alone is equal to any run with
    that schedule. A run whose dataset is known by its hash alone may be on any. What a run's
    source does not tell is taken to be the script's default. Settings that change nothing that is
    learned are passed over; another seed is another run.

    Args:
        settings: Hyperparameters by name; also ``dataset``, ``data_config``, ``trainer`` and
            ``base_model`` where the proposal says them.
        observations: The runs. Those that failed or are missing do not count.

    Returns:
        The finished one where several are equal, else the first.
    """
    stated = {name: value for name, value in settings.items() if name not in IMMATERIAL}
    if not stated:
        return None
    found = [
        run
        for run in observations
        if run.status in TAKEN and all(_has(run, name, value) for name, value in stated.items())
    ]
    return next((run for run in found if run.finished), found[0] if found else None)


def nearest_run(
    settings: Mapping[str, object], observations: Sequence[Observation]
) -> Nearest | None:
    """The finished run with the fewest changed factors, and those; None without any run.

    Trainable parts are one factor. Of equally near runs the one with the lowest loss is taken.
    """
    best: tuple[tuple[bool, int, float], Nearest] | None = None
    for run in observations:
        if not run.finished or run.loss is None:
            continue
        changes = changed_factors(settings, run)
        other_data = any(change.factor in _DATA for change in changes)
        material = sum(change.material for change in changes)
        key = (other_data, material, run.loss.mean)
        if best is None or key < best[0]:
            best = key, Nearest(run, changes)
    return best[1] if best else None


def changed_factors(settings: Mapping[str, object], run: Observation) -> tuple[Change, ...]:
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


def samples_of(settings: Mapping[str, Any]) -> int | None:
    """Samples that a whole run with these settings sees; None where steps or batch are unknown."""
    per_step = samples_per_step(settings)
    if settings.get("max_steps") is None or per_step is None:
        return None
    return int(settings["max_steps"]) * per_step


def _has(run: Observation, name: str, value: object) -> bool:
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


def _known(run: Observation, name: str) -> object:
    if name in _DATA:
        return next((run.data[word] for word in _DATA[name] if word in run.data), None)
    return run.settings.get(name, _DEFAULTS.get(name))
