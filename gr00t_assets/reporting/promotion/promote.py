"""Promotion: a model that has passed everything gets a card, a record, and a place of its own."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from gr00t_assets.comparison.classes import manifest_class
from gr00t_assets.comparison.contrasts.class_words import class_id
from gr00t_assets.core.errors import PromotionError
from gr00t_assets.core.files import published_directory, write_json
from gr00t_assets.core.project import Store, project_root
from gr00t_assets.datasets.catalog import load_catalog
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.reporting.promotion.card import model_card
from gr00t_assets.reporting.promotion.fitness import Fit, require_fit
from gr00t_assets.reporting.promotion.record import (
    CARD,
    PROMOTION,
    Promotion,
    load_promotion,
    weight_hashes,
)
from gr00t_assets.runs.run_directory import MODEL


def promote(experiment: Experiment, store: Store) -> Promotion:
    """Promote the model of an experiment's present configuration.

    The folder ``models/<experiment>/<config hash>`` appears whole or not at all. What is promoted
    already stays as it is: promoting it again gives the record of the first time.

    Raises:
        PromotionError: Something speaks against it, or other weights were promoted before under
            the same configuration.
        StoreError: The disk is full.
    """
    fit = require_fit(experiment, store)
    folder = store.promoted_model(experiment.name, fit.manifest.config_hash)
    weights = weight_hashes(fit.directory / MODEL)
    earlier = load_promotion(folder)
    if earlier is not None:
        return _kept(earlier, weights, folder)
    if folder.exists():
        hint = f"move it away and promote again: {folder}"
        raise PromotionError(experiment.name, "its place holds something else.", [hint])
    entry = load_catalog().get(experiment.dataset)
    record = _record(fit, weights)
    with published_directory(folder) as partial:
        _link_tree(fit.directory / MODEL, partial)
        (partial / CARD).write_text(model_card(fit, entry), encoding="utf-8")
        write_json(partial / PROMOTION, record.model_dump(mode="json"))
    kept = load_promotion(folder)
    return record if kept is None else _kept(kept, weights, folder)


def _kept(earlier: Promotion, weights: dict[str, str], folder: Path) -> Promotion:
    if earlier.weights == weights:
        return earlier
    changed = sorted(
        name
        for name in {*earlier.weights, *weights}
        if earlier.weights.get(name) != weights.get(name)
    )
    raise PromotionError(
        earlier.experiment,
        "another model was promoted under this configuration.",
        [
            f"promoted {earlier.promoted_at}; other weights now: {', '.join(changed)}",
            f"a promoted model is never replaced: move {folder} away first",
        ],
    )


def _record(fit: Fit, weights: dict[str, str]) -> Promotion:
    manifest = fit.manifest
    window = manifest.final_loss
    if window is None:
        raise PromotionError(manifest.experiment, "it has no final loss.")
    return Promotion(
        experiment=manifest.experiment,
        sweep=manifest.sweep,
        config_hash=manifest.config_hash,
        promoted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=project_commit(),
        trainer=manifest.trainer,
        trainer_revision=manifest.trainer_revision,
        base_model=manifest.base_model,
        base_model_revision=manifest.base_model_revision,
        dataset=manifest.dataset,
        dataset_version=manifest.dataset_version,
        comparability_class=class_id(manifest_class(manifest, fit.spec.experiment.hyperparameters)),
        loss=window.mean,
        loss_standard_error=window.standard_error,
        evaluation=fit.evaluation.content_hash(),
        checks=fit.checks,
        weights=weights,
    )


def project_commit() -> str | None:
    """Commit of the project's checkout, with ``+changes`` where tracked files were changed."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(project_root()), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    if not head:
        return None
    return f"{head}+changes" if git("status", "--porcelain", "--untracked-files=no") else head


def _link_tree(source: Path, target: Path) -> None:
    """Every file of a folder, hard-linked where the file system can, else copied."""
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.name == CARD and path.parent == source:
            continue
        try:
            os.link(path.resolve(), place)
        except OSError:
            shutil.copy2(path, place)
