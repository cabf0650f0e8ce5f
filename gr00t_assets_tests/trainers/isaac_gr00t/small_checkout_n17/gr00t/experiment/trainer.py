"""transformers' trainer with NVIDIA's changes."""

import torch
import transformers
from transformers.trainer_utils import get_last_checkpoint


class Gr00tTrainer(transformers.Trainer):
    """The trainer."""

    def get_train_dataloader(self):
        """A stream, which begins anew with another seed after a resume."""
        if self.state.global_step > 0:
            self.train_dataset.reset_seed(self.train_dataset.seed + self.state.global_step)
        workers = self.args.dataloader_num_workers
        return torch.utils.data.DataLoader(
            self.train_dataset,
            batch_size=self._train_batch_size,
            collate_fn=self.data_collator,
            num_workers=workers,
            persistent_workers=workers > 0,
            multiprocessing_context="fork" if workers else None,
        )

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """The model's own loss."""
        outputs = model(inputs["inputs"])
        return (outputs["loss"], outputs) if return_outputs else outputs["loss"]

    def save_model(self, output_dir=None, _internal_call=False):
        """Write the model."""
        if self.args.should_save:
            self.model.save_pretrained(output_dir or self.args.output_dir)

    def train(self, resume_from_checkpoint=None, **kwargs):
        """Train, going on from the checkpoint with the highest number where that is asked."""
        last = None
        if resume_from_checkpoint is True:
            last = get_last_checkpoint(self.args.output_dir)
            if last is None:
                raise ValueError(f"No valid checkpoint found in {self.args.output_dir}")
            state = f"{last}/trainer_state.json"
            self.state = transformers.TrainerState.load_from_json(state)
        return super().train(resume_from_checkpoint=last, **kwargs)
