"""Cutting the rows of many episodes into one file each."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.rows import batch_rows, report_unreadable
from gr00t_assets.datasets.lerobot.shared_rows import RowRange


def cut_rows(folder: Folder, ranges: Sequence[RowRange], path_of: Callable[[int], Path]) -> None:
    """Write the rows of each episode into a file of its own, unchanged, in one pass.

    Args:
        folder: Of the dataset; its collector takes files that cannot be read to their end.
        ranges: One for each episode, in the order of files and of rows in them.
        path_of: File to write for an episode index; its folder is made.
    """
    for file, parts in groupby(ranges, key=lambda part: part.file):
        with report_unreadable(folder.collector, file):
            path = folder.directory / file
            parquet = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
            _cut_file(parquet, parts, path_of)


def _cut_file(
    file: pq.ParquetFile, parts: Iterator[RowRange], path_of: Callable[[int], Path]
) -> None:
    rows, writer, position = next(parts, None), None, 0
    for batch in file.iter_batches(batch_rows(file)):
        end = position + batch.num_rows
        while rows is not None and rows.start < end:
            if writer is None:
                target = path_of(rows.episode)
                target.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(target, file.schema_arrow)
            first, last = max(rows.start, position), min(rows.start + rows.count, end)
            writer.write_batch(batch.slice(first - position, last - first))
            if last < rows.start + rows.count:
                break
            writer.close()
            writer, rows = None, next(parts, None)
        position = end
