"""From rows of datasets to batches of tensors, any batch on its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.frames.demonstrations import Demonstrations, Part
from gr00t_assets.datasets.frames.frame_cache import FrameCache, PreparedFrames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.modality.camera_images import camera_images
from gr00t_assets.modality.images import draw_augmentation
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.runs.training_data import RunDataset
from gr00t_assets.trainers.n15.instructions import instruction_error
from gr00t_assets.trainers.native.action_head import Batch
from gr00t_assets.trainers.native.base_models import BaseModel
from gr00t_assets.trainers.native.data_order import DataOrder, MixtureOrder, sample_seed
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.prompts import padded_prompts

ON_CPU = ("image_grid_thw", "image_ends")
"""Tensors of a batch that stay on the CPU, where their numbers are asked for."""

_OF_IMAGES = ("pixel_values", "image_grid_thw")
"""Tensors with as many rows a sample as it has images, or patches of images."""


def to_device(value: Tensor, device: torch.device) -> Tensor:
    """Copied to a GPU without waiting for it; the copy is ordered before what comes after."""
    if device.type != "cuda" or value.is_cuda:
        return value
    return value.pin_memory().to(device, non_blocking=True)


def batch_to_device(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device, but for what stays on the CPU."""
    return {
        name: value if name in ON_CPU else to_device(value, device) for name, value in batch.items()
    }


def observation_tensors(
    base: BaseModel,
    images: np.ndarray | Tensor,
    states: np.ndarray,
    instructions: Sequence[str],
    embodiment_id: int,
) -> Batch:
    """What a model is given of an observation.

    ``images`` are ``(samples, cameras, height, width, 3)`` uint8, on any device, ``states``
    ``(samples, 1, max_state_dim)`` float32, with one instruction a sample.
    """
    samples, cameras = images.shape[:2]
    tokens = base.config.image_tokens(*images.shape[2:4])
    prompts = [base.tokenizer.prompt_ids(text, cameras, tokens) for text in instructions]
    ids, mask = padded_prompts(prompts, base.tokenizer.pad_id)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        **base.model.pixels(torch.as_tensor(images).flatten(0, 1).permute(0, 3, 1, 2)),
        "state": torch.from_numpy(states),
        "embodiment_id": torch.full((samples,), embodiment_id),
    }


def in_draw_order(parts: Sequence[Batch], places: np.ndarray, pad_id: int) -> Batch:
    """One batch of the samples of several datasets, given a batch of each.

    ``places`` ``(n,)`` are those of their samples in the batch, one part after another. Datasets
    may have other numbers of cameras and prompts of other lengths: tensors of images have those of
    one sample after another, and prompts are padded on the left with ``pad_id``.
    """
    if len(parts) == 1:
        return parts[0]
    fill = {"input_ids": pad_id, "attention_mask": 0, "features": 0}
    order, batch = np.argsort(places), {}
    for name in parts[0]:
        if name in _OF_IMAGES:
            samples = [s for part in parts for s in part[name].chunk(len(part["embodiment_id"]))]
            batch[name] = torch.cat([samples[place] for place in order])
        elif name in fill:
            samples = [sample for part in parts for sample in part[name]]
            padded = pad_sequence(samples, True, fill[name], padding_side="left")
            batch[name] = padded[order]
        else:
            batch[name] = torch.cat([part[name] for part in parts])[order]
    return batch


class BatchSource:
    """Batches of a run by the number of samples drawn before them, from the episodes to train on.

    A thread makes the next batch while this one is trained. On a GPU the raw frames are copied to
    it and cropped, resized and coloured there; on a CPU without augmentation images are read as
    they were prepared once.

    Attributes:
        data: The rows of each dataset of the run.
        samples: Samples in an epoch: of a single dataset every row of every episode to train on.
        features: What gives a batch the towers' features of rows in place of images, by ``id`` of
            their ``data``, where features are kept.

    Raises:
        DatasetError: A dataset cannot be read, or an instruction cannot be put into the prompt.
    """

    def __init__(self, spec: TrainingSpec, base: BaseModel, device: torch.device) -> None:
        settings = NativeHyperparameters.of(spec.experiment)
        self._augmented = settings.augmentation == "gr00t"
        self._recipe = base.config.image_recipe
        self._prepared = not self._augmented and device.type == "cpu"
        self._size = settings.batch_size
        self.data = [self._open(dataset) for dataset in spec.datasets]
        self.features: dict[int, Callable[[np.ndarray], Batch]] = {}
        self._held_out = [
            self._open(dataset, "held_out")
            for dataset in spec.datasets
            if settings.eval_steps and dataset.config.held_out_episodes
        ]
        if settings.eval_steps and not self._held_out:
            names = ", ".join(dataset.name for dataset in spec.datasets)
            problem = "eval_steps asks for held-out losses, and no episode is held out."
            remedy = "set held_out of it in data/datasets.yaml, or take eval_steps out"
            raise DatasetError(names, problem, [remedy])
        self.samples = spec.data.epoch_samples(spec.experiment)
        self._base, self._device, self._seed = base, device, settings.seed
        for data in (*self.data, *self._held_out):
            self._check_prompts(data)
        every_row_alike = settings.balance_trajectory_weights or len(self.data) == 1
        orders = [
            DataOrder(len(data), settings.seed, place, None if every_row_alike else data.lengths)
            for place, data in enumerate(self.data)
        ]
        self._order = MixtureOrder(orders, spec.data.shares(spec.experiment), settings.seed)
        self._worker = ThreadPoolExecutor(1)
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._next: tuple[range, Future[Any]] | None = None

    def counts(self, samples: int) -> list[int]:
        """How many of the first so many samples are of each dataset."""
        return self._order.counts(samples).tolist()

    def held_out(self, most: int) -> Iterator[Batch]:
        """Batches of held-out episodes, on the device, without augmentation.

        They have at most so many samples, evenly spaced, as many of each dataset that has some.
        """
        share = most // len(self._held_out)
        for data in self._held_out:
            chosen = np.linspace(0, len(data) - 1, min(share, len(data))).round().astype(np.int64)
            yield from self.rows(data, chosen)

    def rows(self, data: Demonstrations, chosen: np.ndarray | None = None) -> Iterator[Batch]:
        """Batches of some rows of a dataset, of all where left out, in order, not augmented."""
        chosen = data.rows() if chosen is None else chosen
        for rows in np.array_split(chosen, -(-len(chosen) // self._size)):
            yield self._on_device(self._of_dataset(data, rows))

    def action_entries(self, draws: range) -> int:
        """Numbers of action of some samples, padding left out."""
        counts = self._order.counts(draws.stop) - self._order.counts(draws.start)
        entries = [int(data.action_mask(1).sum()) for data in self.data]
        return int(counts @ np.array(entries))

    def batch(self, draws: range, then: range | None = None) -> Batch:
        """The samples of some draws, counted from the beginning of the run, on the device.

        ``then`` are the next that will be asked for; as many where left out.
        """
        coming, made = self._next or (None, None)
        future = made if made and coming == draws else self._worker.submit(self._make_ahead, draws)
        batch, ready = future.result()
        then = then or range(draws.stop, draws.stop + len(draws))
        self._next = (then, self._worker.submit(self._make_ahead, then))
        if ready is not None:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(ready)
            for value in batch.values():
                if value.is_cuda:
                    value.record_stream(stream)
        return batch

    def _make_ahead(self, draws: range) -> "tuple[Batch, torch.Event | None]":
        """A batch on a stream of its own, so that nothing in it waits for the step that runs.

        The event is there where the device is a GPU, once its work on the batch is done.
        """
        if self._stream is None:
            return self._make(draws), None
        with torch.cuda.stream(self._stream):
            return self._make(draws), self._stream.record_event()

    def _open(self, dataset: RunDataset, part: Part = "train") -> Demonstrations:
        config = dataset.config
        source = (
            PreparedFrames.open(dataset.frame_cache, config, self._recipe)
            if self._prepared
            else FrameCache.open(dataset.frame_cache, config.frame_size)
        )
        return Demonstrations(
            LeRobotDataset.open(dataset.directory, dataset.name), source, config, part
        )

    def _check_prompts(self, data: Demonstrations) -> None:
        """Refuse an instruction that is more than words or too long, with its first episode."""
        name = data.config.dataset
        for number, task in enumerate(data.instructions):
            episode = int(data.episodes[np.argmax(data.tasks == number)])
            if tokens := self._base.tokenizer.special_tokens(task):
                found = f"{', '.join(tokens)}, which the tokenizer takes for no words"
                raise instruction_error(name, episode, task, found)
            if found := self._base.too_long(task, data.config):
                remedy = f"give it a shorter text by tasks: {{rename: ...}} of {name} in "
                remedy += "data/datasets.yaml"
                raise instruction_error(name, episode, task, found, remedy)

    def _make(self, draws: range) -> Batch:
        order = self._order.draws(draws.start, len(draws))
        places, parts = [], []
        for number, data in enumerate(self.data):
            chosen = np.flatnonzero(order.datasets == number)
            if len(chosen):
                places.append(chosen)
                parts.append(self._of_dataset(data, order.rows[chosen], draws.start + chosen))
        pad_id = self._base.tokenizer.pad_id
        return self._on_device(in_draw_order(parts, np.concatenate(places), pad_id))

    def _of_dataset(
        self, data: Demonstrations, rows: np.ndarray, draws: np.ndarray | None = None
    ) -> Batch:
        """Some rows; with the numbers of their draws where they are to be augmented."""
        if id(data) in self.features:
            ids = torch.full((len(rows),), data.config.embodiment_id)
            batch = self.features[id(data)](rows)
            batch |= {"state": torch.from_numpy(data.states(rows)), "embodiment_id": ids}
        else:
            batch = observation_tensors(
                self._base,
                self._images(data, rows, draws),
                data.states(rows),
                data.texts(rows),
                data.config.embodiment_id,
            )
        horizon = self._base.config.action_head.action_horizon
        actions = {"action": data.actions(rows), "action_mask": data.action_mask(len(rows))}
        for name, values in actions.items():
            batch[name] = pad(torch.from_numpy(values), (0, 0, 0, horizon - values.shape[1]))
        return batch

    def _images(self, data: Demonstrations, rows: np.ndarray, draws: np.ndarray | None) -> Tensor:
        """What the model sees, ``(rows, cameras, height, width, 3)`` uint8, on the device."""
        frames = to_device(torch.from_numpy(data.frames(rows)), self._device)
        if self._prepared:
            return frames
        if not self._augmented or draws is None:
            return camera_images(frames, self._recipe, data.config)
        scale, jitter = data.config.crop_scale, data.config.color_jitter
        height, width = self._recipe.crop_frame(*frames.shape[2:4])
        generator, drawn = torch.Generator(), []
        for draw in draws.tolist():
            generator.manual_seed(sample_seed(self._seed, draw))
            drawn.append(draw_augmentation(height, width, scale, jitter, generator))
        return camera_images(frames, self._recipe, data.config, drawn)

    def _on_device(self, batch: Batch) -> Batch:
        return batch_to_device(self._base.model.placed(batch), self._device)
