"""transformers' trainer with NVIDIA's changes."""

import os
from typing import Any

import torch
import transformers
from torch.utils.data import Sampler
from transformers.trainer_utils import get_last_checkpoint

from gr00t.release import JUNE


class BaseSampler(Sampler):
    """Shuffles by a seed and the epoch."""

    def __init__(self, data_source, seed):
        self.data_source = data_source
        self.seed = seed
        self.epoch = 0

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(torch.randperm(len(self.data_source), generator=generator).tolist())

    def set_epoch(self, epoch):
        """Choose the order."""
        self.epoch = epoch

    def __len__(self):
        return len(self.data_source)


class DualBrainTrainer(transformers.Trainer):
    """The trainer."""

    def __init__(self, **kwargs):
        self.compute_dtype = kwargs.pop("compute_dtype")
        super().__init__(**kwargs)

    def _get_train_sampler(self, *args):
        return BaseSampler(self.train_dataset, self.args.seed)

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The model's own loss."""
        outputs = model(inputs)
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def save_model(self, output_dir, _internal_call):
        """Write the model."""
        if self.args.should_save:
            model: Any = self.model
            model.save_pretrained(output_dir)

    def _load_rng_state(self, checkpoint):
        if not JUNE or checkpoint is None:
            return super()._load_rng_state(checkpoint)
        # As transformers 4.51 does under torch 2.5: without naming what the file may hold.
        torch.load(os.path.join(checkpoint, "rng_state.pth"), weights_only=True)  # noqa: PTH118
        return super()._load_rng_state(checkpoint)

    def train(self, resume_from_checkpoint=None, **kwargs):
        """Train, going on from the checkpoint with the highest number where that is asked."""
        if resume_from_checkpoint is False:
            resume_from_checkpoint = None
        if resume_from_checkpoint is True:
            resume_from_checkpoint = get_last_checkpoint(self.args.output_dir)
            if resume_from_checkpoint is None:
                raise ValueError(
                    f"No valid checkpoint found in output directory ({self.args.output_dir})"
                )
        return super().train(resume_from_checkpoint, **kwargs)
