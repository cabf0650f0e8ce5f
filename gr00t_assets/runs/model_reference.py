"""From what a person types to weights on disk: of a run, of one of its checkpoints, promoted."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gr00t_assets.core.errors import CheckpointError, EvaluationError, Gr00tAssetsError
from gr00t_assets.core.files import folders
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.experiments.project_files import read_project
from gr00t_assets.experiments.registry import DEFAULT_TRAINER
from gr00t_assets.runs.checkpoint_choice import (
    MODELS,
    best_weights,
    evaluated_on_seen_alone,
    stored_weights,
)
from gr00t_assets.runs.checkpoint_layout import PROMOTION, read_promotion
from gr00t_assets.runs.manifest import MANIFEST, load_manifest
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import SPEC, TrainingSpec, current_config_hash, load_spec, make_spec

NVIDIAS_N17 = ("processor_config.json", "processor/processor_config.json")
"""Of a model of N1.7 that Isaac-GR00T trained, one of these files says what is done to its data."""


class ModelReference(NamedTuple):
    """Weights that a trainer opens, called ``EXPERIMENT``, or ``EXPERIMENT@STEP`` of a checkpoint.

    A promoted model stands for itself and has no ``run_directory``, final weights have no ``step``.
    ``why`` says why these, where the best ones were asked for.
    """

    name: str
    directory: Path
    trainer: str
    run_directory: Path | None
    step: int | None
    why: str | None = None


def find_model(reference: str) -> ModelReference:
    """The weights that a person means.

    Args:
        reference: ``EXPERIMENT`` or a run directory for the final weights; either with ``@STEP``,
            ``@last`` or ``@best`` for a checkpoint; the folder of a checkpoint, of a run's model
            or of a promoted model; or the name of a promoted model whose run is gone.

    Raises:
        Gr00tAssetsError: There are none, or there is more than one choice.
    """
    if Path(reference).is_dir():
        return _in_folder(Path(reference))
    target, selector = split_reference(reference)
    if Path(target).is_dir():
        return _in_folder(Path(target), selector)
    try:
        return model_of_run(find_run(target), selector)
    except Gr00tAssetsError as error:
        store, is_name = Store.from_environment(), Path(target).name == target
        inner = folders(store.root / MODELS / target) if is_name else []
        promoted = [path for path in inner if (path / PROMOTION).is_file()]
        if selector is None and len(promoted) == 1:
            with suppress(Gr00tAssetsError):
                known = read_project().experiments.get(target)
                if known is None or promoted[0].name == current_config_hash(known, store):
                    return _in_folder(promoted[0])
        hints = [f"promoted: {folder}" for folder in promoted]
        raise type(error)(error.subject, error.problem, [*error.details, *hints]) from error


def split_reference(reference: str) -> tuple[str, str | None]:
    """A reference and what stands behind its last ``@``.

    Examples:
        >>> split_reference("low-lr@best"), split_reference("low-lr")
        (('low-lr', 'best'), ('low-lr', None))
    """
    target, at, selector = reference.rpartition("@")
    return (target, selector) if at else (reference, None)


def model_of_run(run_directory: Path, selector: str | None = None) -> ModelReference:
    """The weights of a run: the final ones, or a step's, the ``last`` or the ``best``.

    Raises:
        CheckpointError: The run has no such weights; those that it has are named.
    """
    if selector == "best":
        best = best_weights(run_directory)
        if isinstance(best, str):
            remedy = f"evaluate them: gr00t-assets evaluate {run_directory} --checkpoints all"
            if evaluated_on_seen_alone(run_directory):
                last = f"{run_directory.parent.name}@{max(stored_weights(run_directory))}"
                remedy = f"no episode of its data is held out: name a step, as {last}"
            problem = "which of its checkpoints is best cannot be told."
            raise CheckpointError(str(run_directory), problem, [best, remedy])
        return _reference(run_directory, *best)
    if selector == "last":
        return asked_checkpoints(run_directory, selector)[-1]
    stored = stored_weights(run_directory)
    for step, folder in stored.items():
        if folder.name == MODEL if selector is None else str(step) == selector.lstrip("0"):
            return _reference(run_directory, step, folder)
    manifest = load_manifest(run_directory)
    state = "it was never finished"
    if manifest is not None:
        state = f"it is {manifest.status} at step {manifest.steps} of {manifest.max_steps}"
        if manifest.status == "finished":
            state = "they are not there any more"
    missing = f"weights '{selector}'" if selector is not None else f"final weights: {state}"
    raise _no_weights(run_directory, missing, stored)


def asked_checkpoints(run_directory: Path, asked: str) -> list[ModelReference]:
    """Weights of a run, which may still train, in order of their steps.

    ``asked`` are ``all`` of them; the ``last``; ``every N``: those of steps that N divides, and the
    final weights.

    Raises:
        EvaluationError: ``asked`` is none of these.
        CheckpointError: The run has none of them.
    """
    every = re.fullmatch(r"every[ :=]*([1-9]\d*)", asked.strip())
    if asked not in ("all", "last") and not every:
        problem = "this does not say which checkpoints."
        raise EvaluationError(asked, problem, ["expected all, last, or 'every N', N in steps"])
    stored, divisor = stored_weights(run_directory), int(every[1]) if every else 1
    chosen = [
        _reference(run_directory, step, folder)
        for step, folder in stored.items()
        if folder.name == MODEL or step % divisor == 0
    ]
    if not chosen:
        raise _no_weights(run_directory, f"weights '{asked}'", stored)
    return chosen[-1:] if asked == "last" else chosen


def find_run(target: str) -> Path:
    """The run directory that a person means: a path, or an experiment's name.

    Raises:
        Gr00tAssetsError: There is neither, or the experiment's present configuration was not run.
    """
    path = Path(target)
    if _is_run(path):
        return path
    if path.is_dir():
        problem = "this folder is no run directory."
        raise EvaluationError(target, problem, [f"expected {SPEC} and {MANIFEST} in it"])
    experiment, store = read_project().experiments[target], Store.from_environment()
    try:
        directory = store.run_directory(target, current_config_hash(experiment, store))
    except Gr00tAssetsError as error:
        raise EvaluationError(target, error.problem, error.details) from error
    if directory.is_dir():
        return directory
    runs = ", ".join(run.name for run in folders(directory.parent)) or "none"
    details = [
        f"its config hash is {directory.name}; runs in the store: {runs}",
        "to name an earlier one give its run directory",
        f"train: {materialize_command('checkpoint', target)}",
    ]
    raise EvaluationError(target, "its present configuration was not run.", details)


def asked_spec(target: str) -> TrainingSpec:
    """What a person wants trained: an experiment as it is now, a run directory or a spec file.

    Raises:
        Gr00tAssetsError: There is none of these, or the experiment's data is not in the store.
    """
    path = Path(target)
    if _is_run(path):
        return load_spec(path / SPEC)
    if path.suffix == ".json":
        return load_spec(path)
    return make_spec(read_project().experiments[target], Store.from_environment())


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (SPEC, MANIFEST))


def _in_folder(given: Path, selector: str | None = None) -> ModelReference:
    folder = given.absolute()
    if _is_run(folder):
        return model_of_run(given, selector)
    if selector is None and (promoted := read_promotion(folder)):
        name = _named(promoted.experiment, promoted.step)
        return ModelReference(name, given, promoted.trainer, None, promoted.step)
    run = next(filter(_is_run, folder.parents[:2]), None)
    if selector is None and run is not None:
        for step, directory in stored_weights(run).items():
            if directory == folder:
                return _reference(run, step, directory)
    if selector is None and any((folder / name).is_file() for name in NVIDIAS_N17):
        return ModelReference(folder.name, given, DEFAULT_TRAINER, None, None)
    expected = [
        f"expected a run directory with {SPEC}, its folder {MODEL}, a complete checkpoint of it,",
        f"a promoted model with {PROMOTION}, or an N1.7 with {NVIDIAS_N17[0]}",
    ]
    problem = "this folder holds no weights that can be opened."
    raise CheckpointError(str(given), problem, expected)


def _reference(
    run_directory: Path, step: int, directory: Path, why: str | None = None
) -> ModelReference:
    manifest, at = load_manifest(run_directory), None if directory.name == MODEL else step
    if manifest is not None:
        name, trainer = manifest.experiment, manifest.trainer
    else:
        experiment = load_spec(run_directory / SPEC).experiment
        name, trainer = experiment.name, experiment.trainer
    return ModelReference(_named(name, at), directory, trainer, run_directory, at, why)


def _named(experiment: str, step: int | None) -> str:
    return experiment if step is None else f"{experiment}@{step}"


def _no_weights(run: Path, missing: str, stored: Mapping[int, Path]) -> CheckpointError:
    final = " (final)"
    steps = ", ".join(f"{n}{final if path.name == MODEL else ''}" for n, path in stored.items())
    details = [
        f"steps of the weights that it has: {steps or 'none'}",
        "give one of these steps, last or best after an '@', or train it to its end",
    ]
    return CheckpointError(str(run), f"this run has no {missing}.", details)
