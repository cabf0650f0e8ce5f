"""From rows of a dataset to batches of tensors, any batch on its own and always the same."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from gr00t_assets.datasets.frame_cache import FrameCache
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.errors import DatasetError
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.data_configs import find_data_config
from gr00t_assets.modality.images import augment_images, prepare_image
from gr00t_assets.modality.transforms import StateActionTransform
from gr00t_assets.training.native.base_models import BaseModel
from gr00t_assets.training.native.data_order import DataOrder, augmentation_seed
from gr00t_assets.training.native.prompts import tokenize
from gr00t_assets.training.spec import TrainingSpec

DEFAULT_INSTRUCTION = "Perform the default behavior."
"""What Isaac-GR00T tells a policy whose data has no language."""


class Demonstrations:
    """Every row of a dataset, ready but for its images.

    Args:
        dataset: The dataset.
        cache: Its decoded frames.
        config: Its modality config.

    Attributes:
        tasks: Instruction of each row, as an index into ``instructions``, shape ``(rows,)``.
    """

    def __init__(self, dataset: LeRobotDataset, cache: FrameCache, config: ModalityConfig) -> None:
        self.config = config
        self._cache = cache
        self._transform = StateActionTransform(config)
        self.instructions: list[str] = []
        numbers: dict[str, int] = {}
        states, actions, tasks, self._episode_rows = [], [], [], []
        frame_rows: list[list[np.ndarray]] = [[] for _ in config.video]
        columns = {*self._transform.state_columns, *self._transform.action_columns}
        for episode in dataset.episodes:
            vectors = {name: dataset.vector(episode.index, name) for name in columns}
            states.append(self._transform.states(vectors).astype(np.float32))
            actions.append(self._transform.actions(vectors).astype(np.float32))
            timestamps = dataset.timestamps(episode.index)
            for rows, camera in zip(frame_rows, config.video, strict=True):
                rows.append(cache.rows(episode.index, camera.original_key, timestamps))
            for text in _instructions(dataset, episode.index, config.language, len(timestamps)):
                tasks.append(numbers.setdefault(text, len(numbers)))
        self.instructions = list(numbers)
        self.tasks = np.asarray(tasks)
        self._states = np.concatenate(states)
        self._actions = actions
        self._frame_rows = [np.concatenate(rows) for rows in frame_rows]
        lengths = [len(episode) for episode in actions]
        self._episode_of = np.repeat(np.arange(len(lengths)), lengths)
        self._row_in_episode = np.concatenate([np.arange(length) for length in lengths])
        sizes = {(camera.height, camera.width) for camera in config.video}
        if len(sizes) > 1:
            raise DatasetError(
                config.dataset,
                "its cameras have different resolutions; one crop cannot serve them.",
                [f"{camera.key}: {camera.height}x{camera.width}" for camera in config.video],
            )

    def __len__(self) -> int:
        return len(self.tasks)

    def states(self, rows: np.ndarray) -> np.ndarray:
        """States of some rows, shape ``(rows, 1, max_state_dim)``, float32."""
        return self._states[rows][:, None]

    def actions(self, rows: np.ndarray) -> np.ndarray:
        """Action chunks of some rows, shape ``(rows, horizon, max_action_dim)``, float32."""
        chunks = [
            self._transform.chunks(
                self._actions[self._episode_of[row]], [int(self._row_in_episode[row])]
            )
            for row in rows
        ]
        return np.concatenate(chunks)

    def action_mask(self, count: int) -> np.ndarray:
        """Which of the numbers are action and not padding, shape ``(count, horizon, max)``."""
        mask = self._transform.action_mask
        return np.broadcast_to(mask, (count, *mask.shape)).copy()

    def frames(self, rows: np.ndarray) -> np.ndarray:
        """Raw frames of some rows, shape ``(rows, cameras, height, width, 3)``, uint8."""
        cameras = [
            self._cache.frames(camera.original_key, frame_rows[rows])
            for camera, frame_rows in zip(self.config.video, self._frame_rows, strict=True)
        ]
        return np.stack(cameras, axis=1)


class BatchSource:
    """Batches of a run by the number of samples drawn before them.

    Args:
        spec: The run.
        base: The base model, for its tokenizer and image size.
        device: Where the tensors go. On a GPU the next batch is made while this one is trained.
    """

    def __init__(self, spec: TrainingSpec, base: BaseModel, device: torch.device) -> None:
        config, settings = spec.modality_config, spec.experiment.hyperparameters
        dataset = LeRobotDataset.open(spec.dataset_directory, config.dataset)
        self.data = Demonstrations(dataset, FrameCache.open(spec.frame_cache), config)
        self._base = base
        self._device = device
        self._size = settings.batch_size
        self._seed = settings.seed
        self._order = DataOrder(len(self.data), settings.seed)
        self._jitter = (
            find_data_config(config.data_config).color_jitter
            if settings.augmentation == "gr00t"
            else None
        )
        self._worker = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._next: tuple[int, Future[dict[str, torch.Tensor]]] | None = None

    @property
    def samples(self) -> int:
        """Samples in an epoch: every row of every episode."""
        return len(self.data)

    def batch(self, draw: int) -> dict[str, torch.Tensor]:
        """The batch that begins after ``draw`` samples, on the device."""
        if self._worker is None:
            return self._make(draw)
        if self._next is not None and self._next[0] == draw:
            made = self._next[1].result()
        else:
            made = self._make(draw)
        self._next = (draw + self._size, self._worker.submit(self._make, draw + self._size))
        return {name: value.to(self._device, non_blocking=True) for name, value in made.items()}

    def _make(self, draw: int) -> dict[str, torch.Tensor]:
        rows = self._order.positions(draw, self._size)
        generator = torch.Generator().manual_seed(augmentation_seed(self._seed, draw))
        config = self.data.config
        frames = self.data.frames(rows)
        size = self._base.config.image_size
        if self._jitter is None:
            images = np.stack([prepare_image(frame, size, config.crop_scale) for frame in frames])
        else:
            images = augment_images(frames, size, config.crop_scale, self._jitter, generator)
        made = observation_tensors(
            self._base,
            images,
            self.data.states(rows),
            [self.data.instructions[task] for task in self.data.tasks[rows]],
            config.embodiment_id,
        )
        made["action"] = torch.from_numpy(self.data.actions(rows))
        made["action_mask"] = torch.from_numpy(self.data.action_mask(len(rows)))
        if self._device.type == "cuda":
            made = {name: value.pin_memory() for name, value in made.items()}
        return made


def observation_tensors(
    base: BaseModel,
    images: np.ndarray,
    states: np.ndarray,
    instructions: Sequence[str],
    embodiment_id: int,
) -> dict[str, torch.Tensor]:
    """What a model is given of an observation.

    Args:
        base: The model, for its tokenizer and configuration.
        images: ``(samples, cameras, size, size, 3)`` uint8.
        states: ``(samples, 1, max_state_dim)`` float32.
        instructions: One text a sample.
        embodiment_id: Row of the per-embodiment weights.
    """
    samples, cameras = images.shape[:2]
    ids, mask = tokenize(base.tokenizer, instructions, cameras, base.config.tokens_per_image)
    pixels = torch.from_numpy(images).flatten(0, 1).permute(0, 3, 1, 2).float()
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": pixels / 127.5 - 1,
        "state": torch.from_numpy(states),
        "embodiment_id": torch.full((samples,), embodiment_id),
    }


def _instructions(
    dataset: LeRobotDataset, episode: int, column: str | None, rows: int
) -> list[str]:
    if column is None:
        return [DEFAULT_INSTRUCTION] * rows
    return [dataset.tasks[int(task)] for task in dataset.vector(episode, column).reshape(-1)]
