"""Bytes alive in a training step, from a model without memory.

One forward and one backward pass run on tensors that have a shape alone (torch's
``FakeTensorMode``) in the precision of a GPU, for two samples and for three. The bytes alive after
each operation are affine in the batch, so that both give every batch size.
"""

import weakref
from collections.abc import Iterable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gr00t_assets.trainers.base_model_files import AnyConfig
from gr00t_assets.trainers.native.base_models import new_model
from gr00t_assets.trainers.native.batches import ON_CPU
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.optimizer import set_up_training, trainable


class Passes(NamedTuple):
    """A model as a run trains it, and what a step makes, in bytes."""

    weights: int  # All parameters and buffers.
    trained: tuple[Tensor, ...]  # Trained parameters, without memory.
    gathered: int  # What sharding has whole at once, at most: two layers, and what is in none.
    fixed: np.ndarray  # What is alive after each allocation, for no sample.
    each: np.ndarray  # What is more for each sample.


@lru_cache(maxsize=64)
def step_passes(
    config: AnyConfig,
    settings: NativeHyperparameters,
    cameras: int,
    text: int,
    kept: bool,
    embodiments: int = 1,
) -> Passes:
    """The passes of a model as a run trains it, computed once in a process.

    With ``kept`` gradients are there before a pass, as in ``DistributedDataParallel``'s buckets,
    and are not counted. Of several ``embodiments`` each sample has a copy of its own one's weights.
    """
    with torch.device("meta"):
        model = new_model(config)
    if not (settings.tune_llm or settings.tune_visual):
        model.backbone.bfloat16()
    set_up_training(model, settings, range(embodiments))
    norms_in_float32(model)
    model.train()
    trained = tuple(torch.empty_like(parameter) for _, parameter in trainable(model))
    batches = [_batch(model, samples, cameras, text, embodiments) for samples in (2, 3)]
    with FakeTensorMode() as fake:
        # On a device that computes in mixed precision, as meta does not.
        model._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype))
        two, three = (_alive(model, fake, batch, kept) for batch in batches)
    each = three - two
    sizes = [sum(value.nbytes for value in layer.parameters()) for layer in model.layers()]
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    gathered = weights - sum(sizes) + 2 * max(sizes)
    return Passes(weights, trained, gathered, two - 2 * each, each)


def _batch(
    model: Gr00tModel, samples: int, cameras: int, text: int, embodiments: int
) -> dict[str, Any]:
    """A batch of square images, with a token of text between two of them.

    Numbers that a model asks for are no tensors, since those are to have shapes alone. N1.7's
    images are one to its attention, so that there are as many operations for any batch.
    """
    config = model.config
    head, side = config.action_head, config.image_recipe.size
    tokens = config.image_tokens(side, side)
    ids = torch.zeros(samples, cameras * tokens + text, dtype=torch.long)
    for camera in range(cameras):
        start = camera * (tokens + 1)
        ids[:, start : start + tokens] = model.backbone.image_token
    actions = torch.zeros(samples, head.action_horizon, head.action_dim)
    images = torch.zeros(samples * cameras, 3, side, side, dtype=torch.uint8)
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        **model.pixels(images),
        "state": torch.zeros(samples, 1, head.max_state_dim),
        "embodiment_id": torch.arange(samples) % embodiments,
        "action": actions,
        "action_mask": actions.bool(),
    }
    placed = model.placed(batch).items()
    return {name: value.numpy()[[0, -1]] if name in ON_CPU else value for name, value in placed}


def _alive(model: Gr00tModel, fake: FakeTensorMode, real: dict[str, Any], kept: bool) -> np.ndarray:
    """Bytes alive after each allocation of a forward and a backward pass."""
    for parameter in model.parameters():
        given = kept and parameter.requires_grad
        parameter.grad = torch.empty_like(parameter) if given else None
    batch = {
        name: fake.from_tensor(value) if isinstance(value, Tensor) else value
        for name, value in real.items()
    }
    actions, parameters = batch["action"], [*model.parameters()]
    there = [*parameters, *model.buffers(), *batch.values(), *(value.grad for value in parameters)]
    with _Alive(there) as alive, torch.autocast("cpu", dtype=torch.bfloat16):
        model(batch, actions, actions[:, 0, 0], 1.0).backward()
    return np.array(alive.bytes, dtype=np.int64)


class _Alive(TorchDispatchMode):
    """Counts the bytes of all storages that operations make, until they are freed.

    Views of what was ``there`` before are nothing new.
    """

    def __init__(self, there: Iterable[object]) -> None:
        super().__init__()
        self.bytes: list[int] = []
        tensors = [tensor for tensor in there if isinstance(tensor, Tensor)]
        self._now, self._known = 0, {tensor.untyped_storage()._cdata for tensor in tensors}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self._known:
                self._known.add(key)
                self._now += size
                self.bytes.append(self._now)
                weakref.finalize(storage, self._free, key, size)
        return output

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._now -= size


def norms_in_float32(model: nn.Module) -> None:
    """Have layer norms computed in float32, as on a GPU in mixed precision; a CPU does not."""

    def forward(norm: nn.LayerNorm, x: Tensor) -> Tensor:
        weight, bias = (None if v is None else v.float() for v in (norm.weight, norm.bias))
        return F.layer_norm(x.float(), norm.normalized_shape, weight, bias, norm.eps)

    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            setattr(module, "forward", partial(forward, module))  # noqa: B010
