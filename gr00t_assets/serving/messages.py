"""Messages between a policy server and its clients, in the format of Isaac-GR00T's N1.5 line.

A message is one msgpack map. An array is the map ``{"__ndarray_class__": true, "as_npy": bytes}``
with the bytes of a ``.npy`` file, a modality config the map ``{"__ModalityConfig_class__": true,
"as_json": text}`` (``gr00t/eval/service.py`` of NVIDIA/Isaac-GR00T at 4af2b62). What comes in is
from the network: nothing is unpickled, and an array is never larger than its own bytes.
"""

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gr00t_assets.core.errors import ServingError

LARGEST_MESSAGE = 64 << 20
"""Bytes of a message; eight cameras of 1920 x 1080 are 50 MB."""

_ARRAY, _CONFIG = "__ndarray_class__", "__ModalityConfig_class__"
_MOST_AXES, _MOST_ITEMS = 6, 4096
_KINDS = "buifU"
"""Kinds of NumPy types that are taken: truth values, numbers, texts."""


def encode(message: Mapping[str, Any]) -> bytes:
    """The bytes of a message.

    Examples:
        >>> decode(encode({"state.arm": np.zeros((1, 2))}))["state.arm"]
        array([[0., 0.]])
    """
    import msgpack

    return bytes(msgpack.packb(dict(message), default=_encoded) or b"")


def decode(content: bytes, most_bytes: int = LARGEST_MESSAGE) -> dict[str, Any]:
    """The message of some bytes; modality configs are maps in it.

    Raises:
        ServingError: They are no message, or hold more than is taken.
    """
    import msgpack

    if len(content) > most_bytes:
        raise _refusal(f"it has {len(content):,} bytes, of {most_bytes:,} that are taken")
    try:
        message = msgpack.unpackb(
            content,
            object_hook=_decoded,
            max_array_len=_MOST_ITEMS,
            max_map_len=_MOST_ITEMS,
            max_ext_len=0,
        )
    except ServingError:
        raise
    except Exception as error:  # of msgpack, of UTF-8 or of NumPy's reader of headers
        raise _refusal(f"it cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(message, dict):
        raise _refusal("it is no map")
    return message


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {_ARRAY: True, "as_npy": _npy(value)}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _npy(value: np.ndarray) -> bytes:
    """The bytes that ``np.save`` writes, with one copy in place of three."""
    array, header = np.asarray(value, order="C"), io.BytesIO()
    if array.dtype.hasobject:
        raise TypeError("an array of objects cannot be sent")
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return b"".join((header.getvalue(), array.data if array.size else b""))


def modality_map(indices: Sequence[int], keys: Sequence[str]) -> dict[str, Any]:
    """NVIDIA's modality config as it stands in a message: keys, and rows from the current one."""
    content = {"delta_indices": list(indices), "modality_keys": list(keys)}
    return {_CONFIG: True, "as_json": json.dumps(content)}


def _decoded(value: dict[Any, Any]) -> Any:
    if _ARRAY in value:
        return _array(value.get("as_npy"))
    if _CONFIG in value:
        return json.loads(value["as_json"])
    return value


def _array(content: Any) -> np.ndarray:
    """An array of the bytes of a ``.npy`` file, whose shape has to be that of its data."""
    if not isinstance(content, bytes):
        raise _refusal("an array of it has no bytes")
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise _refusal(f"an array of it is of the .npy version {version}")
    read = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    shape, in_columns, dtype = read[version[0] - 1](file)
    if dtype.hasobject or dtype.kind not in _KINDS or len(shape) > _MOST_AXES:
        raise _refusal(f"an array of it is {dtype} with {len(shape)} axes, which is not taken")
    size, there = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if size != there or min(shape, default=1) < 0:
        raise _refusal(f"an array of it is {shape} {dtype}, {size:,} bytes, and has {there:,}")
    array = np.frombuffer(content, dtype, offset=file.tell()) if size else np.empty(0, dtype)
    return array.reshape(shape, order="F" if in_columns else "C")


def _refusal(why: str) -> ServingError:
    return ServingError("message", f"{why}.", ["expected: one msgpack map with `endpoint`, `data`"])
