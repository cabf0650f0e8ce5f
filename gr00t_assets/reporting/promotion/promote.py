"""Promotion: a model that has passed every check gets a card, a record, and a folder of its own."""

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from gr00t_assets.comparison.all_runs import manifest_class
from gr00t_assets.comparison.run import class_id
from gr00t_assets.core.checksums import changed_files, file_hashes, sealed
from gr00t_assets.core.errors import CheckpointError, Gr00tAssetsError, PromotionError
from gr00t_assets.core.files import published_directory, write_json
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.datasets.catalog import project_entries
from gr00t_assets.evaluation.open_loop import stored_spec
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.reporting.promotion.gate import gate, read_evidence, reason_given
from gr00t_assets.reporting.promotion.model_card import Promotable, model_card
from gr00t_assets.reporting.promotion.record import (
    Promotion,
    load_promotion,
    promoted_folder,
    promoted_models,
)
from gr00t_assets.runs import checkpoint_layout
from gr00t_assets.runs.final_loss import LossWindow, final_window
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.model_reference import ModelReference, model_of_run
from gr00t_assets.runs.retry import link_or_copy
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import current_config_hash
from gr00t_assets.runs.stored_run import StoredRun, read_runs, unrankable
from gr00t_assets.serving.client import LATENCY
from gr00t_assets.trainers import run_checks
from gr00t_assets.trainers.run_files import write_data_files

CARD = "README.md"

CHECKS: dict[str, Callable[[Path], run_checks.Problem]] = {
    "loss_is_finite": run_checks.loss_problem,
    run_checks.WEIGHTS: run_checks.weights_problem,
    "config_matches_run": run_checks.config_problem,
}
"""Checks of a finished run that a promoted model has passed; each is made anew."""

_OF_THE_MANIFEST = ("experiment", "sweep", "config_hash", "trainer", "trainer_revision",
                    "base_model", "base_model_revision", "dataset", "dataset_version")  # fmt: skip


def promote(
    experiment: Experiment, store: Store, selector: str | None = None, because: str | None = None
) -> Promotion:
    """Promote weights of an experiment's present configuration; their folder appears whole.

    What is promoted already stays as it is: promoting it again gives the record of the first time,
    and the gate is not asked again. ``selector`` is the step of a checkpoint, ``last`` or ``best``,
    or the final weights if left out; ``because`` says why weights that do not pass the gate are.

    Raises:
        PromotionError: Something speaks against it, or other weights were promoted before under
            the same configuration.
        CheckpointError: What was promoted before, or the copy made now, is damaged.
        StoreError: The disk is full.
    """
    because = reason_given(because)
    run = require_promotable(experiment, store, selector)
    model, weights = run.model, run.model.directory
    folder = promoted_folder(store, experiment.name, run.manifest.config_hash, model.step)
    if (promotion := load_promotion(folder)) is not None:
        return _unchanged(promotion, run, folder)
    if folder.exists():
        hint = f"move it away and promote again: {folder}"
        raise PromotionError(experiment.name, "its place holds something else.", [hint])
    if run.gate.reasons and because is None:
        command = f'gr00t-assets model promote {model.name} --because "..."'
        _refuse(model.name, [*run.gate.reasons, f"to promote it all the same, say why: {command}"])
    with published_directory(folder) as partial:
        if model.step is None:
            shutil.copytree(weights, partial, copy_function=link_or_copy, dirs_exist_ok=True)
            (partial / CARD).unlink(missing_ok=True)
            recorded = checkpoint_layout.model_hashes(run.manifest) or file_hashes(weights)
            recorded.pop(CARD, None)
            if changed := changed_files(partial, recorded):
                raise CheckpointError(str(partial), "the copy of the model is damaged.", changed)
        else:
            checkpoint_layout.require_whole(weights, "take another checkpoint of the run")
            write_data_files(run.spec, partial)
            trainer = trainer_named(run.manifest.trainer)
            trainer.export_checkpoint(weights, run.spec, partial)
        record = _record(run, partial, because if run.gate.reasons else None)
        (partial / CARD).write_text(model_card(run, record), encoding="utf-8")
        write_json(partial / checkpoint_layout.PROMOTION, sealed(record.model_dump(mode="json")))
    published = load_promotion(folder)  # another process may have published first
    return record if published is None else _unchanged(published, run, folder)


def promoted_step(experiment: Experiment, store: Store) -> str | None:
    """The step that was promoted last of an experiment's present configuration; None: the end."""
    config_hash = current_config_hash(experiment, store)
    records = [model.record for model in promoted_models(store, experiment.name)]
    step = next((item.step for item in records if item and item.config_hash == config_hash), None)
    return None if step is None else str(step)


def _unchanged(promotion: Promotion, run: Promotable, folder: Path) -> Promotion:
    """The record of a former promotion, which has to be of the same weights."""
    if promotion.step is None:
        weights = run.model.directory
        same = promotion.weights == file_hashes(weights, weights.glob("*.safetensors"))
    else:  # what was exported has other files
        same = promotion.model_hash == run.evaluation.model_hash
    if same:
        checkpoint_layout.require_unchanged(folder)
        return promotion
    problem = "another model was promoted under this configuration."
    found = f"promoted {promotion.promoted_at}; the weights are others now"
    remedy = f"a promoted model is never replaced: move {folder} away first"
    raise PromotionError(promotion.experiment, problem, [found, remedy])


def _record(run: Promotable, model: Path, because: str | None) -> Promotion:
    manifest, held_out = run.manifest, run.evaluation.held_out
    files = file_hashes(model)
    weights = {name: files.pop(name) for name in list(files) if name.endswith(".safetensors")}
    return Promotion(
        **{name: getattr(manifest, name) for name in _OF_THE_MANIFEST},
        step=run.model.step,
        chosen=run.model.why,
        verdict=run.gate.verdict(because),
        reasons=run.gate.reasons,
        because=because,
        success={item.environment: item.rate for item in run.rollouts},
        held_out_error=held_out.error.mean if held_out else None,
        promoted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=project_commit(),
        comparability_class=class_id(manifest_class(manifest, run.spec.experiment.hyperparameters)),
        loss=run.final_loss.mean,
        loss_standard_error=run.final_loss.standard_error,
        evaluation=run.evaluation.content_hash(),
        model_hash=run.evaluation.model_hash,
        checks=run.checks,
        weights=weights,
        files={name: value for name, value in files.items() if name != LATENCY},
    )


def require_promotable(
    experiment: Experiment, store: Store, selector: str | None = None
) -> Promotable:
    """Weights of an experiment's present configuration, where nothing but the gate is against it.

    Raises:
        PromotionError: Every reason at once: it is not finished, stale, failed a check, was not
            evaluated, or its frames are not verified; those of the gate are among them.
        CheckpointError: It has no such checkpoint.
        DatasetError: Its dataset has no modality config, so that its configuration is not known.
    """
    directory = store.run_directory(experiment.name, current_config_hash(experiment, store))
    manifest = load_manifest(directory)
    if manifest is None:
        _refuse(experiment.name, [_missing(experiment, directory)])
    reasons: list[str] = []
    if manifest.status != "finished":
        steps = f"step {manifest.steps} of {manifest.max_steps}"
        reasons.append(f"it is not finished: {manifest.status} at {steps}")
    else:
        if reason := unrankable(manifest):
            reasons.append(reason)
        if not (directory / MODEL).is_dir():
            reasons.append("its final weights are not there any more: train it again")
    weights = directory / MODEL
    model = ModelReference(experiment.name, weights, manifest.trainer, directory, None)
    if selector is not None:
        model = model_of_run(directory, selector)
    final = model.step is None
    checks, failed = _checked(directory, manifest, anew=not reasons, final=final)
    reasons += failed
    if not manifest.frames_verified:
        reasons.append(
            "it trained on frames that are not verified: use the frame cache, or a video backend "
            "that gives the right frames"
        )
    evidence, spec = read_evidence(directory, model), None
    reasons += evidence.missing
    try:
        spec = stored_spec(directory)
    except Gr00tAssetsError as error:
        reasons.append(f"its spec cannot be read: {error.problem}")
    entries = project_entries(dataset.name for dataset in experiment.datasets)
    declared = [entry.environment for entry in entries if entry and entry.environment]
    opened, evaluation = gate(evidence, declared, model.name), evidence.evaluation
    if reasons or spec is None or evaluation is None:
        _refuse(model.name, [*reasons, *opened.reasons])
    runs = read_runs([experiment], store)
    stored = next(run for run in runs if run.config_hash == directory.name)
    final_loss = stored.final_loss
    if not final:
        checks[run_checks.WEIGHTS] = True  # the evaluation has loaded them, and they act
        trained = checkpoint_layout.read_checkpoint(model.directory).step
        manifest, final_loss = _at_checkpoint(manifest, stored, trained)
    if final_loss is None:
        _refuse(model.name, ["it has no final loss"])
    return Promotable(
        model, spec, manifest, final_loss, evaluation, checks, evidence.rollouts, opened, entries
    )


def _at_checkpoint(
    manifest: Manifest, stored: StoredRun, step: int
) -> tuple[Manifest, LossWindow | None]:
    """The manifest and the final loss as if the run had ended with a checkpoint."""
    share, samples = step / manifest.steps, stored.experiment.hyperparameters.samples_per_step
    loss = final_window(stored.metrics.losses[:step], samples)

    def shared(item: Any) -> dict[str, Any]:
        return {"samples_seen": round(item.samples_seen * share), "epochs": item.epochs * share}

    datasets = tuple(item.model_copy(update=shared(item)) for item in manifest.datasets)
    at_step = {"steps": step, "datasets": datasets, "final_loss": loss, **shared(manifest)}
    return manifest.model_copy(update=at_step), loss


def _missing(experiment: Experiment, directory: Path) -> str:
    if directory.is_dir():
        return "it is not finished: it trains, or was killed; materialise it to go on"
    older = sorted(path.parent.name for path in directory.parent.glob("[!.]*/manifest.json"))
    if not older:
        return f"it has not been trained: materialise checkpoint for {experiment.name}"
    return (
        f"its runs are stale ({', '.join(older)}): the configuration or the data changed "
        f"since, and {directory.name} has not been trained"
    )


def _checked(
    directory: Path, manifest: Manifest, anew: bool, final: bool
) -> tuple[dict[str, bool], list[str]]:
    """Outcomes by name, and the sentences of those that failed; of a checkpoint the run's alone."""
    left_out = () if final else (run_checks.WEIGHTS,)
    wanted = [name for name in CHECKS if anew and name not in left_out]
    # Recorded after all were made: weights older than the manifest are not loaded again.
    problems = {name: CHECKS[name](directory) for name in wanted}
    for name, problem in problems.items():
        run_checks.record_check(directory, name, problem is None)
    checks = manifest.checks | {name: problem is None for name, problem in problems.items()}
    return checks, [
        f"failed check {name}" + (f": {problems[name]}" if name in problems else "")
        for name, passed in checks.items()
        if not (passed or name in left_out)
    ]


def _refuse(name: str, reasons: list[str]) -> NoReturn:
    raise PromotionError(name, "this model cannot be promoted.", reasons)


def project_commit() -> str | None:
    """Commit of the project's checkout, with ``+changes`` where tracked files were changed."""
    command = ["git", "-C", str(project_root()), "describe", "--always", "--abbrev=40",
               "--exclude=*", "--dirty=+changes"]  # fmt: skip
    try:
        described = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.decode().strip()
