"""The manifest: what a run did, written last, so that its presence means the run is over."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.core.files import write_json

MANIFEST = "manifest.json"


class LossWindow(BaseModel):
    """Mean of the per-step losses over the last steps of a run, with its standard error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    standard_error: float = Field(description="Of the mean, by batch means over the window")
    steps: int = Field(description="Steps in the window")
    samples: int = Field(description="Samples in the window")


class Manifest(BaseModel):
    """The record of one run, complete without Dagster's database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    experiment: str
    sweep: str
    config_hash: str
    status: Literal["finished", "failed", "interrupted", "pruned"]
    failure: str | None = Field(default=None, description="Why a run did not finish")
    trainer: str
    trainer_revision: str = Field(description="Version of the code that trained")
    base_model: str
    base_model_revision: str | None = None
    dataset: str
    dataset_version: str
    data_config: str
    modality_hash: str
    steps: int = Field(description="Optimizer steps done")
    max_steps: int
    samples_seen: int
    dataset_frames: int
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
    checks: dict[str, bool] = Field(default_factory=dict)


def save_manifest(manifest: Manifest, run_directory: Path) -> None:
    """Write the manifest in one step."""
    write_json(run_directory / MANIFEST, manifest.model_dump(mode="json"))


def load_manifest(run_directory: Path) -> Manifest | None:
    """The manifest of a run; ``None`` while it has none.

    Raises:
        CheckpointError: The file is there and is not a manifest.
    """
    path = run_directory / MANIFEST
    if not path.is_file():
        return None
    try:
        return Manifest.model_validate(json.loads(path.read_text()))
    except ValueError as error:
        raise CheckpointError(
            str(path), "this is not a manifest.", [str(error), f"move {run_directory} away"]
        ) from error
