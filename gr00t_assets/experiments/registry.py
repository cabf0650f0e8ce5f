"""Trainers by name, found through the entry point group ``gr00t_assets.trainers``.

A trainer may live outside this package; nothing here imports one before it is asked for.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import create_model
from pydantic.fields import FieldInfo

from gr00t_assets.core.errors import SweepError
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.experiments.hyperparameters import Hyperparameters

GROUP = "gr00t_assets.trainers"
DEFAULT_TRAINER = "native"
"""Of experiments whose sweep file names none."""


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def trainer_names() -> tuple[str, ...]:
    """Names of the installed trainers, the default one first; none is loaded."""
    return tuple(sorted(_entry_points(), key=lambda name: (name != DEFAULT_TRAINER, name)))


def trainer_problem(name: str) -> str | None:
    """What keeps a name from being that of a trainer; ``None`` where nothing does."""
    try:
        trainer_named(name)
    except SweepError as error:
        return "; ".join((error.problem.rstrip("."), *error.details))
    return None


@cache
def trainer_named(name: str) -> Any:
    """The trainer of a name, a ``gr00t_assets.trainers.base.Trainer``.

    Raises:
        SweepError: It is not installed, cannot be imported, or is not what its entry point says.
    """
    if not (points := _entry_points()):
        remedy = "reinstall gr00t-assets with: pip install -e ."
        raise SweepError(name, "no trainer is installed.", [remedy])
    if (point := points.get(name)) is None:
        hint = did_you_mean(name, trainer_names())
        raise SweepError(name, f"there is no trainer '{name}'.", [hint])
    try:
        trainer = point.load()()
        model = trainer.hyperparameters
    except Exception as error:
        cause = f"{point.value}: {type(error).__name__}: {error}"
        details = [cause, "repair or uninstall its package"]
        raise SweepError(name, "this trainer cannot be loaded.", details) from error
    if trainer.name != name or not issubclass(model, Hyperparameters):
        expected = "its hyperparameters must extend Hyperparameters"
        details = [f"its name is '{trainer.name}'", expected]
        raise SweepError(name, f"{point.value} is no trainer of this name.", details)
    return trainer


def loadable_trainers() -> list[Any]:
    """Every installed trainer that can be loaded, the default one first."""
    return [trainer_named(name) for name in trainer_names() if trainer_problem(name) is None]


def hyperparameters_model(trainer: str) -> type[Hyperparameters]:
    """What a trainer takes; raises as ``trainer_named``."""
    return trainer_named(trainer).hyperparameters


@cache
def combined_hyperparameters() -> type[Hyperparameters]:
    """A model with every hyperparameter of the loadable trainers, those of the default one first.

    Where two trainers have one of the same name it is the first one's.
    """
    own: dict[str, Any] = {}
    for trainer in loadable_trainers():
        for name, field in trainer.hyperparameters.model_fields.items():
            if name not in Hyperparameters.model_fields:
                own.setdefault(name, (field.annotation, field))
    return create_model("CombinedHyperparameters", __base__=Hyperparameters, **own)


def all_hyperparameters() -> dict[str, FieldInfo]:
    """The hyperparameters of ``combined_hyperparameters`` by name."""
    return combined_hyperparameters().model_fields
