"""Rows of Parquet files as arrays, an episode at a time, held against their declaration.

The files of v3.0 hold the rows of many episodes. Which are whose is told by their column
``episode_index``, not by the file that ``meta/episodes`` names: early releases of LeRobot's
converter name the file before the right one where a file is full, which LeRobot itself does not
notice, since it numbers the rows of all files through.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.columns import (
    EPISODE_INDEX,
    Columns,
    FileFaults,
    report_unreadable,
)
from gr00t_assets.datasets.lerobot.episodes import V30_EPISODES, Episode
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import Folder, episode_names, report_missing_files

_MOST_SHARED_ROWS = 20_000_000
"""Of a file of many episodes; LeRobot writes some 100 MB into one, less than a million rows."""

_BATCH_NUMBERS, _BATCH_ROWS, _BATCH_BYTES = 4_000_000, 65_536, 16_000_000
"""Of a file of many episodes that are in memory at once."""

_NUMBERS = Feature(EPISODE_INDEX, "int64", (1,), (), {})


@dataclass(frozen=True)
class Rows:
    """Rows of one episode that follow each other in one file, from position ``start`` on.

    The file is relative to the dataset. ``episode`` is the index by the column ``episode_index`` of
    a shared file, -1 of a file with one episode. ``values`` are ``(rows, numbers)`` of each column
    that was read and has the declared shape, without null.
    """

    episode: int
    file: str
    start: int
    count: int
    values: Mapping[str, np.ndarray] = field(default_factory=dict)


def read_rows(
    faults: FileFaults,
    path: Path,
    file: str,
    features: Mapping[str, Feature],
    *,
    shared: bool = False,
    undeclared: bool = True,
) -> Iterator[Rows]:
    """The rows of a file, or of each episode in it, in order; nothing where it cannot be read.

    It is read once; whatever is wrong with it is a finding.

    Args:
        features: Those to read, as they are declared, by name.
        shared: Whether it holds many episodes, as in v3.0.
        undeclared: Whether other columns are findings.
    """
    collector, columns = faults.collector, Columns(faults, file, features)
    with report_unreadable(collector, file), pq.ParquetFile(path, pre_buffer=False) as parquet:
        names = columns.numeric(parquet.schema_arrow, undeclared)
        count, stored = parquet.metadata.num_rows, _stored_values(parquet.metadata, names)
        if not shared:
            if not columns.too_large(count, stored):
                table = parquet.read(columns=names)
                yield Rows(-1, file, 0, count, columns.values(table))
        elif count > _MOST_SHARED_ROWS:
            raise ValueError(f"it holds {count:,} rows, at most {_MOST_SHARED_ROWS:,} expected")
        elif EPISODE_INDEX in names:
            width = max(stored // max(count, 1), 1)
            size = int(np.clip(_BATCH_NUMBERS // width, 1, _BATCH_ROWS))
            yield from _split(columns, parquet.iter_batches(size, columns=names), width)
        elif EPISODE_INDEX not in columns.broken:
            columns.report_missing(EPISODE_INDEX)


def batch_rows(parquet: pq.ParquetFile) -> int:
    """Rows of a file that take about 16 MB, fewer where they hold images."""
    metadata = parquet.metadata
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    size = sum(group.total_byte_size for group in groups)
    return int(np.clip(_BATCH_BYTES * metadata.num_rows / max(size, 1), 1, _BATCH_ROWS))


def check_content(folder: Folder, file: str) -> None:
    """Report a file that is there and cannot be what it should be, without reading it."""
    path = folder.opened(file)
    if path is None or not file.endswith(".parquet"):
        return
    try:
        with path.open("rb") as opened:
            start = opened.read(4)
            opened.seek(-4, os.SEEK_END)
            if not start == opened.read() == b"PAR1":
                found = "cannot be read: it does not begin and end as Parquet does"
                folder.collector.report("parquet-unreadable", file, found)
    except OSError as error:
        folder.report_unreadable(file, error)


def row_groups(metadata: pq.FileMetaData, start: int, count: int) -> tuple[list[int], int]:
    """The row groups that hold some rows, and the position of the first row in them."""
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    ends = np.cumsum(sizes)
    begin = int(np.searchsorted(ends, start, side="right"))
    end = int(np.searchsorted(ends, start + count))
    return list(range(begin, end + 1)), int(ends[begin]) - sizes[begin]


def _stored_values(metadata: pq.FileMetaData, names: Collection[str]) -> int:
    """Values that a file has of some columns."""
    paths = [metadata.schema.column(number).path for number in range(metadata.num_columns)]
    prefixes = tuple(f"{name}." for name in names)
    numbers = [at for at, path in enumerate(paths) if f"{path}.".startswith(prefixes)]
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return sum(group.column(number).num_values for group in groups for number in numbers)


def _split(columns: Columns, batches: Iterator[pa.RecordBatch], width: int) -> Iterator[Rows]:
    """The rows of one episode after another out of a file of many; ``width`` numbers in a row."""
    parts: list[dict[str, np.ndarray]] = []
    episode, start, position = -1, 0, 0
    for batch in batches:
        values = columns.values(batch)
        if EPISODE_INDEX not in values:
            return
        numbers = values[EPISODE_INDEX][:, 0]
        borders = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), batch.num_rows]
        for begin, end in pairwise(borders):
            if parts and numbers[begin] != episode:
                yield _joined(columns, parts, episode, start)
                parts = []
            if not parts:
                episode, start = int(numbers[begin]), position + begin
            parts.append({name: array[begin:end] for name, array in values.items()})
        position += batch.num_rows
        if columns.too_large(position - start, (position - start) * width):
            return
    if parts:
        yield _joined(columns, parts, episode, start)


def _joined(columns: Columns, parts: list[dict[str, np.ndarray]], episode: int, start: int) -> Rows:
    """An episode out of the batches that it is in."""
    count = sum(len(part[EPISODE_INDEX]) for part in parts)
    values = parts[0]
    if len(parts) > 1:
        names = [name for name in parts[-1] if name not in columns.broken]
        values = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return Rows(episode, columns.file, start, count, values)


def find_rows(
    folder: Folder,
    episodes: Sequence[Episode],
    files: Collection[str],
    features: Mapping[str, Feature],
    visit: Callable[[Rows], None] | None = None,
) -> dict[int, Rows]:
    """Where the rows of every episode are that is listed and whole, in the order of files and rows.

    Each file is read once, all columns of it where they are to be visited, with the rows of each
    episode, else ``episode_index`` alone. ``files`` are those that there are, and those that
    ``meta/episodes`` names. The folder's collector takes: files that are missing or unreadable,
    rows missing or too many, rows of an episode that is not listed or that lies in several places.
    """
    collector, features = folder.collector, {EPISODE_INDEX: _NUMBERS, **features}
    if visit is None:
        features = {EPISODE_INDEX: features[EPISODE_INDEX]}
    faults, ranges = FileFaults(collector), list[Rows]()
    options = {"shared": True, "undeclared": visit is not None}
    for file in files:
        if (path := folder.opened(file)) is None:
            continue
        with collector.guard(file):
            for rows in read_rows(faults, path, file, features, **options):
                ranges.append(replace(rows, values={}))
                if visit is not None:
                    visit(rows)
    absent = {file for file in files if not folder.exists(file)}
    faults.report_all(len(set(files)) - len(absent))
    parts: dict[int, list[Rows]] = defaultdict(list)
    for part in ranges:
        parts[part.episode].append(part)
    whole = {
        episode.index: parts[episode.index][0]
        for episode in episodes
        if [part.count for part in parts[episode.index]] == [episode.length]
    }
    if len(whole) < len(episodes):
        report_missing_files(folder, sorted(absent), "parquet-missing")
    else:
        for file in sorted(absent):
            collector.report("data-file-absent", file, "no such file")
    listed = {index: part for index, part in parts.items() if not folder.leaves_out(index)}
    _check_ranges(collector, episodes, listed, absent)
    return {part.episode: part for part in ranges if whole.get(part.episode) is part}


def _check_ranges(
    collector: Collector,
    episodes: Sequence[Episode],
    ranges: Mapping[int, list[Rows]],
    absent: Collection[str],
) -> None:
    """Hold the rows that there are against the list of episodes."""
    for index in sorted(set(ranges) - {episode.index for episode in episodes}):
        part = ranges[index][0]
        found = f"{part.count} rows of episode {index}, which {V30_EPISODES} does not list"
        collector.report("rows-unlisted", part.file, found)
    moved = []
    for episode in episodes:
        index, length = episode.index, episode.length
        parts = ranges.get(index, [])
        file = parts[0].file if parts else episode.data_file or "data"
        count = sum(part.count for part in parts)
        if count != length and not (count == 0 and file in absent):
            start = f" from row {parts[0].start}" if parts else ""
            found = f"{count} rows of episode {index}{start}"
            collector.report("shared-row-count", file, found, length=length)
        elif len(parts) > 1:
            places = "; ".join(f"{part.file} from row {part.start}" for part in parts[:4])
            collector.report("rows-scattered", file, f"rows of episode {index} lie apart: {places}")
        first, last = episode.rows or (0, length)
        if last - first != length:
            found = f"episode {index} goes from dataset_from_index {first} to "
            found += f"dataset_to_index {last}"
            collector.report("row-range", V30_EPISODES, found, length=length)
        if any(episode.data_file not in (None, *absent, part.file) for part in parts):
            moved.append(index)
    if moved:
        found = f"the rows of {episode_names(moved)} are in another file than is named"
        collector.report("rows-moved", V30_EPISODES, found)
