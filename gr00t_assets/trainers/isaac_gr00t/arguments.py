"""An experiment in the words of ``scripts/gr00t_finetune.py`` and of transformers' trainer."""

from pathlib import Path
from typing import Any

from gr00t_assets.runs.spec import TrainingSpec

SCRIPT_ARGUMENTS = (
    "batch_size",
    "max_steps",
    "num_gpus",
    "save_steps",
    "learning_rate",
    "weight_decay",
    "warmup_ratio",
    "tune_llm",
    "tune_visual",
    "tune_projector",
    "tune_diffusion_model",
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "lora_full_model",
    "dataloader_num_workers",
    "video_backend",
    "balance_dataset_weights",
    "balance_trajectory_weights",
)
"""Hyperparameters that are arguments of the script, under the same names."""

TRAINING_ARGUMENTS = (
    "lr_scheduler_type",
    "seed",
    "logging_steps",
    "gradient_accumulation_steps",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
)
"""Hyperparameters that the script hard-codes, or left to transformers' ``TrainingArguments``."""


def script_arguments(spec: TrainingSpec, base_model: Path, output: Path) -> dict[str, Any]:
    """Fields of the script's ``ArgsConfig``.

    Args:
        spec: What was asked.
        base_model: Absolute, since the script takes a relative path for a Hub id.
        output: Folder of the checkpoints.
    """
    settings = spec.experiment.hyperparameters
    return {
        "dataset_path": [str(spec.dataset_directory)],
        "output_dir": str(output),
        "data_config": spec.modality_config.data_config,
        "embodiment_tag": spec.modality_config.embodiment_tag,
        "base_model_path": str(base_model),
        **{name: getattr(settings, name) for name in SCRIPT_ARGUMENTS},
    }


def training_arguments(spec: TrainingSpec) -> dict[str, Any]:
    """Keyword arguments that replace the script's own for ``TrainingArguments``."""
    settings = spec.experiment.hyperparameters
    return {
        "run_name": spec.experiment.name,
        "disable_tqdm": True,
        **{name: getattr(settings, name) for name in TRAINING_ARGUMENTS},
    }
