"""From rows of a dataset to batches of tensors: a seeded order, and any batch on its own."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.prepared_frames import PreparedFrames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.images import augment_images, draw_augmentations, prepare_images
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.n15.n15_hyperparameters import n15_settings
from gr00t_assets.trainers.native.base_models import BaseModel
from gr00t_assets.trainers.native.prompts import tokenize


class DataOrder:
    """The order of samples, which any step can be asked for without those before it.

    Every row of every episode to train on is a sample. An epoch is one seeded permutation of them;
    a batch may run over the end of an epoch into the next. Threads may ask at the same time.

    Examples:
        >>> order = DataOrder(samples=3, seed=0)
        >>> seen = [int(i) for i in order.positions(0, 6)]
        >>> sorted(seen[:3]), sorted(seen[3:])
        ([0, 1, 2], [0, 1, 2])
    """

    def __init__(self, samples: int, seed: int) -> None:
        self.samples = samples
        self.seed = seed
        self._last = -1, np.empty(0, dtype=np.int64)

    def positions(self, start: int, count: int) -> np.ndarray:
        """Sample indices of ``count`` draws after ``start`` draws, shape ``(count,)``, int64."""
        epochs, places = np.divmod(np.arange(start, start + count), self.samples)
        chosen = np.empty(count, dtype=np.int64)
        for epoch in np.unique(epochs):
            within = epochs == epoch
            chosen[within] = self._permutation(int(epoch))[places[within]]
        return chosen

    def _permutation(self, epoch: int) -> np.ndarray:
        last_epoch, permutation = self._last
        if epoch != last_epoch:
            permutation = np.random.default_rng([self.seed, epoch]).permutation(self.samples)
            self._last = epoch, permutation
        return permutation


def augmentation_seed(seed: int, draw: int) -> int:
    """A seed for the augmentation of the batch that begins at ``draw``, unlike its neighbours'."""
    return int(np.random.SeedSequence([seed, draw]).generate_state(1, np.uint64)[0] >> 1)


class BatchSource:
    """Batches of a run by the number of samples drawn before them, from the episodes to train on.

    On a GPU the raw frames are copied to it and cropped, resized and coloured there, in a thread
    that makes the next batch while this one is trained. On a CPU the batch is made when it is asked
    for; without augmentation its images are read as they were prepared once.
    """

    def __init__(self, spec: TrainingSpec, base: BaseModel, device: torch.device) -> None:
        config, settings = spec.modality_config, n15_settings(spec.experiment)
        dataset = LeRobotDataset.open(spec.dataset_directory, config.dataset)
        augmented = settings.augmentation == "gr00t"
        self._jitter = config.color_jitter if augmented else None
        self._image_size = base.config.image_size
        self._prepared = self._jitter is None and device.type == "cpu"
        source = (
            PreparedFrames.open(spec.frame_cache, config, self._image_size)
            if self._prepared
            else FrameCache.open(spec.frame_cache, config.frame_size)
        )
        self.data = Demonstrations(dataset, source, config, "train")
        self._base = base
        self._device = device
        self._size = settings.batch_size
        self._seed = settings.seed
        self._order = DataOrder(len(self.data), settings.seed)
        self._worker = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._next: tuple[int, Future[dict[str, torch.Tensor]]] | None = None

    @property
    def samples(self) -> int:
        """Samples in an epoch: every row of every episode to train on."""
        return len(self.data)

    def batch(self, draw: int) -> dict[str, torch.Tensor]:
        """The batch that begins after ``draw`` samples, on the device."""
        if self._worker is None:
            return self._make(draw)
        if self._next is not None and self._next[0] == draw:
            batch = self._next[1].result()
        else:
            batch = self._worker.submit(self._make, draw).result()
        self._next = (draw + self._size, self._worker.submit(self._make, draw + self._size))
        return batch

    def _make(self, draw: int) -> dict[str, torch.Tensor]:
        rows = self._order.positions(draw, self._size)
        batch = observation_tensors(
            self._base,
            self._images(rows, draw),
            self.data.states(rows),
            self.data.texts(rows),
            self.data.config.embodiment_id,
        )
        batch["action"] = torch.from_numpy(self.data.actions(rows))
        batch["action_mask"] = torch.from_numpy(self.data.action_mask(len(rows)))
        return {name: self._on_device(value) for name, value in batch.items()}

    def _images(self, rows: np.ndarray, draw: int) -> torch.Tensor:
        """What the model sees, ``(rows, cameras, size, size, 3)`` uint8, on the device."""
        frames = self._on_device(torch.from_numpy(self.data.frames(rows)))
        if self._prepared:
            return frames
        scale = self.data.config.crop_scale
        if self._jitter is None:
            return prepare_images(frames, self._image_size, scale)
        generator = torch.Generator().manual_seed(augmentation_seed(self._seed, draw))
        height, width = frames.shape[2:4]
        drawn = draw_augmentations(len(rows), height, width, scale, self._jitter, generator)
        return augment_images(frames, self._image_size, scale, drawn)

    def _on_device(self, value: torch.Tensor) -> torch.Tensor:
        """Copied to a GPU without waiting for it; the copy is ordered before what comes after."""
        if self._device.type != "cuda" or value.is_cuda:
            return value
        return value.pin_memory().to(self._device, non_blocking=True)


def observation_tensors(
    base: BaseModel,
    images: np.ndarray | torch.Tensor,
    states: np.ndarray,
    instructions: Sequence[str],
    embodiment_id: int,
) -> dict[str, torch.Tensor]:
    """What a model is given of an observation.

    Args:
        images: ``(samples, cameras, size, size, 3)`` uint8, on any device.
        states: ``(samples, 1, max_state_dim)`` float32.
        instructions: One text a sample.
        embodiment_id: Row of the per-embodiment weights.
    """
    samples, cameras = images.shape[:2]
    ids, mask = tokenize(base.tokenizer, instructions, cameras, base.config.tokens_per_image)
    pixels = torch.as_tensor(images).flatten(0, 1).permute(0, 3, 1, 2).float()
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "pixel_values": pixels.div_(127.5).sub_(1),
        "state": torch.from_numpy(states),
        "embodiment_id": torch.full((samples,), embodiment_id),
    }
