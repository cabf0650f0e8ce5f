"""What Isaac-GR00T's fine-tuning script takes beyond the native trainer."""

from typing import ClassVar, Literal

from pydantic import Field

from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters


class IsaacHyperparameters(N15Hyperparameters):
    """Those of N1.5, and how the script loads its data."""

    dropped_elsewhere: ClassVar[frozenset[str]] = N15Hyperparameters.dropped_elsewhere | {
        "dataloader_num_workers",
        "video_backend",
    }

    dataloader_num_workers: int = Field(default=8, ge=0, description="Loader processes")
    video_backend: Literal["decord", "torchvision_av", "torchcodec"] = Field(
        default="decord", description="Video reader where it reads videos"
    )
    frame_source: Literal["cache", "video"] = Field(
        default="cache", description="Where frames come from: the frame cache, or video_backend"
    )
