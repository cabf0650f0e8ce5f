"""Safetensors files, with a full disk reported as the operating system reports it."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gr00t_assets.core.errors import BaseModelError

_FULL = f"os error {errno.ENOSPC}"


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors to a file.

    Raises:
        OSError: The disk is full.
    """
    try:
        save_file(_own_storage(tensors), path, metadata={"format": "pt"})
    except SafetensorError as error:
        if _FULL in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise


def _own_storage(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors that are contiguous and share no storage, as the format asks."""
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        address = tensor.untyped_storage().data_ptr()
        whole = tensor.untyped_storage().nbytes() == tensor.nbytes and address not in seen
        separate[name] = (
            tensor.contiguous() if whole else tensor.clone(memory_format=torch.contiguous_format)
        )
        seen.add(address)
    return separate


WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
TEXT = "backbone.eagle_model.language_model."
LM_HEAD, EMBEDDING = f"{TEXT}lm_head.weight", f"{TEXT}model.embed_tokens.weight"
FUTURE_TOKENS = "action_head.future_tokens.weight"
SHOWN = 5


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model folder: one, or the shards that its index names.

    Raises:
        BaseModelError: They are missing, pickled, or left behind in Git LFS.
    """
    if (directory / WEIGHTS).is_file():
        files = [directory / WEIGHTS]
    elif (directory / INDEX).is_file():
        files = _shards(directory / INDEX)
    else:
        pickles = [p.name for end in ("bin", "pt", "pth") for p in directory.glob(f"*.{end}")]
        details = [f"expected {WEIGHTS} or {INDEX}"]
        if pickles:
            names = ", ".join(sorted(pickles)[:SHOWN])
            details = [
                f"it has {names}: pickles, which can run code when opened, so they are not read",
                "save the model as safetensors, as Isaac-GR00T does by default",
            ]
        raise BaseModelError(str(directory), f"{WEIGHTS} is missing.", details)
    for file in files:
        with file.open("rb") as handle:
            if handle.read(len(LFS_POINTER)) == LFS_POINTER:
                raise BaseModelError(
                    str(file),
                    "this is a Git LFS pointer, not the weights.",
                    [f"fetch them: git -C {directory} lfs pull"],
                )
    return files


def _shards(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BaseModelError(str(index), "this is not an index of shards.", [str(error)]) from error
    outside = [
        name for name in names if Path(name).name != name or not name.endswith(".safetensors")
    ]
    if outside:
        raise BaseModelError(
            str(index), "it names files that are no safetensors beside it.", outside[:SHOWN]
        )
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing or not names:
        raise BaseModelError(
            str(index), f"{len(missing)} of its {len(names)} shards are missing.", missing[:SHOWN]
        )
    return [index.parent / name for name in names]


def _stored_shapes(files: list[Path]) -> dict[str, tuple[Path, tuple[int, ...]]]:
    stored = {}
    for file in files:
        try:
            with safe_open(file, "pt") as content:
                for name in content.keys():  # noqa: SIM118
                    stored[name] = (file, tuple(content.get_slice(name).get_shape()))
        except SafetensorError as error:
            raise BaseModelError(
                str(file),
                "this is not a whole safetensors file.",
                [str(error), f"{file.stat().st_size} bytes; copy or download it again"],
            ) from error
    return stored


def has_future_tokens(directory: Path) -> bool:
    """Whether the weights of a model folder have ``future_tokens``.

    Isaac-GR00T before 2025-07-08 has none in its action head: it drops those of the base model, and
    its checkpoints are of a model without them.

    Raises:
        BaseModelError: Files are missing or broken.
    """
    return FUTURE_TOKENS in _stored_shapes(weight_files(directory))


def _listed(kind: str, names: list[str]) -> Iterator[str]:
    if names:
        more = ", ..." if len(names) > SHOWN else ""
        yield f"{len(names)} {kind}: {', '.join(sorted(names)[:SHOWN])}{more}"


def load_weights(model: nn.Module, directory: Path) -> None:
    """Copy the weights of a model folder into ``model``, converted to its dtype.

    ``lm_head`` is not part of the model and passed over; where a file with tied embeddings has
    ``lm_head`` alone it stands for the embeddings.

    Raises:
        BaseModelError: Files are missing or broken, or names or shapes differ from the model's.
    """
    stored = _stored_shapes(weight_files(directory))
    lm_head = stored.pop(LM_HEAD, None)
    source = {name: name for name in stored}
    if lm_head is not None and EMBEDDING not in stored:
        stored[EMBEDDING], source[EMBEDDING] = lm_head, LM_HEAD
    own = model.state_dict()
    own = {name: tensor for name, tensor in own.items() if tensor.numel() or name in stored}
    missing = [name for name in own if name not in stored]
    shapes = [
        f"{name} has shape {list(stored[name][1])}, expected {list(tensor.shape)}"
        for name, tensor in own.items()
        if name in stored and stored[name][1] != tuple(tensor.shape)
    ]
    details = [
        *_listed("missing", missing),
        *_listed("unexpected", [name for name in stored if name not in own]),
        *_listed("of another shape", shapes),
    ]
    if details:
        raise BaseModelError(str(directory), "its weights do not match its config.json.", details)
    by_file: dict[Path, list[str]] = {}
    for name in own:
        by_file.setdefault(stored[name][0], []).append(name)
    for file, names in by_file.items():
        with safe_open(file, "pt") as content:
            for name in names:
                own[name].copy_(content.get_tensor(source[name]))
