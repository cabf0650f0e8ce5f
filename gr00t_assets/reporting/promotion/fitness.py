"""Whether a run is good enough to be promoted, and everything that speaks against it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

from gr00t_assets.comparison.run import unrankable
from gr00t_assets.core.errors import Gr00tAssetsError, PromotionError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.result import Evaluation, again, load_evaluation
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import TrainingSpec, current_config_hash, load_spec
from gr00t_assets.trainers.run_problems import (
    WEIGHTS,
    Problem,
    config_problem,
    loss_problem,
    record_check,
    weights_problem,
)

CHECKS: dict[str, Callable[[Path], Problem]] = {
    "loss_is_finite": loss_problem,
    WEIGHTS: weights_problem,
    "config_matches_run": config_problem,
}
"""What a promoted model has passed; one that the manifest does not record is made now."""


class Fit(NamedTuple):
    """A run that may be promoted; its store may have been moved since it trained."""

    directory: Path
    spec: TrainingSpec
    manifest: Manifest
    evaluation: Evaluation
    checks: dict[str, bool]


def require_fit(experiment: Experiment, store: Store) -> Fit:
    """The run of an experiment's present configuration, where nothing speaks against it.

    Raises:
        PromotionError: Every reason at once: it is not finished, stale, failed a check, was not
            evaluated, or its frames are not verified.
        DatasetError: Its dataset has no modality config, so that its configuration is not known.
    """
    directory = store.run_directory(experiment.name, current_config_hash(experiment, store))
    manifest = load_manifest(directory)
    if manifest is None:
        _refuse(experiment, [_missing(experiment, directory)])
    reasons: list[str] = []
    finished = manifest.status == "finished"
    if not finished:
        at = f"at step {manifest.steps} of {manifest.max_steps}"
        reasons.append(f"it is not finished: {manifest.status} {at}")
    elif reason := unrankable(manifest):
        reasons.append(reason)
    if finished and not (directory / MODEL).is_dir():
        reasons.append("its final weights are not there any more: train it again")
    checks = dict(manifest.checks)
    if not reasons:
        checks, failed = _checked(directory, manifest)
        reasons += failed
    else:
        reasons += [f"failed check {name}" for name, passed in checks.items() if not passed]
    if not manifest.frames_verified:
        reasons.append(
            "it trained on frames that are not verified: use the frame cache, or a video backend "
            "that gives the right frames"
        )
    evaluation, missing = _evaluated(directory, finished)
    reasons += missing
    try:
        spec = load_spec(directory / "spec.json")
    except Gr00tAssetsError as error:
        reasons.append(f"its spec cannot be read: {error.problem}")
        spec = None
    if reasons or spec is None or evaluation is None:
        _refuse(experiment, reasons)
    return Fit(directory, spec, manifest, evaluation, checks)


def _missing(experiment: Experiment, directory: Path) -> str:
    older = sorted(path.parent.name for path in directory.parent.glob("[!.]*/manifest.json"))
    if directory.is_dir():
        return "it is not finished: it trains, or was killed; materialise it to go on"
    if older:
        return (
            f"its runs are stale ({', '.join(older)}): the configuration or the data changed "
            f"since, and {directory.name} has not been trained"
        )
    return f"it has not been trained: materialise checkpoint for {experiment.name}"


def _checked(directory: Path, manifest: Manifest) -> tuple[dict[str, bool], list[str]]:
    checks, failed = dict(manifest.checks), []
    # All are made before any is recorded: weights older than the manifest are not loaded again.
    problems = {name: find(directory) for name, find in CHECKS.items()}
    for name, problem in problems.items():
        checks[name] = problem is None
        record_check(directory, name, problem is None)
        if problem is not None:
            failed.append(f"failed check {name}: {problem}")
    others = [name for name, passed in manifest.checks.items() if not passed]
    return checks, failed + [f"failed check {name}" for name in others if name not in CHECKS]


def _evaluated(directory: Path, finished: bool) -> tuple[Evaluation | None, list[str]]:
    try:
        evaluation = load_evaluation(directory)
    except Gr00tAssetsError as error:
        return None, [f"its evaluation cannot be read: {error.problem}"]
    if evaluation is None:
        return None, [f"it was not evaluated: {again(directory)}"]
    from gr00t_assets.evaluation.run import model_hash

    if finished and evaluation.model_hash != model_hash(directory):
        return None, [f"its evaluation is of other weights: {again(directory)}"]
    return evaluation, []


def _refuse(experiment: Experiment, reasons: list[str]) -> NoReturn:
    raise PromotionError(experiment.name, "this model cannot be promoted.", reasons)
