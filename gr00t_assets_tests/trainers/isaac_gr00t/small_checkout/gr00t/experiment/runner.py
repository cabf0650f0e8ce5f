"""One training."""

import json
import os
from pathlib import Path

import torch
from transformers import set_seed

from gr00t.experiment.trainer import DualBrainTrainer
from gr00t.model.transforms import DefaultDataCollator
from gr00t.utils.experiment import CheckpointFormatCallback, safe_save_model_for_hf_trainer


class TrainRunner:
    """Makes the trainer and lets it train."""

    def __init__(self, model, training_args, train_dataset, resume_from_checkpoint=False):
        self.training_args = training_args
        self.resume_from_checkpoint = resume_from_checkpoint
        self.exp_cfg_dir = Path(training_args.output_dir) / "experiment_cfg"
        self.exp_cfg_dir.mkdir(parents=True, exist_ok=True)
        training_args.run_name = training_args.run_name or training_args.output_dir
        print(f"Run name: {training_args.run_name}")  # noqa: T201
        set_seed(training_args.seed)
        self.trainer = DualBrainTrainer(
            model=model,
            args=training_args,
            train_dataset=train_dataset,
            data_collator=DefaultDataCollator(),
            compute_dtype=torch.float16 if training_args.bf16 else torch.float32,
        )
        self.trainer.add_callback(
            CheckpointFormatCallback(training_args.run_name, self.exp_cfg_dir)
        )
        print(f"train dataset length: {len(train_dataset)}")  # noqa: T201
        print(f"CUDA_VISIBLE_DEVICES: {os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}")  # noqa: T201
        metadata = self.exp_cfg_dir / "metadata.json"
        if int(os.environ.get("RANK", "0")) == 0:
            known = json.loads(metadata.read_text()) if metadata.is_file() else {}
            merged = getattr(train_dataset, "merged_metadata", None)
            for tag, content in (merged or {train_dataset.tag: train_dataset.metadata}).items():
                known[tag] = content.model_dump(mode="json")
            metadata.write_text(json.dumps(known, indent=4))

    def train(self):
        """Train and write the model."""
        self.trainer.train(resume_from_checkpoint=self.resume_from_checkpoint)
        self.trainer.save_state()
        safe_save_model_for_hf_trainer(self.trainer, self.training_args.output_dir)
