"""Arguments of the script."""

from dataclasses import dataclass


@dataclass
class FinetuneConfig:
    """Configuration for fine-tuning."""

    base_model_path: str
    dataset_path: str
    embodiment_tag: str
    modality_config_path: str | None = None
    tune_llm: bool = False
    tune_visual: bool = False
    tune_projector: bool = True
    tune_diffusion_model: bool = True
    state_dropout_prob: float = 0.2
    color_jitter_params: dict[str, float] | None = None
    global_batch_size: int = 64
    dataloader_num_workers: int = 2
    learning_rate: float = 1e-4
    gradient_accumulation_steps: int = 1
    output_dir: str = "./outputs"
    experiment_name: str | None = None
    save_steps: int = 1000
    save_total_limit: int = 5
    num_gpus: int = 1
    use_wandb: bool = False
    max_steps: int = 10000
    weight_decay: float = 1e-5
    warmup_ratio: float = 0.05
    resume_from_checkpoint: bool = False
