"""A trained model with its data transforms: from an observation to actions in the data's units."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gr00t_assets.core.errors import CheckpointError
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.images import prepare_image
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets.runs.run_directory import MODALITY_CONFIG
from gr00t_assets.trainers.native.base_models import load_base_model
from gr00t_assets.trainers.native.batches import observation_tensors
from gr00t_assets.trainers.native.devices import Device


class Policy:
    """Predicts actions; made by :meth:`open`.

    Args:
        directory: The folder ``model`` of a run.
        device: Where it runs.

    Raises:
        CheckpointError: The folder has no modality config.
        BaseModelError: Its weights cannot be loaded.
    """

    def __init__(self, directory: Path, device: Device) -> None:
        path = directory / MODALITY_CONFIG
        try:
            self.config = ModalityConfig.model_validate(json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            problem = "there is no modality config beside these weights."
            raise CheckpointError(str(directory), problem, [str(error)]) from error
        self.base = load_base_model(
            str(directory),
            action_horizon=len(self.config.action_indices),
            attn="flash_attention_2" if device.on_gpu else "sdpa",
            device=device.device,
        )
        self.base.model.eval()
        self._device = device
        self._transform = StateActionTransform(self.config)

    def normalised_actions(
        self, frames: np.ndarray, states: np.ndarray, instructions: Sequence[str], seed: int = 0
    ) -> np.ndarray:
        """Predicted actions as the model gives them.

        Args:
            frames: ``(samples, cameras, height, width, 3)`` uint8 RGB.
            states: Transformed states, ``(samples, 1, max_state_dim)`` float32.
            instructions: One text a sample.
            seed: Of the noise that denoising starts from.

        Returns:
            ``(samples, horizon, max_action_dim)`` float32; 1 and -1 are the data's extremes.
        """
        images = prepare_image(frames, self.base.config.image_size, self.config.crop_scale)
        batch = observation_tensors(
            self.base, images, states, instructions, self.config.embodiment_id
        )
        device = self._device.device
        batch = {name: value.to(device) for name, value in batch.items()}
        generator = torch.Generator(device).manual_seed(seed)
        with self._device.autocast():
            actions = self.base.model.get_action(batch, generator=generator)
        return actions.float().cpu().numpy()

    def in_units(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        """Normalised actions by key in the data's units, ``(samples, horizon, numbers)`` each."""
        return self._transform.invert_action(actions)
