"""Reads what the wandb package wrote in offline mode.

A ``.wandb`` file is a LevelDB log (https://github.com/google/leveldb/blob/main/doc/log_format.md)
behind a header of 7 bytes; each record is a protobuf message of the wandb package.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

_HEADER = 7
_BLOCK = 32768
_PART = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class Part:
    """What one attempt left."""

    folder: Path
    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    kinds: set[str] = field(default_factory=set)

    def column(self, key: str) -> list[Any]:
        return [row[key] for row in self.rows if key in row]


def read_parts(run_directory: Path) -> list[Part]:
    """Every attempt that is kept, the first one first."""
    return [_read(folder) for folder in sorted((run_directory / "wandb").glob("*run-*"))]


def _read(folder: Path) -> Part:
    messages: Any = import_module("wandb.proto.wandb_internal_pb2")
    part = Part(folder)
    (file,) = folder.glob("*.wandb")
    for content in _records(file.read_bytes()):
        record = messages.Record()
        record.ParseFromString(content)
        kind = record.WhichOneof("record_type")
        part.kinds.add(kind)
        match kind:
            case "run":
                part.run = record.run
                part.config |= _values(record.run.config.update)
            case "config":
                part.config |= _values(record.config.update)
            case "history":
                part.rows.append(_values(record.history.item))
            case "summary":
                part.summary |= _values(record.summary.update)
            case "metric":
                metric = record.metric
                part.axes[metric.name or metric.glob_name] = metric.step_metric
            case "exit":
                part.exit_code = record.exit.exit_code
    return part


def _values(items: Any) -> dict[str, Any]:
    return {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(content: bytes) -> Iterator[bytes]:
    """Whole records; one that a kill cut off ends the file."""
    offset, whole = _HEADER, b""
    while offset + _PART.size <= len(content):
        left = _BLOCK - offset % _BLOCK
        if left < _PART.size:
            offset += left
            continue
        _, length, kind = _PART.unpack_from(content, offset)
        part = content[offset + _PART.size : offset + _PART.size + length]
        if kind == 0 or len(part) < length:
            return
        offset += _PART.size + length
        whole = part if kind in (_FULL, _FIRST) else whole + part
        if kind in (_FULL, _LAST):
            yield whole
