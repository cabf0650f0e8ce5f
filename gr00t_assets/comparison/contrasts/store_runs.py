"""From runs of the store to observations."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gr00t_assets.comparison.classes import data_words, frames_of
from gr00t_assets.comparison.contrasts.measures import end_loss, plateau_or_falling
from gr00t_assets.comparison.contrasts.observation import Loss, Observation, RunCurve
from gr00t_assets.comparison.curves import loss_curve
from gr00t_assets.comparison.run import Run

__all__ = ["observe", "plateau_or_falling"]


def observe(runs: Sequence[Run]) -> list[Observation]:
    """One observation a run, in the order of the runs, those that are missing left out.

    The loss is the mean over a window of :data:`~.measures.WINDOW_FRAMES` samples at the end of
    the curve, so that runs of different batch sizes are measured over equally many frames. A run
    whose metrics are gone has the final loss of its manifest.

    The id of a run is its config hash; where two experiments share one, name and hash.
    """
    found = [run for run in runs if run.status != "missing"]
    hashes = Counter(run.config_hash for run in found)
    return [
        run.observation
        if hashes[run.config_hash] == 1
        else replace(run.observation, run_id=f"{run.name}/{run.config_hash}")
        for run in found
    ]


def observation_of(run: Run) -> Observation:
    """What the comparison knows of a run; its id is its config hash."""
    manifest, settings = run.manifest, run.hyperparameters
    experiment = run.spec.experiment if run.stale and run.spec else run.experiment
    curve = _curve(run)
    status: str = run.status
    if status == "finished" and not run.rankable:
        status = "unfinished"
    return Observation(
        run_id=str(run.config_hash),
        name=run.name,
        source="store",
        status=status,
        settings=settings.model_dump() if settings else {},
        data=_data(run),
        frames=frames_of(manifest),
        steps=run.steps,
        max_steps=settings.max_steps if settings else (manifest.max_steps if manifest else None),
        samples_seen=run.samples_seen,
        dataset_frames=manifest.dataset_frames if manifest else None,
        loss=_loss(run, curve),
        curve=curve,
        sweep=experiment.sweep,
        hypothesis=experiment.hypothesis,
        started_at=manifest.started_at if manifest else "",
        samples_per_second=manifest.samples_per_second if manifest else None,
        gpu_hours=manifest.gpu_seconds / 3600 if manifest else None,
        peak_memory_bytes=manifest.peak_memory_bytes if manifest else None,
        failed_checks=run.failed_checks,
        note=(manifest.failure or "") if manifest else "",
        problems=run.problems,
        continued_steps=experiment.continued_steps,
    )


def _curve(run: Run) -> RunCurve | None:
    curve = loss_curve(run.metrics)
    return RunCurve(curve.samples, curve.losses) if len(curve) else None


def _loss(run: Run, curve: RunCurve | None) -> Loss | None:
    measured = end_loss(curve) if curve else None
    window = run.final_loss
    if measured is None and window is not None and np.isfinite(window.mean):
        measured = Loss(window.mean, window.standard_error, window.samples)
    return measured


def _data(run: Run) -> dict[str, str]:
    """What the run's manifest says; of one without a manifest, what its spec says."""
    if run.manifest:
        return data_words(run.manifest)
    experiment = run.spec.experiment if run.spec else run.experiment
    base = experiment.base_model
    if experiment.base_model_revision:
        base += f" at {experiment.base_model_revision[:12]}"
    found = {"dataset": experiment.dataset}
    if run.spec:
        found["dataset version"] = run.spec.modality_config.dataset_version
        found["modality config"] = run.spec.modality_config.content_hash()
    return found | {"base model": base, "trainer": experiment.trainer}
