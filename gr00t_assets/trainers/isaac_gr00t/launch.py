"""What the launcher is told: one JSON file, since it cannot import this package.

The launcher (``launcher.py``) runs under the checkout's Python 3.10, where this package is not
installed. It reads this file, and writes metrics, checkpoints and facts where the file says.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gr00t_assets.core.files import write_json


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CameraFrames(_Part):
    """The frame cache of one camera, as ``numpy.load`` maps it."""

    frames: str = Field(description="frames.npy: (rows, height, width, 3) uint8 RGB")
    timestamps: str = Field(description="timestamps.npy: (rows,) float64, seconds in the episode")
    spans: dict[int, tuple[int, int]] = Field(
        description="First row and number of rows of each episode"
    )


class Launch(_Part):
    """Everything that the launcher needs; paths are absolute, and no secret is in it."""

    format: Literal[1] = 1
    checkout: str = Field(description="Put first on sys.path")
    script: str = Field(description="Imported by this path")
    arguments: dict[str, Any] = Field(description="Fields of the script's ArgsConfig")
    training_arguments: dict[str, Any] = Field(
        description="What replaces the script's own keyword arguments of TrainingArguments"
    )
    save_total_limit: int = Field(description="Complete checkpoints kept")
    config_hash: str = Field(description="Written into each checkpoint's complete.json")
    resume_step: int = Field(description="Step of the checkpoint to go on from; 0 for none")
    wall_seconds: float = Field(description="Training time of earlier attempts up to that step")
    samples_per_step: int
    dataset_frames: int = Field(description="Samples of an epoch")
    metrics: str = Field(description="metrics.jsonl, appended to")
    facts: str = Field(description="Where facts about model and device are written, as JSON")
    stop_file: str = Field(description="When it exists: write a checkpoint, then end")
    metadata: dict[str, Any] = Field(
        description="Validated metadata of the dataset for its embodiment tag, as isaac_metadata"
    )
    held_out_episodes: tuple[int, ...] = ()
    frames: dict[str, CameraFrames] | None = Field(
        description="By camera key of modality.json; None reads the videos"
    )
    eagle: str | None = Field(
        default=None, description="Folder that stands in for the checkout's eagle2_hg_model"
    )


class Facts(_Part):
    """What the launcher says of model and machine, when training starts and when it ends."""

    parameters: int
    trainable_parameters: dict[str, int] = Field(description="By part, as the native model names")
    device: str = Field(description="cpu, or the GPU's name")
    device_uuid: str | None = None
    gpus: int = Field(description="GPUs used; 0 on a CPU")
    versions: dict[str, str]
    peak_memory_bytes: int = 0


def write_launch(launch: Launch, path: Path) -> None:
    """Write it in one step."""
    write_json(path, launch.model_dump(mode="json"))
