"""Cutting the rows of many episodes into one file each."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.columns import flatten_column, image_bytes, stored_images
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.rows import batch_rows, report_unreadable
from gr00t_assets.datasets.lerobot.shared_rows import RowRange

_DESCRIPTION = b"huggingface"
"""Key of a file's schema under which LeRobot writes the columns' shapes."""


@dataclass(frozen=True)
class Renumbering:
    """What the counting columns of an episode become.

    Attributes:
        episode: ``episode_index`` of all its rows.
        first: ``index`` of its first row.
        is_trimmed: Whether ``frame_index`` and ``timestamp`` are to begin at 0 anew.
    """

    episode: int
    first: int
    is_trimmed: bool


def cut_rows(
    folder: Folder,
    ranges: Sequence[RowRange],
    path_of: Callable[[int], Path],
    renumbered: Mapping[int, Renumbering],
    flattened: Collection[str],
) -> None:
    """Write the rows of each episode into a file of its own, in one pass.

    Args:
        folder: Of the dataset; its collector takes files that cannot be read to their end.
        ranges: One for each episode, in the order of files and of rows in them.
        path_of: File to write for an episode index; its folder is made.
        renumbered: By episode index; the rows of any other are written as they are.
        flattened: Columns of several axes, whose numbers are written one after another.
    """
    for file, parts in groupby(ranges, key=lambda part: part.file):
        with report_unreadable(folder.collector, file):
            path = folder.directory / file
            parquet = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
            for part, batches in _episodes(parquet, parts):
                target, writer, began = path_of(part.episode), None, 0.0
                target.parent.mkdir(parents=True, exist_ok=True)
                changes = renumbered.get(part.episode)
                for done, batch in batches:
                    changed = _with_images(batch, folder.directory)
                    changed = _flat(changed, flattened) if flattened else changed
                    if changes is not None:
                        began = began if done else _first_time(batch)
                        changed = _renumbered(changed, changes, done, began)
                    if writer is None:
                        schema = changed.schema if flattened else parquet.schema_arrow
                        writer = pq.ParquetWriter(target, schema)
                    writer.write_batch(changed)
                if writer is not None:
                    writer.close()


def _episodes(
    file: pq.ParquetFile, parts: Iterator[RowRange]
) -> Iterator[tuple[RowRange, Iterator[tuple[int, pa.RecordBatch]]]]:
    """Each episode with its batches, and how many of its rows were in those before."""
    batches, position = file.iter_batches(batch_rows(file)), 0
    batch: pa.RecordBatch | None = None

    def rows_of(part: RowRange) -> Iterator[tuple[int, pa.RecordBatch]]:
        nonlocal batch, position
        end = part.start + part.count
        while position < end:
            if batch is None:
                batch = next(batches, None)
                if batch is None:
                    return
            first = max(part.start - position, 0)
            last = min(end - position, batch.num_rows)
            if first < last:
                yield max(position - part.start, 0), batch.slice(first, last - first)
            if end < position + batch.num_rows:
                return
            position, batch = position + batch.num_rows, None

    for part in parts:
        yield part, rows_of(part)


def _with_images(batch: pa.RecordBatch, directory: Path) -> pa.RecordBatch:
    """The batch with the images themselves, where it names files of the dataset's own."""
    columns = list(batch.columns)
    for place, column in enumerate(columns):
        compressed = image_bytes(column)
        if compressed is None or not compressed.null_count or not pa.types.is_struct(column.type):
            continue
        images = pa.array(stored_images(column, directory) or (), compressed.type)
        fields = list(column.type)
        arrays = [images if item.name == "bytes" else column.field(item.name) for item in fields]
        columns[place] = pa.StructArray.from_arrays(arrays, fields=fields)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _flat(batch: pa.RecordBatch, names: Collection[str]) -> pa.RecordBatch:
    """The batch with lists of numbers in place of lists of lists."""
    arrays, fields = list(batch.columns), list(batch.schema)
    for place, field in enumerate(batch.schema):
        if field.name in names:
            values = flatten_column(arrays[place]).values
            size = len(values) // max(batch.num_rows, 1)
            arrays[place] = pa.FixedSizeListArray.from_arrays(values, size)
            fields[place] = pa.field(field.name, arrays[place].type)
    metadata = {k: v for k, v in (batch.schema.metadata or {}).items() if k != _DESCRIPTION}
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, metadata))


def _first_time(batch: pa.RecordBatch) -> float:
    """The timestamp of the first row, 0 without such a column."""
    return batch.column("timestamp")[0].as_py() if "timestamp" in batch.schema.names else 0.0


def _renumbered(
    batch: pa.RecordBatch, changes: Renumbering, done: int, began: float
) -> pa.RecordBatch:
    """The batch with other counting columns, each in the type that it has.

    Args:
        done: Rows of the episode that were before.
        began: Timestamp of the episode's first row.
    """
    names, count = batch.schema.names, np.arange(done, done + batch.num_rows)
    values = {"episode_index": np.full(len(count), changes.episode), "index": changes.first + count}
    if changes.is_trimmed:
        values["frame_index"] = count
        if "timestamp" in names:
            times = batch.column("timestamp").to_numpy(zero_copy_only=False)
            values["timestamp"] = times.astype(np.float64) - began
    columns = {
        field.name: pa.array(values[field.name]).cast(field.type, safe=False)
        if field.name in values
        else column
        for field, column in zip(batch.schema, batch.columns, strict=True)
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)
