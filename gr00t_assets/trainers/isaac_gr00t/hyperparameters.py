"""What Isaac-GR00T's fine-tuning script takes beyond the native trainer."""

from typing import ClassVar, Literal

from pydantic import Field

from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters


class IsaacHyperparameters(N15Hyperparameters):
    """Those of N1.5, LoRA, and how the script loads its data."""

    trained_parts: ClassVar[tuple[str, ...]] = (
        *N15Hyperparameters.trained_parts,
        "lora_rank",
        "lora_full_model",
    )
    dropped_elsewhere: ClassVar[frozenset[str]] = frozenset(
        {"lora_alpha", "lora_dropout", "dataloader_num_workers", "video_backend"}
    )

    lora_rank: int = Field(
        default=0, ge=0, description="Rank of LoRA; 0 trains the weights themselves"
    )
    lora_alpha: int = Field(default=16, ge=1, description="LoRA's scale")
    lora_dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout in front of LoRA")
    lora_full_model: bool = Field(default=False, description="LoRA on the backbone as well")
    dataloader_num_workers: int = Field(default=8, ge=0, description="Loader processes")
    video_backend: Literal["decord", "torchvision_av", "torchcodec"] = Field(
        default="decord", description="Video reader where it reads videos"
    )
    frame_source: Literal["cache", "video"] = Field(
        default="cache", description="Where frames come from: the frame cache, or video_backend"
    )
