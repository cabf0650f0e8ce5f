"""What the native trainer takes beyond what both trainers of N1.5 do."""

from typing import Literal

from pydantic import Field

from gr00t_assets.trainers.n15.n15_hyperparameters import N15Hyperparameters


class NativeHyperparameters(N15Hyperparameters):
    """Those of N1.5; it reads the frame cache alone."""

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
    eval_steps: int = Field(
        default=0, ge=0, description="Steps between two losses on held-out episodes; 0: none"
    )
    lora_target_modules: str = Field(
        default="q_proj k_proj v_proj to_q to_k to_v",
        description="Ends of the names of the linear layers that LoRA is put on",
    )

    @property
    def nodes(self) -> int:
        """``num_nodes``."""
        return self.num_nodes
