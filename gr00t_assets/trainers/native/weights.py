"""Safetensors files, with a full disk reported as the operating system reports it."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gr00t_assets.core.errors import BaseModelError
from gr00t_assets.core.files import read_json, write_json
from gr00t_assets.trainers.native.gr00t_model import Gr00tModel

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
FUTURE_TOKENS = "action_head.future_tokens.weight"
"""Isaac-GR00T before 2025-07-08 has none in its action head: it drops those of the base model, and
its checkpoints are of a model without them."""

LARGEST_SHARD = 5_000_000_000
"""Bytes of a file of weights, as transformers and Isaac-GR00T write them."""

LARGEST_HEADER = 32 << 20
"""Bytes; 200,000 tensors, of which N1.5 has a thousand."""

StoredTensors = dict[str, tuple[Path, tuple[int, ...]]]
"""Tensors that are not read yet: file and shape by name."""

_SHOWN = 5
_MISMATCH = "its weights do not match its config.json."


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors to a file; OSError where the disk is full."""
    try:
        save_file(_own_storage(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        if refused := re.search(r"os error (\d+)", str(error)):
            number = int(refused[1])
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


def _own_storage(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that are contiguous and share no storage, as the format asks."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        whole = tensor.untyped_storage().nbytes() == tensor.nbytes and address not in seen
        separate[name] = (tensor if whole else tensor.clone()).contiguous()
        seen.add(address)
    return separate


def save_shards(tensors: Mapping[str, Tensor], directory: Path) -> None:
    """Write a model's tensors to one file, or to shards and their index; raises as the above."""
    split = split_torch_state_dict_into_shards(dict(tensors), max_shard_size=LARGEST_SHARD)
    for file, names in split.filename_to_tensors.items():
        save_tensors({name: tensors[name] for name in names}, directory / file)
    (directory / (WEIGHTS if split.is_sharded else INDEX)).unlink(missing_ok=True)
    if split.is_sharded:
        content = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_json(directory / INDEX, content)


def stored_weights(directory: Path, layers: int) -> StoredTensors:
    """Look at the weights of a model folder: one safetensors file, or shards that its index names.

    ``layers`` are those of the model that its ``config.json`` describes.

    Raises:
        BaseModelError: Files are missing, broken, pickled or left behind in Git LFS, or they hold
            fewer tensors than layers.
    """
    tensors: StoredTensors = {}
    for file in _weight_files(directory):
        try:
            with file.open("rb") as opened:
                start = opened.read(len(LFS_POINTER))
            if start == LFS_POINTER:
                remedy = f"fetch them: git -C {directory} lfs pull"
                problem = "this is a Git LFS pointer, not the weights."
                raise BaseModelError(str(file), problem, [remedy])
            if (size := int.from_bytes(start[:8], "little")) > LARGEST_HEADER:
                raise SafetensorError(f"its header says that it has {size:,} bytes")
            with safe_open(file, "pt") as content:
                for name in content.keys():  # noqa: SIM118
                    tensors[name] = (file, tuple(content.get_slice(name).get_shape()))
        except (SafetensorError, OSError, RuntimeError) as error:
            details = [str(error), f"{file.stat().st_size} bytes; copy or download it again"]
            problem = "this is not a whole safetensors file."
            raise BaseModelError(str(file), problem, details) from error
    if len(tensors) < layers:
        found = f"config.json describes {layers:,} layers, there are {len(tensors):,} tensors"
        raise BaseModelError(str(directory), _MISMATCH, [found])
    return tensors


def _weight_files(directory: Path) -> list[Path]:
    if (directory / WEIGHTS).is_file():
        return [directory / WEIGHTS]
    if (directory / INDEX).is_file():
        return _shards(directory / INDEX)
    pickles = [p.name for end in ("bin", "pt", "pth") for p in directory.glob(f"*.{end}")]
    details = [f"expected {WEIGHTS} or {INDEX}"]
    if pickles:
        names = ", ".join(sorted(pickles)[:_SHOWN])
        details = [
            f"it has {names}: pickles, which can run code when opened, so they are not read",
            "save the model as safetensors, as Isaac-GR00T does by default",
        ]
    raise BaseModelError(str(directory), f"{WEIGHTS} is missing.", details)


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(read_json(index)["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BaseModelError(str(index), "this is not an index of shards.", [str(error)]) from error
    if outside := [n for n in names if Path(n).name != n or not n.endswith(".safetensors")]:
        problem = "it names files that are no safetensors beside it."
        raise BaseModelError(str(index), problem, outside[:_SHOWN])
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing or not names:
        problem = f"{len(missing)} of its {len(names)} shards are missing."
        raise BaseModelError(str(index), problem, missing[:_SHOWN])
    return [index.parent / name for name in names]


def load_weights(
    model: Gr00tModel, weights: StoredTensors, device: torch.device | str, subject: str
) -> None:
    """Give a model that has shapes alone, on the device meta, its memory and its weights.

    They are converted to the model's dtype. ``lm_head`` is not part of the model and passed over;
    where a file with tied embeddings has ``lm_head`` alone it stands for the embeddings. Errors
    name ``subject``.

    Raises:
        BaseModelError: Names or shapes differ from the model's, there is not enough memory, or a
            number is not finite.
    """
    stored, source = dict(weights), {name: name for name in weights}
    lm_head = stored.pop(model.lm_head, None)
    if lm_head is not None and model.embedding not in stored:
        stored[model.embedding], source[model.embedding] = lm_head, model.lm_head
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if tensor.numel() or name in stored
    }
    missing = [name for name in shapes if name not in stored]
    other = [
        f"{name} has shape {list(stored[name][1])}, expected {list(shape)}"
        for name, shape in shapes.items()
        if name in stored and stored[name][1] != shape
    ]
    details = [
        *_listed("missing", missing),
        *_listed("unexpected", [name for name in stored if name not in shapes]),
        *_listed("of another shape", other),
    ]
    if details:
        raise BaseModelError(subject, _MISMATCH, details)
    _allocate(model, device, subject)
    own, not_finite = model.state_dict(), []
    for file in {stored[name][0] for name in shapes}:
        with safe_open(file, "pt") as content:
            for name in (name for name in shapes if stored[name][0] == file):
                tensor = own[name].copy_(content.get_tensor(source[name]))
                # A sum tells it for most tensors, without their size again.
                finite = tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all()
                if not finite:
                    not_finite.append(source[name])
    if not_finite:
        problem = "it has weights that are not finite numbers (NaN or infinite)."
        remedy = "copy or download it again; if it is so at its origin, take an earlier checkpoint"
        raise BaseModelError(subject, problem, [*_listed("tensors", not_finite), remedy])


def _listed(kind: str, names: list[str]) -> Iterator[str]:
    if names:
        more = ", ..." if len(names) > _SHOWN else ""
        yield f"{len(names)} {kind}: {', '.join(sorted(names)[:_SHOWN])}{more}"


def _allocate(model: nn.Module, device: torch.device | str, subject: str) -> None:
    """Give a model memory, unless it is more than there is, which would end other programs."""
    needed = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    on_cpu = torch.device(device).type == "cpu"
    try:
        if on_cpu and needed > psutil.virtual_memory().available:
            raise MemoryError
        model.to_empty(device=device)
    except (MemoryError, RuntimeError) as error:
        if not on_cpu:
            raise
        found = f"{needed / 1e9:.1f} GB are needed"
        remedy = "train it where there is more memory, or take a smaller model"
        problem = "there is not enough memory for its weights."
        raise BaseModelError(subject, problem, [found, remedy]) from error
