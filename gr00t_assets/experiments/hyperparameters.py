"""Hyperparameters with the names and defaults of Isaac-GR00T's ``scripts/gr00t_finetune.py``."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Scheduler = Literal["cosine", "linear", "constant", "constant_with_warmup"]


class Hyperparameters(BaseModel):
    """What the fine-tuning script takes, and below it what the script hard-codes.

    Defaults are those of the N1.5 release (June 2025).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_size: int = Field(default=32, ge=1, description="Samples per step and GPU")
    max_steps: int = Field(default=10_000, ge=1, description="Optimizer steps")
    num_gpus: int = Field(default=1, ge=1, description="GPUs of one run")
    save_steps: int = Field(default=1_000, ge=1, description="Steps between two checkpoints")
    learning_rate: float = Field(default=1e-4, gt=0, description="Peak learning rate")
    weight_decay: float = Field(default=1e-5, ge=0, description="AdamW's decoupled weight decay")
    warmup_ratio: float = Field(
        default=0.05, ge=0, lt=1, description="Share of max_steps to warm up in"
    )
    tune_llm: bool = Field(default=False, description="Train the text tower")
    tune_visual: bool = Field(default=False, description="Train the vision tower and its connector")
    tune_projector: bool = Field(default=True, description="Train the state and action MLPs")
    tune_diffusion_model: bool = Field(default=True, description="Train the diffusion transformer")
    lora_rank: int = Field(
        default=0, ge=0, description="Rank of LoRA; 0 trains the weights themselves"
    )
    lora_alpha: int = Field(default=16, ge=1, description="LoRA's scale")
    lora_dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout in front of LoRA")
    lora_full_model: bool = Field(default=False, description="LoRA on the backbone as well")
    dataloader_num_workers: int = Field(
        default=8, ge=0, description="Loader processes of isaac-gr00t"
    )
    video_backend: Literal["decord", "torchvision_av", "torchcodec"] = Field(
        default="decord", description="Video reader of isaac-gr00t where it reads videos"
    )
    frame_source: Literal["cache", "video"] = Field(
        default="cache",
        description="Where isaac-gr00t gets frames: the frame cache, or video_backend",
    )
    balance_dataset_weights: bool = True
    balance_trajectory_weights: bool = True

    lr_scheduler_type: Scheduler = Field(
        default="cosine", description="Course of the learning rate"
    )
    seed: int = Field(
        default=42, ge=0, description="Seed of data order, noise, dropout, augmentation"
    )
    logging_steps: int = Field(default=10, ge=1, description="Steps between two logged losses")
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, description="Batches to one optimizer step"
    )
    save_total_limit: int = Field(default=8, ge=1, description="Checkpoints kept")
    adam_beta1: float = Field(default=0.95, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    adam_epsilon: float = Field(default=1e-8, gt=0)
    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Norm that gradients are clipped to"
    )
    augmentation: Literal["gr00t", "none"] = Field(
        default="gr00t",
        description="Random crop and colour jitter as N1.5's data configs define them",
    )

    @property
    def samples_per_step(self) -> int:
        """Samples that one optimizer step has seen, over all GPUs."""
        return self.batch_size * self.gradient_accumulation_steps * self.num_gpus

    @property
    def warmup_steps(self) -> int:
        """Optimizer steps of warm-up, rounded up as transformers does."""
        return int(-(-self.max_steps * self.warmup_ratio // 1))
