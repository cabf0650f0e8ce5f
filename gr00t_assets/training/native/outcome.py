"""From what an attempt did to the manifest that records it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gr00t_assets.datasets.frame_truth.result import load_frame_truth
from gr00t_assets.training.loss_window import final_window, first_window
from gr00t_assets.training.manifest import Manifest
from gr00t_assets.training.metrics import read_metrics
from gr00t_assets.training.native.base_models import BaseModel
from gr00t_assets.training.native.devices import Device
from gr00t_assets.training.native.loop import TrainingLoop
from gr00t_assets.training.spec import TrainingSpec
from gr00t_assets.training.versions import installed_versions

TRAINER_REVISION = "2"
"""Raised whenever the same spec would give other losses than before."""


@dataclass
class Attempt:
    """One attempt at a run, filled as it goes on.

    Attributes:
        spec: What was asked.
        started: Start of every attempt so far, the first one first, ISO 8601.
        began: Start of this one.
        failure: Why it ended, where it did not finish.
        device: Where it trains, once that is chosen.
        base: The base model, once it is loaded.
        loop: The loop, once it runs.
        frames: Samples of the dataset, once they are counted.
    """

    spec: TrainingSpec
    started: list[str]
    began: datetime
    failure: str | None = None
    device: Device | None = None
    base: BaseModel | None = None
    loop: TrainingLoop | None = None
    frames: int = 0


def frames_verified(spec: TrainingSpec) -> bool:
    """Whether the frame cache that this trainer reads was found to give the right frames."""
    truth = load_frame_truth(spec.frame_truth)
    return truth is not None and truth.verified


def make_manifest(
    attempt: Attempt, status: Literal["finished", "failed", "interrupted"] = "failed"
) -> Manifest:
    """The manifest of a run after this attempt; losses are those of metrics.jsonl."""
    spec, loop, device = attempt.spec, attempt.loop, attempt.device
    experiment, settings = spec.experiment, spec.experiment.hyperparameters
    metrics = read_metrics(spec.run_directory)
    losses = [loss for metric in metrics for loss in metric.losses]
    wall = loop.wall_seconds if loop else 0.0
    samples = loop.samples_seen if loop else 0
    model = attempt.base.model if attempt.base else None
    on_gpu = device is not None and device.on_gpu
    return Manifest(
        experiment=experiment.name,
        sweep=experiment.sweep,
        config_hash=spec.config_hash,
        status=status,
        failure=attempt.failure,
        trainer="native",
        trainer_revision=TRAINER_REVISION,
        base_model=experiment.base_model,
        base_model_revision=attempt.base.revision if attempt.base else None,
        dataset=spec.modality_config.dataset,
        dataset_version=spec.modality_config.dataset_version,
        data_config=spec.modality_config.data_config,
        modality_hash=spec.modality_config.content_hash(),
        steps=loop.step if loop else 0,
        max_steps=settings.max_steps,
        samples_seen=samples,
        dataset_frames=attempt.frames,
        epochs=samples / attempt.frames if attempt.frames else 0.0,
        first_loss=first_window(losses, settings.samples_per_step),
        final_loss=final_window(losses, settings.samples_per_step),
        wall_seconds=wall,
        gpu_seconds=wall * settings.num_gpus if on_gpu else 0.0,
        peak_memory_bytes=device.peak_memory_bytes() if device else 0,
        samples_per_second=samples / wall if wall else 0.0,
        device=device.name if device else "none",
        device_uuid=device.uuid if device else None,
        versions=installed_versions(),
        parameters=sum(value.numel() for value in model.parameters()) if model else 0,
        trainable_parameters=model.trainable_parameters() if model else {},
        frames_verified=frames_verified(spec),
        attempts=len(attempt.started),
        started_at=attempt.started[0],
        finished_at=datetime.now(UTC).isoformat(),
    )
