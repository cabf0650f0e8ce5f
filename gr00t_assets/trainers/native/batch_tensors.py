"""The tensors of a batch: made of rows, put in order, made ready for the device, copied to it."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from gr00t_assets.trainers.native.action_head import Batch
from gr00t_assets.trainers.native.base_models import BaseModel
from gr00t_assets.trainers.native.prompts import image_places, tokenize

ON_CPU = ("image_grid_thw", "image_ends")
"""Tensors of a batch that stay on the CPU, where their numbers are asked for."""


def placed(batch: Batch, base: BaseModel) -> Batch:
    """A batch on the CPU with what a GPU would have to be asked for, and waited for, later.

    It gets what the model adds and ``image_places``, the places of the image tokens in the flat
    ``input_ids``, int64. Where nothing is padded ``attention_mask`` is left out; else there are
    ``kept_places``, where the flat prompts are no padding, int64, and ``prompt_starts`` (B + 1,),
    where each begins and the last ends once padding is left out, int32. ``embodiment_id`` is (1,)
    where all samples have the same.
    """
    kept = {**base.model.placed(batch)}
    ids = kept["embodiment_id"]
    if bool((ids == ids[0]).all()):
        kept["embodiment_id"] = ids[:1]
    kept["image_places"] = image_places(kept["input_ids"], base.tokenizer.image_id)
    mask = kept["attention_mask"]
    if bool(mask.all()):
        del kept["attention_mask"]
    else:
        kept["kept_places"] = mask.flatten().nonzero().flatten()
        kept["prompt_starts"] = pad(mask.sum(1).cumsum(0), (1, 0)).int()
    return kept


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


_OF_IMAGES = ("pixel_values", "image_grid_thw")
"""Tensors with as many rows a sample as it has images, or patches of images."""


def in_draw_order(parts: Sequence[Batch], places: np.ndarray, pad_id: int) -> Batch:
    """One batch of the samples of several datasets, given a batch of each.

    ``places`` ``(n,)`` are those of their samples in the batch, one part after another. Datasets
    may have other numbers of cameras and prompts of other lengths: tensors of images have those of
    one sample after another, and prompts are padded on the left with ``pad_id``.
    """
    if len(parts) == 1:
        return parts[0]
    length = max(part["attention_mask"].shape[1] for part in parts)
    fill = {"input_ids": pad_id, "attention_mask": 0, "features": 0}
    order, batch = np.argsort(places), {}
    for name in parts[0]:
        values = [part[name] for part in parts]
        if name in _OF_IMAGES:
            of_parts = [part[name].chunk(len(part["embodiment_id"])) for part in parts]
            samples = [*chain.from_iterable(of_parts)]
            batch[name] = torch.cat([samples[place] for place in order])
            continue
        if name in fill:
            after = [0, 0] * (values[0].ndim - 2)
            values = [pad(v, (*after, length - v.shape[1], 0), value=fill[name]) for v in values]
        batch[name] = torch.cat(values)[order]
    return batch


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
    ids, mask = tokenize(base.tokenizer, instructions, cameras, tokens)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        **base.model.pixels(torch.as_tensor(images).flatten(0, 1).permute(0, 3, 1, 2)),
        "state": torch.from_numpy(states),
        "embodiment_id": torch.full((samples,), embodiment_id),
    }
