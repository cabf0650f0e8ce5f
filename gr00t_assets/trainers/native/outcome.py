"""What an attempt of the native trainer did, for the manifest that records it."""

from dataclasses import dataclass

from gr00t_assets.datasets.frames.truth.result import frames_verified
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.outcome import Outcome, Status
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.versions import installed_versions
from gr00t_assets.trainers.native.base_models import BaseModel
from gr00t_assets.trainers.native.devices import Device
from gr00t_assets.trainers.native.loop import TrainingLoop

TRAINER_REVISION = "2"
"""Raised whenever the same spec would give other losses than before."""


@dataclass
class Progress:
    """How far an attempt has come, filled as it goes on.

    Attributes:
        spec: What was asked.
        started: Start of every attempt so far, the first one first, ISO 8601.
        failure: Why it ended, where it did not finish.
        device: Where it trains, once that is chosen.
        base: The base model, once it is loaded.
        loop: The loop, once it runs.
        frames: Samples of the dataset, once they are counted.
    """

    spec: TrainingSpec
    started: list[str]
    failure: str | None = None
    device: Device | None = None
    base: BaseModel | None = None
    loop: TrainingLoop | None = None
    frames: int = 0


def make_manifest(progress: Progress, status: Status = "failed") -> Manifest:
    """The manifest of a run after this progress."""
    loop, device = progress.loop, progress.device
    model = progress.base.model if progress.base else None
    outcome = Outcome(
        trainer_revision=TRAINER_REVISION,
        base_model_revision=progress.base.revision if progress.base else None,
        steps=loop.step if loop else 0,
        samples_seen=loop.samples_seen if loop else 0,
        wall_seconds=loop.wall_seconds if loop else 0.0,
        dataset_frames=progress.frames,
        gpus=1 if device is not None and device.on_gpu else 0,
        device=device.name if device else "none",
        device_uuid=device.uuid if device else None,
        peak_memory_bytes=device.peak_memory_bytes() if device else 0,
        parameters=sum(value.numel() for value in model.parameters()) if model else 0,
        trainable_parameters=model.trainable_parameters() if model else {},
        versions=installed_versions(),
        frames_verified=frames_verified(progress.spec.frame_truth),
    )
    return outcome.manifest(progress.spec, status, progress.failure, progress.started)
