"""A trained model with its data transforms: from observations to chunks of actions."""

from functools import partial
from pathlib import Path

import numpy as np
import torch

from gr00t_assets.modality.camera_images import camera_images
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.base_models import choose_device, load_base_model
from gr00t_assets.trainers.native.batches import batch_to_device, observation_tensors
from gr00t_assets.trainers.native.training_state import checkpoint_model
from gr00t_assets.trainers.policy import Observations, Policy
from gr00t_assets.trainers.run_files import read_modality_config


class NativePolicy(Policy):
    """The folder ``model`` of a run or, with the run's spec, one of its checkpoints.

    ``device`` is ``cpu`` or ``cuda``; the first GPU where there is one, where left out.

    Raises:
        CheckpointError: The folder has no modality config, or the checkpoint is another model's.
        BaseModelError: Its weights cannot be loaded.
    """

    def __init__(
        self, directory: Path, device: str | None = None, spec: TrainingSpec | None = None
    ) -> None:
        self._device = choose_device(device)
        if spec is not None:
            config = spec.modality_config
            self.base = checkpoint_model(directory, spec, self._device)
            # As weights are loaded that were saved: frozen towers were trained with in bfloat16.
            self.base.model.backbone.to(torch.float32)
            self.base.model.backbone.rebuild_buffers()
        else:
            config = read_modality_config(directory)
            self.base = load_base_model(
                str(directory),
                action_horizon=len(config.action_indices),
                attn=self._device.attention,
                device=self._device.device,
            )
        self.base.model.eval()
        steps = self.base.config.action_head.num_inference_timesteps
        super().__init__(config, self._device.name, steps)

    def predict(
        self, observations: Observations, noise: np.ndarray, denoising_steps: int | None = None
    ) -> np.ndarray:
        """Normalised actions; images and prompts are encoded once for all draws of a sample."""
        device = self._device.device
        frames = torch.from_numpy(observations.frames).to(device)
        images = camera_images(frames, self.base.config.image_recipe, self.config)
        states, texts = observations.states, observations.instructions
        batch = observation_tensors(self.base, images, states, texts, self.config.embodiment_id)
        batch = batch_to_device(self.base.model.placed(batch), device)
        steps = denoising_steps or self.denoising_steps
        with torch.no_grad(), self._device.autocast():
            features, mask = self.base.model.backbone_features(batch)
            horizon = self.base.config.action_head.action_horizon
            # A model may predict more steps than are used.
            shape = (*noise.shape[:2], horizon - noise.shape[2], noise.shape[3])
            more = np.random.default_rng(0).standard_normal(shape, np.float32)
            padded = np.concatenate([noise, more], axis=2)
            act = partial(self.base.model.action_head.get_action, features, mask, batch)
            draws = [act(torch.from_numpy(start).to(device), steps) for start in padded]
        return torch.stack(draws)[:, :, : noise.shape[2]].float().cpu().numpy()

    def task_problem(self, task: str) -> str | None:
        """Special tokens in it, or a prompt that is longer than the model takes."""
        if tokens := self.base.tokenizer.special_tokens(task):
            return f"has special tokens in it: {', '.join(tokens)}"
        too_long = self.base.too_long(task, self.config)
        return too_long and f"gives {too_long}"
