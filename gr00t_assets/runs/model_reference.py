"""From what a person types to weights on disk: of a run, of one of its checkpoints, promoted."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gr00t_assets.core.checksums import read_sealed
from gr00t_assets.core.errors import CheckpointError, EvaluationError, Gr00tAssetsError
from gr00t_assets.core.files import folders
from gr00t_assets.core.project import Store, materialize_command
from gr00t_assets.experiments.sweeps import experiments_by_name, find_experiment, load_sweeps
from gr00t_assets.runs.checkpoint_choice import (
    MODELS,
    BestWeights,
    StoredWeights,
    best_weights,
    stored_weights,
)
from gr00t_assets.runs.manifest import MANIFEST, load_manifest
from gr00t_assets.runs.model_files import PROMOTION
from gr00t_assets.runs.run_directory import CHECKPOINTS, MODEL
from gr00t_assets.runs.spec import SPEC, current_config_hash, load_spec

LAST, BEST = "last", "best"
"""What may stand behind ``@`` beside a step."""

_EVERY = re.compile(r"every[ :=]*([1-9]\d*)")


class ModelReference(NamedTuple):
    """Weights that a trainer opens.

    Attributes:
        name: ``EXPERIMENT``, or ``EXPERIMENT@STEP`` of a checkpoint.
        directory: What ``Trainer.open_policy`` opens.
        trainer: Its name.
        run_directory: Of the run; None for a promoted model, which stands for itself.
        step: Of a checkpoint; None for the final weights of a run.
        why: Why these, where the best ones were asked for.
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
        promoted = promoted_folders(target)
        if selector is None and len(promoted) == 1 and _run_is_gone(target, promoted[0]):
            return _in_folder(promoted[0])
        if not promoted:
            raise
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
    """The weights of a run: the final ones, or a step's, the last or the best.

    Raises:
        CheckpointError: The run has no such weights; those that it has are named.
    """
    stored = stored_weights(run_directory)
    wanted, why = None, None
    if selector == BEST:
        best = best_weights(run_directory)
        if not isinstance(best, BestWeights):
            remedy = f"evaluate them: gr00t-assets evaluate {run_directory} --checkpoints all"
            problem = "which of its checkpoints is best cannot be told."
            raise CheckpointError(str(run_directory), problem, [best, remedy])
        wanted, why = best
    elif selector == LAST:
        wanted = next(reversed(stored), None)
    elif selector is None:
        wanted = next((weights for weights in stored if weights.final), None)
    elif selector.isdecimal():
        wanted = next((weights for weights in stored if weights.step == int(selector)), None)
    if wanted is None:
        raise _no_weights(run_directory, selector, stored)
    return _reference(run_directory, wanted, why)


def asked_checkpoints(run_directory: Path, asked: str) -> list[ModelReference]:
    """Weights of a run in order of their steps.

    Args:
        run_directory: Of the run, which may still train.
        asked: ``all`` of them; the ``last``; ``every N``: those of steps that N divides, and the
            final weights.

    Raises:
        EvaluationError: ``asked`` is none of these.
        CheckpointError: The run has none of them.
    """
    stored, every = stored_weights(run_directory), _EVERY.fullmatch(asked.strip())
    if asked == LAST:
        chosen: Sequence[StoredWeights] = stored[-1:]
    elif asked == "all":
        chosen = stored
    elif every:
        chosen = [item for item in stored if item.final or item.step % int(every[1]) == 0]
    else:
        problem = "this does not say which checkpoints."
        raise EvaluationError(asked, problem, ["expected all, last, or 'every N', N in steps"])
    if not chosen:
        raise _no_weights(run_directory, asked, stored)
    return [_reference(run_directory, weights) for weights in chosen]


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
    experiment, store = find_experiment(target, load_sweeps()), Store.from_environment()
    try:
        directory = store.run_directory(target, current_config_hash(experiment, store))
    except Gr00tAssetsError as error:
        raise EvaluationError(target, error.problem, error.details) from error
    if directory.is_dir():
        return directory
    parent = directory.parent
    runs = sorted(path.name for path in parent.iterdir()) if parent.is_dir() else []
    raise EvaluationError(
        target,
        "its present configuration was not run.",
        [
            f"its config hash is {directory.name}; runs in the store: {', '.join(runs) or 'none'}",
            "to name an earlier one give its run directory",
            f"train: {materialize_command('checkpoint', target)}",
        ],
    )


def promoted_folders(experiment: str) -> list[Path]:
    """Folders of the promoted models of an experiment's name."""
    parent = Store.from_environment().root / MODELS
    if Path(experiment).name != experiment:
        return []
    return [path for path in folders(parent / experiment) if (path / PROMOTION).is_file()]


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (SPEC, MANIFEST))


def _run_is_gone(experiment: str, promoted: Path) -> bool:
    """Whether a promoted model stands for its experiment: no sweep has it, or it is the same."""
    known = experiments_by_name(load_sweeps()).get(experiment)
    if known is None:
        return True
    try:
        return promoted.name == current_config_hash(known, Store.from_environment())
    except Gr00tAssetsError:
        return False


def _in_folder(folder: Path, selector: str | None = None) -> ModelReference:
    if _is_run(folder):
        return model_of_run(folder, selector)
    parent = folder.absolute().parent
    if selector is None and (folder / PROMOTION).is_file():
        return _promoted(folder)
    if selector is None and folder.absolute().name == MODEL and _is_run(parent):
        return model_of_run(parent)
    if selector is None and parent.name == CHECKPOINTS and _is_run(parent.parent):
        for weights in stored_weights(parent.parent):
            if weights.directory == folder.absolute():
                return _reference(parent.parent, weights)
    problem = "this folder holds no weights that can be opened."
    expected = [
        f"expected a run directory with {SPEC}, its folder {MODEL}, a complete checkpoint of it,",
        f"or a promoted model with {PROMOTION}",
    ]
    raise CheckpointError(str(folder), problem, expected)


def _promoted(folder: Path) -> ModelReference:
    try:
        record = read_sealed(folder / PROMOTION)
        name, trainer, step = record["experiment"], record["trainer"], record.get("step")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        problem = "this is not the record of a promotion."
        raise CheckpointError(str(folder / PROMOTION), problem, [str(error)]) from error
    return ModelReference(_named(name, step), folder, trainer, None, step)


def _reference(
    run_directory: Path, weights: StoredWeights, why: str | None = None
) -> ModelReference:
    manifest, step = load_manifest(run_directory), None if weights.final else weights.step
    if manifest is not None:
        name, trainer = manifest.experiment, manifest.trainer
    else:
        experiment = load_spec(run_directory / SPEC).experiment
        name, trainer = experiment.name, experiment.trainer
    return ModelReference(_named(name, step), weights.directory, trainer, run_directory, step, why)


def _named(experiment: str, step: int | None) -> str:
    return experiment if step is None else f"{experiment}@{step}"


def _no_weights(
    run_directory: Path, selector: str | None, stored: Sequence[StoredWeights]
) -> CheckpointError:
    steps = ", ".join(f"{item.step}{' (final)' if item.final else ''}" for item in stored)
    details = [f"steps of the weights that it has: {steps or 'none'}"]
    if selector is None:
        manifest = load_manifest(run_directory)
        state = f"it is {manifest.status}" if manifest else "it was never finished"
        problem = f"this run has no final weights: {state}."
        details.append("train it to its end, or give a checkpoint: EXPERIMENT@STEP, or @last")
    else:
        problem = f"this run has no weights '{selector}'."
        details.append(f"give one of these steps, {LAST} or {BEST} after the '@'")
    return CheckpointError(str(run_directory), problem, details)
