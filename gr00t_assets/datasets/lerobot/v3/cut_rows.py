"""Cutting the rows of many episodes into one file each."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.columns import flatten_column, image_bytes, stored_images
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import DATA_PATH, episode_path
from gr00t_assets.datasets.lerobot.rows import batch_rows, report_unreadable
from gr00t_assets.datasets.lerobot.shared_rows import RowRange
from gr00t_assets.datasets.lerobot.v3.stored_episodes import StoredEpisode

_DESCRIPTION = b"huggingface"
"""Key of a file's schema under which LeRobot writes the columns' shapes."""


def cut_rows(
    folder: Folder,
    dataset: LeRobotDataset,
    episodes: Sequence[StoredEpisode],
    target: Path,
    flattened: Collection[str],
) -> None:
    """Write the rows of each episode into a file of its own, in one pass.

    Args:
        folder: Of the dataset; its collector takes files that cannot be read to their end.
        episodes: What to write; counting columns are left as they are where none is changed.
        target: Folder of the copy.
        flattened: Columns of several axes, whose numbers are written one after another.
    """
    stored = {item.source.index: item for item in episodes}
    is_renumbered = any(item.is_changed for item in episodes)
    ranges = dataset.ranges.values() or (
        RowRange(item.index, str(dataset.info.data_file(item.index)), 0, item.length)
        for item in dataset.episodes
    )
    for file, parts in groupby(ranges, key=lambda part: part.file):
        with report_unreadable(folder.collector, file):
            parquet = pq.ParquetFile(folder.directory / file, buffer_size=1 << 20, pre_buffer=False)
            wanted = ((stored[part.episode], part.start) for part in parts)
            for item, batches in _episodes(parquet, wanted):
                path, writer, began = target / episode_path(DATA_PATH, item.index), None, 0.0
                path.parent.mkdir(parents=True, exist_ok=True)
                for done, batch in batches:
                    changed = _with_images(batch, folder.directory)
                    changed = _flat(changed, flattened) if flattened else changed
                    if is_renumbered:
                        if not done and "timestamp" in batch.schema.names:
                            began = batch.column("timestamp")[0].as_py()
                        changed = _renumbered(changed, item, done, began)
                    if writer is None:
                        schema = changed.schema if flattened else parquet.schema_arrow
                        writer = pq.ParquetWriter(path, schema)
                    writer.write_batch(changed)
                if writer is not None:
                    writer.close()


def _episodes(
    file: pq.ParquetFile, parts: Iterable[tuple[StoredEpisode, int]]
) -> Iterator[tuple[StoredEpisode, Iterator[tuple[int, pa.RecordBatch]]]]:
    """Each episode with its batches, and how many of its rows were in those before.

    Args:
        parts: With the position in the file of the first row that the source has of it.
    """
    batches, position = file.iter_batches(batch_rows(file)), 0
    batch: pa.RecordBatch | None = None

    def rows_of(start: int, end: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        nonlocal batch, position
        while position < end:
            if batch is None:
                batch = next(batches, None)
                if batch is None:
                    return
            first = max(start - position, 0)
            last = min(end - position, batch.num_rows)
            if first < last:
                yield max(position - start, 0), batch.slice(first, last - first)
            if end < position + batch.num_rows:
                return
            position, batch = position + batch.num_rows, None

    for item, begin in parts:
        start = begin + item.start
        yield item, rows_of(start, start + item.length)


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


def _renumbered(
    batch: pa.RecordBatch, item: StoredEpisode, done: int, began: float
) -> pa.RecordBatch:
    """The batch with other counting columns, each in the type that it has.

    Args:
        done: Rows of the episode that were before.
        began: Timestamp of the episode's first row.
    """
    names, count = batch.schema.names, np.arange(done, done + batch.num_rows)
    values = {"episode_index": np.full(len(count), item.index), "index": item.first + count}
    if item.is_trimmed:
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
