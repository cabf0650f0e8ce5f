"""Promotion: a model that has passed every check gets a card, a record, and a folder of its own."""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import Field

from gr00t_assets.comparison.all_runs import manifest_class
from gr00t_assets.comparison.run import class_id
from gr00t_assets.core.checksums import changed_files, file_hashes, read_sealed, sealed
from gr00t_assets.core.errors import CheckpointError, Gr00tAssetsError, PromotionError
from gr00t_assets.core.files import FrozenModel, published_directory, write_json
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.evaluation.open_loop import model_hash
from gr00t_assets.evaluation.result import Evaluation, again, load_evaluation
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.reporting.promotion.model_card import Promotable, model_card
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.model_files import PROMOTION, model_hashes, require_unchanged
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import current_config_hash, load_spec
from gr00t_assets.runs.stored_run import read_runs, unrankable
from gr00t_assets.trainers import run_checks

CARD = "README.md"

CHECKS: dict[str, Callable[[Path], run_checks.Problem]] = {
    "loss_is_finite": run_checks.loss_problem,
    run_checks.WEIGHTS: run_checks.weights_problem,
    "config_matches_run": run_checks.config_problem,
}
"""Checks of a finished run that a promoted model has passed; each is made anew."""

_OF_THE_MANIFEST = ("experiment", "sweep", "config_hash", "trainer", "trainer_revision",
                    "base_model", "base_model_revision", "dataset", "dataset_version")  # fmt: skip


class Promotion(FrozenModel):
    """The record of a promoted model, beside its weights."""

    format: Literal[1] = 1
    experiment: str
    sweep: str
    config_hash: str
    promoted_at: str = Field(description="ISO 8601, UTC")
    commit: str | None = Field(
        description="Of the project, with '+changes' where files were changed; None without git"
    )
    trainer: str
    trainer_revision: str
    base_model: str
    base_model_revision: str | None
    dataset: str
    dataset_version: str
    comparability_class: str = Field(description="Its short id")
    loss: float = Field(description="Final loss, mean over the window")
    loss_standard_error: float | None = Field(
        description="Of that mean; None where the window is too short to tell it"
    )
    evaluation: str = Field(description="Content hash of the open-loop evaluation")
    checks: dict[str, bool]
    weights: dict[str, str] = Field(description="SHA-256 of each weights file, by name")
    files: dict[str, str] = Field(
        default_factory=dict,
        description="SHA-256 of the model's other files, by name; none in older promotions",
    )


def load_promotion(folder: Path) -> Promotion | None:
    """The record of a promoted model; None where the folder holds none.

    Raises:
        PromotionError: The file is there and is no such record, or not as it was written.
    """
    path = folder / PROMOTION
    if not path.is_file():
        return None
    try:
        return Promotion.model_validate(read_sealed(path))
    except (OSError, ValueError) as error:
        details = [str(error).splitlines()[0], f"move {folder.name} away and promote again"]
        text = "this is not the record of a promotion."
        raise PromotionError(str(path), text, details) from error


def promote(experiment: Experiment, store: Store) -> Promotion:
    """Promote the model of an experiment's present configuration.

    The folder ``models/<experiment>/<config hash>`` appears whole or not at all. What is promoted
    already stays as it is: promoting it again gives the record of the first time.

    Raises:
        PromotionError: Something speaks against it, or other weights were promoted before under
            the same configuration.
        CheckpointError: What was promoted before, or the copy made now, is damaged.
        StoreError: The disk is full.
    """
    run = require_promotable(experiment, store)
    folder = store.promoted_model(experiment.name, run.manifest.config_hash)
    model = run.directory / MODEL
    weights = file_hashes(model, model.glob("*.safetensors"))
    promotion = load_promotion(folder)
    if promotion is not None:
        return _unchanged(promotion, weights, folder)
    if folder.exists():
        hint = f"move it away and promote again: {folder}"
        raise PromotionError(experiment.name, "its place holds something else.", [hint])
    catalog = load_catalog()
    datasets = [catalog.get(dataset.name) for dataset in experiment.datasets]
    record = _record(run, weights)
    with published_directory(folder) as partial:
        shutil.copytree(model, partial, copy_function=_link_or_copy, dirs_exist_ok=True)
        (partial / CARD).unlink(missing_ok=True)
        if changed := changed_files(partial, {**record.weights, **record.files}):
            raise CheckpointError(str(partial), "the copy of the model is damaged.", changed)
        (partial / CARD).write_text(model_card(run, datasets), encoding="utf-8")
        write_json(partial / PROMOTION, sealed(record.model_dump(mode="json")))
    published = load_promotion(folder)  # another process may have published first
    return record if published is None else _unchanged(published, weights, folder)


def _unchanged(promotion: Promotion, weights: dict[str, str], folder: Path) -> Promotion:
    """The record of a former promotion, which has to be of the same weights."""
    if promotion.weights == weights:
        require_unchanged(folder)
        return promotion
    changed = sorted({name for name, _ in promotion.weights.items() ^ weights.items()})
    raise PromotionError(
        promotion.experiment,
        "another model was promoted under this configuration.",
        [
            f"promoted {promotion.promoted_at}; other weights now: {', '.join(changed)}",
            f"a promoted model is never replaced: move {folder} away first",
        ],
    )


def _record(run: Promotable, weights: dict[str, str]) -> Promotion:
    manifest = run.manifest
    recorded = model_hashes(manifest) or file_hashes(run.directory / MODEL)
    return Promotion(
        **{name: getattr(manifest, name) for name in _OF_THE_MANIFEST},
        promoted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=project_commit(),
        comparability_class=class_id(manifest_class(manifest, run.spec.experiment.hyperparameters)),
        loss=run.final_loss.mean,
        loss_standard_error=run.final_loss.standard_error,
        evaluation=run.evaluation.content_hash(),
        checks=run.checks,
        weights=weights,
        files={name: value for name, value in recorded.items() if name not in (*weights, CARD)},
    )


def require_promotable(experiment: Experiment, store: Store) -> Promotable:
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
        steps = f"step {manifest.steps} of {manifest.max_steps}"
        reasons.append(f"it is not finished: {manifest.status} at {steps}")
    elif reason := unrankable(manifest):
        reasons.append(reason)
    if finished and not (directory / MODEL).is_dir():
        reasons.append("its final weights are not there any more: train it again")
    checks, failed = _checked(directory, manifest, anew=not reasons)
    reasons += failed
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
    stored = next(
        run for run in read_runs([experiment], store) if run.config_hash == directory.name
    )
    if stored.final_loss is None:
        _refuse(experiment, ["it has no final loss"])
    return Promotable(directory, spec, manifest, stored.final_loss, evaluation, checks)


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


def _checked(directory: Path, manifest: Manifest, anew: bool) -> tuple[dict[str, bool], list[str]]:
    # Recorded after all were made: weights older than the manifest are not loaded again.
    problems = {name: check(directory) for name, check in CHECKS.items()} if anew else {}
    for name, problem in problems.items():
        run_checks.record_check(directory, name, problem is None)
    checks = manifest.checks | {name: problem is None for name, problem in problems.items()}
    others = [name for name, passed in checks.items() if not passed and name not in problems]
    reasons = [f"failed check {name}: {problem}" for name, problem in problems.items() if problem]
    return checks, [*reasons, *(f"failed check {name}" for name in others)]


def _evaluated(directory: Path, finished: bool) -> tuple[Evaluation | None, list[str]]:
    try:
        evaluation = load_evaluation(directory)
    except Gr00tAssetsError as error:
        return None, [f"its evaluation cannot be read: {error.problem}"]
    if evaluation is None:
        return None, [f"it was not evaluated: {again(directory)}"]
    if finished and evaluation.model_hash != model_hash(directory):
        return None, [f"its evaluation is of other weights: {again(directory)}"]
    return evaluation, []


def _refuse(experiment: Experiment, reasons: list[str]) -> NoReturn:
    raise PromotionError(experiment.name, "this model cannot be promoted.", reasons)


def project_commit() -> str | None:
    """Commit of the project's checkout, with ``+changes`` where tracked files were changed."""
    command = ["git", "-C", str(project_root()), "describe", "--always", "--abbrev=40",
               "--exclude=*", "--dirty=+changes"]  # fmt: skip
    try:
        described = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.decode().strip()


def _link_or_copy(source: str, target: str) -> None:
    """A hard link where the file system can, else a copy."""
    try:
        os.link(Path(source).resolve(), target)
    except OSError:
        shutil.copy2(source, target)
