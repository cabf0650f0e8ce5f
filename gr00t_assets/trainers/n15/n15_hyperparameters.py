"""Hyperparameters of GR00T N1.5, with the names and defaults of ``scripts/gr00t_finetune.py``."""

from typing import ClassVar, Literal, Self

from pydantic import Field

from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.hyperparameters import Hyperparameters

TUNED = ("tune_llm", "tune_visual", "tune_projector", "tune_diffusion_model")
"""Flags of the parts that are trained."""


class N15Hyperparameters(Hyperparameters):
    """What both trainers of N1.5 take; defaults are those of the release of June 2025."""

    trained_parts: ClassVar[tuple[str, ...]] = (*TUNED, "lora_rank", "lora_full_model")
    dropped_elsewhere: ClassVar[frozenset[str]] = frozenset({"lora_alpha", "lora_dropout"})

    weight_decay: float = Field(default=1e-5, ge=0, description="AdamW's decoupled weight decay")
    warmup_ratio: float = Field(
        default=0.05, ge=0, lt=1, description="Share of max_steps to warm up in"
    )
    tune_llm: bool = Field(default=False, description="Train the text tower")
    tune_visual: bool = Field(default=False, description="Train the vision tower and its connector")
    tune_projector: bool = Field(default=True, description="Train the state and action MLPs")
    tune_diffusion_model: bool = Field(default=True, description="Train the diffusion transformer")
    balance_dataset_weights: bool = Field(
        default=True, description="In a mixture, multiply the weight of each dataset by its rows"
    )
    balance_trajectory_weights: bool = Field(
        default=True,
        description="In a mixture, draw every row alike; else every episode of a dataset alike",
    )
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        default="cosine", description="Course of the learning rate"
    )
    adam_beta1: float = Field(default=0.95, ge=0, lt=1, description="AdamW's first moment decay")
    adam_beta2: float = Field(default=0.999, ge=0, lt=1, description="AdamW's second moment decay")
    adam_epsilon: float = Field(default=1e-8, gt=0, description="AdamW's epsilon")
    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Norm that gradients are clipped to"
    )
    augmentation: Literal["gr00t", "none"] = Field(
        default="gr00t",
        description="Random crop and colour jitter as N1.5's data configs define them",
    )

    lora_rank: int = Field(
        default=0, ge=0, le=4096, description="Rank of LoRA; 0 trains the weights themselves"
    )
    lora_alpha: int = Field(default=16, ge=1, description="LoRA's scale")
    lora_dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout in front of LoRA")
    lora_full_model: bool = Field(default=False, description="LoRA on the backbone as well")

    @property
    def tuned_parts(self) -> dict[str, bool]:
        """Which parts are trained where there is no LoRA, by the name of each flag."""
        return {name: getattr(self, name) for name in TUNED}

    @property
    def weights_count_for_each_row(self) -> bool:
        """Whether equal weights give every row the same chance."""
        return self.balance_dataset_weights

    @property
    def warmup_steps(self) -> int:
        """Optimizer steps of warm-up, rounded up as transformers does."""
        return int(-(-self.max_steps * self.warmup_ratio // 1))

    @classmethod
    def of(cls, experiment: Experiment) -> Self:
        """The hyperparameters of an experiment; TypeError where its trainer takes others."""
        settings = experiment.hyperparameters
        if not isinstance(settings, cls):
            trained = f"{experiment.name} is trained by {experiment.trainer}"
            raise TypeError(f"{trained}: no {cls.__name__}")
        return settings
