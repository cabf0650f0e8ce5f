"""The manifest: what a run did, written last, so that its presence means the run is over."""

import json
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import Field

from gr00t_assets.core.checksums import load_sealed, sealed
from gr00t_assets.core.errors import CheckpointError, Gr00tAssetsError
from gr00t_assets.core.files import FrozenModel, append_line, read_objects, sync_file, write_json
from gr00t_assets.runs.final_loss import LossWindow, final_window, first_window
from gr00t_assets.runs.metrics import read_metrics, sync_metrics
from gr00t_assets.runs.spec import TrainingSpec

MANIFEST = "manifest.json"
ATTEMPTS = "attempts.jsonl"
PACKAGES = ("gr00t-assets", "torch", "transformers", "numpy", "av", "safetensors", "flash-attn")
"""Whose versions a manifest records."""

ENGINE, NODE = "GR00T_ASSETS_ENGINE", "GR00T_ASSETS_NODE"
"""Environment variables of a trainer on an engine: the engine's name, and the node's."""

Status = Literal["finished", "failed", "interrupted", "pruned"]


class DatasetSamples(FrozenModel):
    """What a run has drawn from one of its datasets."""

    name: str
    version: str
    data_config: str
    embodiment_tag: str
    weight: float = Field(description="In the mixture, as the sweep file states it; 1 alone")
    share: float = Field(description="Of all samples; the weights with their balancing")
    frames: int = Field(description="Rows that are trained on")
    samples_seen: int = Field(description="Of isaac-gr00t the number to be expected by the share")
    epochs: float = Field(description="samples_seen / frames")
    frames_verified: bool


class Manifest(FrozenModel):
    """The record of one run, complete without Dagster's database."""

    format: Literal[1] = Field(default=1, description="Version of this file's layout")
    experiment: str
    sweep: str
    config_hash: str = Field(description="Name of the run directory, as in the spec")
    status: Status
    failure: str | None = Field(default=None, description="Why a run did not finish")
    trainer: str
    trainer_revision: str = Field(description="Version of the code that trained")
    base_model: str
    base_model_revision: str | None = None
    dataset: str = Field(description="Its name, or a mixture in words: a 0.7 + b 0.3")
    dataset_version: str
    data_config: str
    modality_hash: str
    datasets: tuple[DatasetSamples, ...] = Field(
        default=(), description="What was drawn from each; none in runs of older versions"
    )
    steps: int = Field(description="Optimizer steps done")
    max_steps: int
    samples_seen: int
    dataset_frames: int = Field(description="Samples of an epoch")
    epochs: float = Field(description="samples_seen / dataset_frames")
    first_loss: LossWindow | None = Field(description="Window at the start of the run")
    final_loss: LossWindow | None = Field(description="Window at the end of the run")
    wall_seconds: float = Field(description="Summed over every attempt")
    gpu_seconds: float = Field(description="Wall seconds times GPUs; 0 on a CPU")
    peak_memory_bytes: int = Field(description="Of the GPU, or of the process on a CPU")
    samples_per_second: float
    device: str = Field(description="cpu, or the GPU's name")
    device_uuid: str | None = None
    versions: dict[str, str] = Field(description="Python and the packages that matter")
    parameters: int
    trainable_parameters: dict[str, int] = Field(description="By part of the model")
    frames_verified: bool = Field(description="Trained on frames known to be the right ones")
    attempts: int = Field(description="Times that training was started or resumed")
    started_at: str = Field(description="ISO 8601, UTC, of the first attempt")
    finished_at: str = Field(description="ISO 8601, UTC")
    engine: str = Field(default="local", description="Of data/engines.yaml, of the last attempt")
    node: str | None = Field(default=None, description="Of the engine; None on this machine")
    checks: dict[str, bool] = Field(default_factory=dict)
    files: dict[str, str] = Field(
        default_factory=dict,
        description="SHA-256 by name of metrics.jsonl and of a finished run's model; none in runs "
        "of older versions",
    )


MIXTURE_HEAD = ("dataset", "weight", "share", "samples seen", "epochs", "embodiment tag")
"""Columns of ``mixture_rows``."""


def mixture_rows(manifest: Manifest) -> list[list[str]]:
    """A row for each dataset of a mixture; none for a single one."""
    return [
        [
            f"{item.name}, version {item.version}",
            f"{item.weight:g}",
            f"{item.share:.1%}",
            f"{item.samples_seen:,}",
            f"{item.epochs:.2f}",
            item.embodiment_tag,
        ]
        for item in manifest.datasets
        if len(manifest.datasets) > 1
    ]


def save_manifest(manifest: Manifest, run_directory: Path) -> None:
    """Write the manifest in one step, with a checksum of its content, after what it refers to."""
    sync_metrics(run_directory)
    write_json(run_directory / MANIFEST, sealed(manifest.model_dump(mode="json")))


def load_manifest(run_directory: Path) -> Manifest | None:
    """The manifest of a run; ``None`` while it has none.

    Raises:
        CheckpointError: The file is there and is not a manifest, or not as it was written.
    """
    path = run_directory / MANIFEST
    if not path.is_file():
        return None
    problem, remedy = "this is not a manifest.", f"move {run_directory} away and materialise again"
    return load_sealed(
        path, Manifest, lambda why: CheckpointError(str(path), problem, [why, remedy])
    )


def readable_manifest(run_directory: Path) -> Manifest | None:
    """The manifest of a run; ``None`` also where it cannot be read."""
    with suppress(Gr00tAssetsError, OSError):
        return load_manifest(run_directory)
    return None


def installed_versions() -> dict[str, str]:
    """Python and the packages that can change a loss; those not installed are left out."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions


def record_attempt(directory: Path) -> list[str]:
    """Note that training starts; returns the times of all attempts so far, the first one first."""
    path, now = directory / ATTEMPTS, {"started_at": datetime.now(UTC).isoformat()}
    times = [*read_objects(path), now]
    append_line(path, json.dumps(now).encode())
    sync_file(path)
    return [str(item["started_at"]) for item in times if "started_at" in item]


@dataclass(frozen=True)
class Outcome:
    """What a trainer knows of a run besides its spec and its metrics.

    Its fields are those of ``Manifest``, and ``gpus``: GPUs used, 0 on a CPU.
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
    datasets: tuple[DatasetSamples, ...] = ()

    def manifest(
        self, spec: TrainingSpec, status: Status, failure: str | None, started: list[str]
    ) -> Manifest:
        """The manifest of the run as it is now; its losses are those of metrics.jsonl.

        ``started`` has the start of every attempt, the first one first, ISO 8601.
        """
        experiment, settings = spec.experiment, spec.experiment.hyperparameters
        data = spec.data
        losses = read_metrics(spec.run_directory).losses
        facts = asdict(self)
        gpus = facts.pop("gpus")
        return Manifest(
            **facts,
            experiment=experiment.name,
            sweep=experiment.sweep,
            config_hash=spec.config_hash,
            status=status,
            failure=failure,
            trainer=experiment.trainer,
            base_model=experiment.base_model,
            dataset=data.name,
            dataset_version=data.version,
            data_config=data.data_config,
            modality_hash=data.modality_hash,
            max_steps=settings.max_steps,
            epochs=self.samples_seen / self.dataset_frames if self.dataset_frames else 0.0,
            first_loss=first_window(losses, settings.samples_per_step),
            final_loss=final_window(losses, settings.samples_per_step),
            gpu_seconds=self.wall_seconds * gpus,
            samples_per_second=self.samples_seen / self.wall_seconds if self.wall_seconds else 0.0,
            attempts=len(started),
            started_at=started[0],
            finished_at=datetime.now(UTC).isoformat(),
            engine=os.environ.get(ENGINE, "local"),
            node=os.environ.get(NODE),
        )


def dataset_samples(
    spec: TrainingSpec, samples_seen: Sequence[float], verified: Sequence[bool]
) -> tuple[DatasetSamples, ...]:
    """What a run has drawn from each dataset, in the order of the spec; raises as ``rows``."""
    data = spec.data
    facts = zip(data.datasets, data.shares(spec.experiment), samples_seen, verified, strict=True)
    return tuple(
        DatasetSamples(
            name=dataset.name,
            version=dataset.version,
            data_config=dataset.config.data_config,
            embodiment_tag=dataset.config.embodiment_tag,
            weight=dataset.weight,
            share=share,
            frames=dataset.rows,
            samples_seen=round(samples),
            epochs=samples / dataset.rows,
            frames_verified=is_verified,
        )
        for dataset, share, samples, is_verified in facts
    )
