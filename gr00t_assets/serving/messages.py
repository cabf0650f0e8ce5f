"""Messages of a policy server and its clients, as those of Isaac-GR00T's N1.5 line have them.

A message is one msgpack map. An array is ``{"__ndarray_class__": true, "as_npy": bytes}`` with the
bytes of a ``.npy`` file, a modality config ``{"__ModalityConfig_class__": true, "as_json": text}``
(``gr00t/eval/service.py`` of NVIDIA/Isaac-GR00T at 4af2b62). Nothing of the network is unpickled,
and an array is never larger than its own bytes.

An observation of ``get_action`` has ``video.NAME`` (1, H, W, 3), ``state.NAME`` (1, D) and a list
of one text; with a batch of B each has a leading axis more (``gr00t/model/policy.py``). The answer
is ``action.NAME``, (horizon, D) or (B, horizon, D).
"""

import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gr00t_assets.core.errors import ObservationError, ServingError
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets.modality.observation import Observation
from gr00t_assets.trainers.policy import ActionChunk

LOOPBACK, PORT = "127.0.0.1", 5555
"""Where a policy is served unless somebody asks for another place; the port is NVIDIA's."""

LARGEST_MESSAGE = 64 << 20  # Bytes of a message; eight cameras of 1920 x 1080 are 50 MB
MOST_SAMPLES = 64  # Observations of one request
_ARRAY, _CONFIG = "__ndarray_class__", "__ModalityConfig_class__"
_MOST_AXES, _MOST_ITEMS, _KINDS = 6, 4096, "buifU"
"""Kinds of NumPy types that are taken: truth values, numbers, texts."""

_AXES = {"video": 3, "state": 1}  # Of one sample at one row


def encode(message: Mapping[str, Any]) -> bytes:
    """The bytes of a message.

    Examples:
        >>> decode(encode({"state.arm": np.zeros((1, 2))}))["state.arm"]
        array([[0., 0.]])
    """
    import msgpack

    return bytes(msgpack.packb(dict(message), default=_encoded) or b"")


def decode(content: bytes, most_bytes: int = LARGEST_MESSAGE) -> dict[str, Any]:
    """The message of some bytes, modality configs as maps; ``ServingError`` where it is none."""
    import msgpack

    if len(content) > most_bytes:
        raise _refusal(f"it has {len(content):,} bytes, of {most_bytes:,} that are taken")
    most = {"max_array_len": _MOST_ITEMS, "max_map_len": _MOST_ITEMS, "max_ext_len": 0}
    try:
        message = msgpack.unpackb(content, object_hook=_decoded, **most)
    except ServingError:
        raise
    except Exception as error:  # of msgpack, of UTF-8 or of NumPy's reader of headers
        raise _refusal(f"it cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(message, dict):
        raise _refusal("it is no map")
    return message


def modality_configs(config: ModalityConfig) -> dict[str, Any]:
    """The answer to ``get_modality_config``: keys, and rows from the current one."""
    language = config.language_key or config.language
    keys = {
        part: [f"{part}.{item.key}" for item in getattr(config, part)]
        for part in ("video", "state", "action")
    } | {"language": [language] if language else []}
    answer = {}
    for part, listed in keys.items():
        rows = config.action_indices if part == "action" else config.observation_indices
        content = {"delta_indices": list(rows), "modality_keys": listed}
        if listed:
            answer[part] = {_CONFIG: True, "as_json": json.dumps(content)}
    return answer


def observations(message: Mapping[str, Any]) -> tuple[list[Observation], bool]:
    """The observations of a request, 1 to 64 of each key, and whether they came as a batch."""
    of_axes = [name for name in message if name.partition(".")[0] in _AXES]
    arrays = {name: np.asarray(message[name]) for name in of_axes}
    # Clients have other names for the instruction than a data config.
    others = {
        "task" if name.startswith("annotation.") else name: value
        for name, value in message.items()
        if name not in arrays
    }
    states = [value for name, value in arrays.items() if name.startswith("state.")]
    if not states or any(value.ndim != _AXES["state"] + 2 for value in states):
        texts = {name: _text(value, 0, 1) for name, value in others.items()}
        return [{name: _row(name, value) for name, value in arrays.items()} | texts], False
    counts = {name: len(value) if value.ndim else 0 for name, value in arrays.items()}
    count = len(states[0])
    if set(counts.values()) != {count} or not 0 < count <= MOST_SAMPLES:
        problem = f"a batch has 1 to {MOST_SAMPLES} observations, as many of every key."
        listed = [f"{name}: {number}" for name, number in counts.items()]
        raise ObservationError("observation", problem, listed)
    return [
        {name: _row(name, value[place]) for name, value in arrays.items()}
        | {name: _text(value, place, count) for name, value in others.items()}
        for place in range(count)
    ], True


def actions(chunks: Sequence[ActionChunk], batched: bool) -> dict[str, np.ndarray]:
    """The answer to ``get_action``."""
    stacked = {key: np.stack([c.by_key[key] for c in chunks]) for key in chunks[0].by_key}
    return {f"action.{key}": value if batched else value[0] for key, value in stacked.items()}


def _row(name: str, value: np.ndarray) -> np.ndarray:
    """The current row; what does not fit is left for the reader of observations to tell."""
    is_row = value.ndim == _AXES[name.partition(".")[0]] + 1 and len(value) == 1
    return value[0] if is_row else value


def _text(value: Any, place: int, count: int) -> Any:
    """A text of a list, an array or a list of lists of them."""
    if not isinstance(value, list | tuple | np.ndarray):
        return value
    try:
        texts = np.asarray(value).ravel()
    except ValueError:
        return value
    if texts.dtype.kind != "U" or len(texts) not in (1, count):
        return value
    return str(texts[place % len(texts)])


def _encoded(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        # What ``np.save`` writes, with one copy in place of three.
        array, header = np.asarray(value, order="C"), io.BytesIO()
        if array.dtype.hasobject:
            raise TypeError("an array of objects cannot be sent")
        described = np.lib.format.header_data_from_array_1_0(array)
        np.lib.format.write_array_header_1_0(header, described)
        data = array.data if array.size else b""
        return {_ARRAY: True, "as_npy": b"".join((header.getvalue(), data))}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _decoded(value: dict[Any, Any]) -> Any:
    if _ARRAY in value:
        return _array(value.get("as_npy"))
    return json.loads(value["as_json"]) if _CONFIG in value else value


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
