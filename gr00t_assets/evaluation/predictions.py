"""Action chunks of a policy at many windows: in batches, several draws each, always the same."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.evaluation.windows import Windows

if TYPE_CHECKING:
    from gr00t_assets.trainers.native.devices import Device
    from gr00t_assets.trainers.native.policy import Policy

BATCH = 32
"""Windows at a time."""

Progress = Callable[[int], None]
"""Told of the windows that were just done."""


class Predictor:
    """A policy with the settings that it is asked with.

    The noise of a draw is made of seed, draw, episode and row, so that neither the batch nor the
    other windows change it. Images and prompt are encoded once for all draws of a window.

    Args:
        policy: The model with its transforms.
        device: Where it runs.
        draws: Denoising draws of each window.
        steps: Euler steps of a draw; as many as the model's configuration says where left out.
        seed: Of the noise.
    """

    def __init__(
        self, policy: "Policy", device: "Device", draws: int, steps: int | None, seed: int
    ) -> None:
        self.policy = policy
        self.draws = draws
        self.steps = steps or policy.base.config.action_head.num_inference_timesteps
        self._device = device
        self._seed = seed

    def predict(
        self,
        data: Demonstrations,
        windows: Windows,
        texts: Sequence[str] | None = None,
        progress: Progress = lambda done: None,
    ) -> np.ndarray:
        """Normalised actions.

        Args:
            data: The part that the windows are of.
            windows: Where the policy is asked.
            texts: What it is told at each window; what was recorded where left out.
            progress: Told of windows done.

        Returns:
            ``(draws, n, horizon, action_dim)`` float32.
        """
        numbers = row_numbers(data, windows)
        told = data.texts(numbers) if texts is None else list(texts)
        found = []
        for first in range(0, len(windows), BATCH):
            chosen = slice(first, first + BATCH)
            noise = self._noise(windows.episodes[chosen], windows.rows[chosen])
            found.append(self._batch(data, numbers[chosen], told[chosen], noise))
            progress(found[-1].shape[1])
        return np.concatenate(found, axis=1)[..., : data.config.action_dim]

    def _batch(
        self, data: Demonstrations, rows: np.ndarray, texts: list[str], noise: np.ndarray
    ) -> np.ndarray:
        import torch

        from gr00t_assets.modality.image_batches import prepare_batch
        from gr00t_assets.trainers.native.batches import observation_tensors

        base, device = self.policy.base, self._device.device
        frames = torch.from_numpy(data.frames(rows)).to(device)
        images = prepare_batch(frames, base.config.image_size, data.config.crop_scale)
        batch = observation_tensors(
            base, images, data.states(rows), texts, data.config.embodiment_id
        )
        batch = {name: value.to(device) for name, value in batch.items()}
        with torch.no_grad(), self._device.autocast():
            features, mask = base.model.backbone_features(batch)
            draws = [
                base.model.action_head.get_action(
                    features, mask, batch, torch.from_numpy(start).to(device), self.steps
                )
                for start in noise
            ]
        return torch.stack(draws).float().cpu().numpy()

    def _noise(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What denoising starts from, ``(draws, windows, horizon, max_action_dim)``, float32."""
        head = self.policy.base.config.action_head
        shape = head.action_horizon, head.action_dim
        return np.stack(
            [
                [
                    np.random.default_rng([self._seed, draw, episode, row]).standard_normal(
                        shape, np.float32
                    )
                    for episode, row in zip(episodes.tolist(), rows.tolist(), strict=True)
                ]
                for draw in range(self.draws)
            ]
        )


def row_numbers(data: Demonstrations, windows: Windows) -> np.ndarray:
    """The windows' rows as ``data`` numbers them, ``(n,)``."""
    starts = {episode: int(data.rows(episode)[0]) for episode in np.unique(windows.episodes)}
    return np.array([starts[episode] for episode in windows.episodes]) + windows.rows
