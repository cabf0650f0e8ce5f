"""From what an attempt did to the manifest that records it, for every trainer."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from gr00t_assets.runs.loss_window import final_window, first_window
from gr00t_assets.runs.manifest import Manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec

ATTEMPTS = "attempts.jsonl"

Status = Literal["finished", "failed", "interrupted", "pruned"]


def record_attempt(directory: Path) -> list[str]:
    """Note that training starts; returns the times of all attempts so far, the first one first."""
    path = directory / ATTEMPTS
    with path.open("a") as file:
        file.write(json.dumps({"started_at": datetime.now(UTC).isoformat()}) + "\n")
    lines = path.read_text().splitlines()
    return [json.loads(line)["started_at"] for line in lines if line.endswith("}")]


@dataclass(frozen=True)
class Outcome:
    """What a trainer knows of a run besides its spec and its metrics.

    Attributes:
        trainer_revision: Version of the code that trained.
        base_model_revision: Commit on the Hub; None for a folder and for what is built in.
        steps: Optimizer steps done.
        samples_seen: Samples of those steps; fewer than steps times batch size where a trainer
            ends an epoch with a smaller batch.
        wall_seconds: Training time over every attempt, in seconds.
        dataset_frames: Samples of an epoch.
        gpus: GPUs used; 0 on a CPU.
        device: ``cpu``, the GPU's name, or ``none`` where it came to none.
        peak_memory_bytes: Of the GPU, or of the process on a CPU.
        trainable_parameters: By part of the model.
        frames_verified: Whether the images are known to be the right ones.
    """

    trainer_revision: str
    base_model_revision: str | None = None
    steps: int = 0
    samples_seen: int = 0
    wall_seconds: float = 0.0
    dataset_frames: int = 0
    gpus: int = 0
    device: str = "none"
    device_uuid: str | None = None
    peak_memory_bytes: int = 0
    parameters: int = 0
    trainable_parameters: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    frames_verified: bool = False

    def manifest(
        self, spec: TrainingSpec, status: Status, failure: str | None, started: list[str]
    ) -> Manifest:
        """The manifest of the run as it is now; its losses are those of metrics.jsonl.

        Args:
            spec: What was asked.
            status: How the attempt ended.
            failure: Why, where it did not finish.
            started: Start of every attempt, the first one first, ISO 8601.
        """
        experiment, settings = spec.experiment, spec.experiment.hyperparameters
        losses = [loss for metric in read_metrics(spec.run_directory) for loss in metric.losses]
        samples, wall = self.samples_seen, self.wall_seconds
        return Manifest(
            experiment=experiment.name,
            sweep=experiment.sweep,
            config_hash=spec.config_hash,
            status=status,
            failure=failure,
            trainer=experiment.trainer,
            trainer_revision=self.trainer_revision,
            base_model=experiment.base_model,
            base_model_revision=self.base_model_revision,
            dataset=spec.modality_config.dataset,
            dataset_version=spec.modality_config.dataset_version,
            data_config=spec.modality_config.data_config,
            modality_hash=spec.modality_config.content_hash(),
            steps=self.steps,
            max_steps=settings.max_steps,
            samples_seen=samples,
            dataset_frames=self.dataset_frames,
            epochs=samples / self.dataset_frames if self.dataset_frames else 0.0,
            first_loss=first_window(losses, settings.samples_per_step),
            final_loss=final_window(losses, settings.samples_per_step),
            wall_seconds=wall,
            gpu_seconds=wall * self.gpus,
            peak_memory_bytes=self.peak_memory_bytes,
            samples_per_second=samples / wall if wall else 0.0,
            device=self.device,
            device_uuid=self.device_uuid,
            versions=self.versions,
            parameters=self.parameters,
            trainable_parameters=self.trainable_parameters,
            frames_verified=self.frames_verified,
            attempts=len(started),
            started_at=started[0],
            finished_at=datetime.now(UTC).isoformat(),
        )
