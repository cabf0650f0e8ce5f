"""Safetensors files, with a full disk reported as the operating system reports it."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

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
