"""What is written at the end and with each checkpoint."""

import shutil
from pathlib import Path

from transformers import TrainerCallback


def safe_save_model_for_hf_trainer(trainer, output_dir):
    """Write the model, the files of the last checkpoint a second time."""
    trainer.save_model(output_dir, _internal_call=True)


class CheckpointFormatCallback(TrainerCallback):
    """Copies ``experiment_cfg`` into each checkpoint."""

    def __init__(self, run_name, exp_cfg_dir):
        self.exp_cfg_dir = exp_cfg_dir

    def on_save(self, args, state, control, **kwargs):
        """Copy it."""
        folder = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
        shutil.copytree(self.exp_cfg_dir, folder / self.exp_cfg_dir.name, dirs_exist_ok=True)
