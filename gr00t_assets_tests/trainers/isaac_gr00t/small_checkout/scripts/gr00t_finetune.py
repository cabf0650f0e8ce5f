"""Fine-tunes; the interface of Isaac-GR00T's script of the same name."""

import argparse
import os
from dataclasses import MISSING, dataclass, fields
from typing import List, Literal  # noqa: UP035

import torch
from gr00t.data.dataset import LeRobotMixtureDataset, LeRobotSingleDataset
from gr00t.data.embodiment_tags import EmbodimentTag
from gr00t.experiment.data_config import DATA_CONFIG_MAP
from gr00t.experiment.runner import TrainRunner
from gr00t.model.gr00t_n1 import GR00T_N1_5
from transformers import TrainingArguments


@dataclass
class ArgsConfig:
    """Configuration for fine-tuning."""

    dataset_path: List[str]  # noqa: UP006
    output_dir: str = "/tmp/gr00t"
    data_config: Literal[tuple(DATA_CONFIG_MAP)] = "fourier_gr1_arms_only"  # type: ignore
    batch_size: int = 32
    max_steps: int = 10000
    num_gpus: int = 1
    save_steps: int = 1000
    base_model_path: str = "nvidia/GR00T-N1.5-3B"
    tune_llm: bool = False
    tune_visual: bool = False
    tune_projector: bool = True
    tune_diffusion_model: bool = True
    resume: bool = False
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    warmup_ratio: float = 0.05
    lora_rank: int = 0
    lora_alpha: int = 16
    lora_dropout: float = 0.1
    lora_full_model: bool = False
    dataloader_num_workers: int = 8
    report_to: Literal["wandb", "tensorboard"] = "wandb"
    embodiment_tag: str = "new_embodiment"
    video_backend: Literal["decord", "torchvision_av"] = "decord"
    balance_dataset_weights: bool = True
    balance_trajectory_weights: bool = True


def main(config: ArgsConfig):
    """Train."""
    data_config = DATA_CONFIG_MAP[config.data_config]
    transforms = data_config.transform()
    datasets = [
        LeRobotSingleDataset(
            dataset_path=path,
            modality_configs=data_config.modality_config(),
            transforms=transforms,
            embodiment_tag=EmbodimentTag(config.embodiment_tag),
            video_backend=config.video_backend,
        )
        for path in config.dataset_path
    ]
    dataset = datasets[0]
    if len(datasets) > 1:
        dataset = LeRobotMixtureDataset(
            data_mixture=[(dataset, 1.0) for dataset in datasets],
            mode="train",
            balance_dataset_weights=config.balance_dataset_weights,
            balance_trajectory_weights=config.balance_trajectory_weights,
            seed=42,
        )
    model = GR00T_N1_5.from_pretrained(
        pretrained_model_name_or_path=config.base_model_path,
        tune_llm=config.tune_llm,
        tune_visual=config.tune_visual,
        tune_projector=config.tune_projector,
        tune_diffusion_model=config.tune_diffusion_model,
    )
    training_args = TrainingArguments(
        output_dir=config.output_dir,
        run_name=None,
        remove_unused_columns=False,
        bf16=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),
        tf32=True if torch.cuda.is_available() else None,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=1,
        dataloader_num_workers=config.dataloader_num_workers,
        dataloader_pin_memory=False,
        dataloader_persistent_workers=config.dataloader_num_workers > 0,
        optim="adamw_torch",
        adam_beta1=0.95,
        adam_beta2=0.999,
        adam_epsilon=1e-8,
        learning_rate=config.learning_rate,
        weight_decay=config.weight_decay,
        warmup_steps=config.warmup_ratio,  # a share, where below 1
        lr_scheduler_type="cosine",
        logging_steps=10.0,
        num_train_epochs=300,
        max_steps=config.max_steps,
        save_strategy="steps",
        save_steps=config.save_steps,
        save_total_limit=8,
        report_to=config.report_to,
        seed=42,
        do_eval=False,
        ddp_find_unused_parameters=False,
        ddp_bucket_cap_mb=100,
    )
    TrainRunner(
        train_dataset=dataset,
        model=model,
        training_args=training_args,
        resume_from_checkpoint=config.resume,
    ).train()


def from_command_line() -> ArgsConfig:
    """Flags as tyro has them: ``--batch-size 2``, ``--tune-llm``, ``--no-tune-llm``."""
    parser = argparse.ArgumentParser()
    for field in fields(ArgsConfig):
        flag = "--" + field.name.replace("_", "-")
        if field.default is MISSING:
            parser.add_argument(flag, nargs="+", required=True)
        elif isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            parser.add_argument(flag, type=type(field.default), default=field.default)
    return ArgsConfig(**vars(parser.parse_args()))


if __name__ == "__main__":
    asked = from_command_line()
    if asked.num_gpus == 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = "0"
    main(asked)
