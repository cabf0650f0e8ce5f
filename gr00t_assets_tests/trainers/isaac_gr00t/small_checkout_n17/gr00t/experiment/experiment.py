"""One training."""

import json
from pathlib import Path

import torch
from transformers import TrainerCallback, TrainingArguments, set_seed

from gr00t.data.dataset import factory
from gr00t.experiment.trainer import Gr00tTrainer
from gr00t.model.gr00t_n1d7 import processing_gr00t_n1d7
from gr00t.model.gr00t_n1d7.gr00t_n1d7 import Gr00tN1d7

HUB = "nvidia/Cosmos-Reason2-2B"


class CheckpointFormatCallback(TrainerCallback):
    """NVIDIA's copies files into checkpoints after the other callbacks."""

    def __init__(self, run_name, exp_cfg_dir, processor_dir):
        raise AssertionError("a checkpoint would be marked complete before its files are there")


def run(config):
    """Train and write the model."""
    asked = config.training.asked
    set_seed(config.data.seed)
    output = Path(asked.output_dir)
    (output / "experiment_cfg").mkdir(parents=True, exist_ok=True)
    (output / "experiment_cfg" / "conf.yaml").write_text(json.dumps(vars(asked)))
    base = Path(asked.base_model_path)
    model = Gr00tN1d7.from_pretrained(
        base,
        HUB,
        tune_llm=asked.tune_llm,
        tune_visual=asked.tune_visual,
        tune_projector=asked.tune_projector,
        tune_diffusion_model=asked.tune_diffusion_model,
    )
    processor = processing_gr00t_n1d7.Gr00tN1d7Processor(base, HUB)
    processor.tag = config.data.embodiment_tag
    dataset = factory.build(config.data, processor)
    processor.save_pretrained(output / "processor")
    on_gpu = torch.cuda.is_available()
    trainer = Gr00tTrainer(
        model=model,
        train_dataset=dataset,
        data_collator=processor.collate,
        args=TrainingArguments(
            output_dir=str(output),
            max_steps=asked.max_steps,
            per_device_train_batch_size=asked.global_batch_size // asked.num_gpus,
            gradient_accumulation_steps=asked.gradient_accumulation_steps,
            learning_rate=asked.learning_rate,
            lr_scheduler_type="cosine",
            weight_decay=asked.weight_decay,
            warmup_steps=asked.warmup_ratio,  # a share, where below 1
            logging_steps=10,
            save_steps=asked.save_steps,
            save_total_limit=asked.save_total_limit,
            bf16=on_gpu,
            tf32=True,
            dataloader_num_workers=asked.dataloader_num_workers,
            dataloader_pin_memory=False,
            report_to="wandb" if asked.use_wandb else "none",
            seed=config.data.seed,
            remove_unused_columns=False,
            ignore_data_skip=True,
            ddp_find_unused_parameters=False,
        ),
    )
    trainer.add_callback(
        CheckpointFormatCallback(
            run_name=output.name,
            exp_cfg_dir=output / "experiment_cfg",
            processor_dir=output / "processor",
        )
    )
    trainer.train(resume_from_checkpoint=asked.resume_from_checkpoint)
    trainer.save_model()
