"""What the native trainer takes beyond what both trainers of N1.5 do."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters


class NativeHyperparameters(N15Hyperparameters):
    """Those of N1.5; it reads the frame cache alone."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "dataloader_num_workers": "here a thread makes the next batch from the frame cache",
        "video_backend": "here frames come from the frame cache and no video is read",
        "frame_source": "here frames come from the frame cache, which has those of the video",
    }

    num_nodes: int = Field(
        default=1, ge=1, le=1024, description="Machines of one run, each with num_gpus GPUs"
    )
    sharding: Literal["none", "fsdp"] = Field(
        default="none",
        description="fsdp: weights, gradients and moments shared out over all GPUs of the run",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Compute each layer again in the backward pass: less memory, more time",
    )
    compile: bool = Field(
        default=False,
        description="torch.compile the layers: minutes before the first step, less time for each",
    )
    ema_decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Decay of an average of the weights, which the model is made of; 0: none",
    )
    eval_steps: int = Field(
        default=0, ge=0, description="Steps between two losses on held-out episodes; 0: none"
    )
    frozen_features: Literal["compute", "cache"] = Field(
        default="compute",
        description="Features of a frozen backbone without augmentation: at each draw, or kept",
    )
    lora_target_modules: str = Field(
        default="q_proj k_proj v_proj to_q to_k to_v",
        description="Ends of the names of the linear layers that LoRA is put on",
    )
    optimizer: Literal["adamw", "adamw_8bit"] = Field(
        default="adamw", description="AdamW with moments of 32 bits, or of 8 by bitsandbytes"
    )
    weights: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Type of trained weights; bfloat16 is updated with stochastic rounding",
    )

    @property
    def nodes(self) -> int:
        """``num_nodes``."""
        return self.num_nodes
