"""Features of a frozen backbone, computed once for every row and kept beside the frame cache.

Without augmentation a row's features are the same whenever it is drawn, and the towers are most of
a step's arithmetic. They are a hidden folder of the frame cache, whose name is made of all that
decides their content: data, prompts, weights of the towers, type of number and attention.
"""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from gr00t_assets.core.errors import StoreError, TrainingError
from gr00t_assets.core.files import discard_directory, free_bytes, json_hash, published_directory
from gr00t_assets.core.text import format_bytes
from gr00t_assets.datasets.frames.demonstrations import Demonstrations
from gr00t_assets.runs.training_data import RunDataset
from gr00t_assets.trainers.native.base_models import BaseModel, Device
from gr00t_assets.trainers.native.batches import BatchSource
from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters
from gr00t_assets.trainers.native.processes import Processes
from gr00t_assets.trainers.native.prompts import padded_prompts

FEATURES = ".features-"  # How the names of their folders begin.
_FILE = "tokens.npy"
_SPARE = 1 << 30  # Bytes that are left free for everything else on the disk.


class Prompts(NamedTuple):
    """The prompts of a dataset's rows."""

    ids: list[tuple[int, ...]]  # Of the tokens of each task.
    tasks: np.ndarray  # Of each row.
    pad_id: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        return np.array([len(ids) for ids in self.ids])[self.tasks]


class CachedFeatures:
    """Features by row, mapped from their file: the tokens of one row after those of another."""

    def __init__(self, file: Path, prompts: Prompts, dtype: torch.dtype) -> None:
        self._tokens, lengths = np.load(file, mmap_mode="r"), prompts.lengths
        if len(self._tokens) != lengths.sum():
            raise ValueError(f"{len(self._tokens)} tokens, not {lengths.sum()}")
        self._starts, self._prompts, self._dtype = lengths.cumsum() - lengths, prompts, dtype

    def of(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        """``features`` (rows, L, D), padded on the left, ``input_ids`` and ``attention_mask``."""
        prompts = [self._prompts.ids[task] for task in self._prompts.tasks[rows]]
        tokens = [
            torch.from_numpy(self._tokens[start : start + len(ids)].copy()).view(self._dtype)
            for start, ids in zip(self._starts[rows], prompts, strict=True)
        ]
        features = pad_sequence(tokens, batch_first=True, padding_side="left")
        ids, mask = padded_prompts(prompts, self._prompts.pad_id)
        return {"features": features, "input_ids": ids, "attention_mask": mask}


def require_frozen(settings: NativeHyperparameters) -> None:
    """Refuse to keep features that change while a run trains; the error has every reason."""
    reasons = [
        f"{name}: true trains the towers"
        for name in ("tune_llm", "tune_visual")
        if getattr(settings, name) and not settings.lora_rank
    ]
    if settings.lora_rank and settings.lora_full_model:
        reasons.append("lora_full_model: true puts LoRA on the towers")
    if settings.augmentation != "none":
        reasons.append(f"augmentation: {settings.augmentation} changes images at every draw")
    if reasons and settings.frozen_features == "cache":
        problem = "features of the backbone cannot be kept: they are not the same at every step."
        raise TrainingError("frozen_features", problem, [*reasons, "take frozen_features out"])


def use_cached_features(
    datasets: tuple[RunDataset, ...],
    base: BaseModel,
    batches: BatchSource,
    device: Device,
    processes: Processes,
    say: Callable[[str], None],
) -> None:
    """Have batches with the features of each row; those that are not there are computed first.

    The first process computes them, and the others wait for it.

    Raises:
        StoreError: The disk has too little room for them; the message has the figures.
    """
    weights, recipe = _digest(base.model.backbone.towers), base.config.image_recipe
    dtype = torch.bfloat16 if device.on_gpu else torch.float32
    for dataset, data in zip(datasets, batches.data, strict=True):
        texts = [base.prompt_ids(text, data.config) for text in data.instructions]
        prompts = Prompts(texts, data.tasks, base.tokenizer.pad_id)
        rows = hashlib.sha256(data.episodes.tobytes() + data.tasks.tobytes()).hexdigest()
        facts = [data.config.dataset_version, data.config.content_hash(), rows, texts, weights]
        # A CPU with weights of 16 bits computes them less exactly than it keeps them.
        precision = [str(dtype), *["autocast"] * (device.mixed_precision and not device.on_gpu)]
        key = json_hash([*facts, *recipe.content, base.model.attention, *precision], 16)
        folder = dataset.frame_cache / f"{FEATURES}{key}"
        while not (features := _opened(folder, prompts, dtype)):
            if processes.is_first:
                if folder.exists():  # Cut short; nobody else deletes it.
                    discard_directory(folder)
                _write(folder, data, base, batches, device, int(prompts.lengths.sum()), dtype, say)
            else:
                time.sleep(1.0)
        batches.features[id(data)] = features.of


def _opened(folder: Path, prompts: Prompts, dtype: torch.dtype) -> CachedFeatures | None:
    """The features of a folder; None where they are not there, or not whole."""
    try:
        return CachedFeatures(folder / _FILE, prompts, dtype)
    except (OSError, ValueError):
        return None


@torch.no_grad()
def _write(
    folder: Path,
    data: Demonstrations,
    base: BaseModel,
    batches: BatchSource,
    device: Device,
    tokens: int,
    dtype: torch.dtype,
    say: Callable[[str], None],
) -> None:
    model, width = base.model, base.model.backbone.text.config.hidden_size
    size, free = tokens * width * dtype.itemsize, free_bytes(folder.parent)
    if size + _SPARE > free:
        problem = f"features of its {len(data):,} rows take {format_bytes(size)}, and the disk of "
        problem += f"its frame cache has {format_bytes(free)} free; nothing was trained."
        remedy = "take frozen_features out, or make room: see `gr00t-assets store status`"
        raise StoreError(data.config.dataset, problem, [remedy])
    say(f"computing features of {len(data):,} rows of {data.config.dataset}: {format_bytes(size)}")
    kind = np.dtype(np.float32 if dtype == torch.float32 else np.int16)
    model.eval()
    with published_directory(folder) as unpublished, device.autocast():
        file = np.lib.format.open_memmap(unpublished / _FILE, "w+", kind, (tokens, width))
        done = 0
        for batch in batches.rows(data):
            features, mask = model.backbone(batch), model.backbone.kinds(batch)
            flat = features.flatten(0, 1) if mask is None else features[mask.bool()]
            numbers = flat.to(dtype).cpu()
            stored = numbers if dtype == torch.float32 else numbers.view(torch.int16)
            file[done : done + len(stored)] = stored.numpy()
            done += len(stored)
        file.flush()


def _digest(module: nn.Module) -> str:
    """SHA-256 of a module's parameters."""
    digest = hashlib.sha256()
    for name, value in module.named_parameters():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
