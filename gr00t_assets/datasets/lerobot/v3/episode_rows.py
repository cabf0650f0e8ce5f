"""The rows of a v3.0 dataset: where each episode's are, and cutting them into one file each.

Rows are found by their column ``episode_index``, not by the file that ``meta/episodes`` names:
early releases of LeRobot's converter name the file before the right one where a file is full,
which LeRobot itself does not notice, since it numbers the rows of all files through.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import V30_EPISODES, SharedFiles
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.rows import flatten_column, report_unreadable

_BATCH_BYTES = 16_000_000
_KEYS = ("episode_index", "frame_index", "index")


@dataclass(frozen=True)
class RowRange:
    """Rows of one episode that follow each other in one file.

    Attributes:
        episode: Episode index.
        file: The file, relative to the dataset.
        start: Position of the first of them in the file.
        count: How many.
    """

    episode: int
    file: str
    start: int
    count: int


def episode_names(numbers: Sequence[int], most: int = 8) -> str:
    """Episode numbers for a sentence, the first few of them.

    Examples:
        >>> episode_names([3, 7])
        'episodes 3, 7'
        >>> episode_names([5])
        'episode 5'
        >>> episode_names(list(range(9)), most=2)
        'episodes 0, 1 and 7 more'
    """
    shown = ", ".join(str(number) for number in numbers[:most])
    others = len(numbers) - most
    noun = "episode" if len(numbers) == 1 else "episodes"
    return f"{noun} {shown}" + (f" and {others} more" if others > 0 else "")


def find_rows(folder: Folder, dataset: LeRobotDataset, files: Iterable[str]) -> list[RowRange]:
    """Where the rows of every episode are, in the order of files and of rows in them.

    The folder's collector takes: rows missing or too many, rows of an episode that is not listed or
    that lies in several places, rows whose frame_index does not count from 0.
    """
    collector = folder.collector
    ranges: list[RowRange] = []
    schemas: dict[str, pa.Schema] = {}
    for file in files:
        with report_unreadable(collector, file):
            parquet = pq.ParquetFile(folder.directory / file)
            schemas[file] = parquet.schema_arrow.remove_metadata()
            if "episode_index" in schemas[file].names:
                ranges += _ranges_of(parquet, file, dataset, collector)
            else:
                collector.report("shared-column-missing", file, "no column episode_index")
    first = next(iter(schemas.values()), None)
    for file, schema in schemas.items():
        if first is not None and not schema.equals(first):
            differing = sorted({f"{item.name} {item.type}" for item in set(schema) ^ set(first)})
            found = f"differs in columns: {', '.join(differing) or 'their order'}"
            collector.report("columns-differ", file, found)
    _check_ranges(collector, dataset, ranges)
    return ranges


def _ranges_of(
    parquet: pq.ParquetFile, file: str, dataset: LeRobotDataset, collector: Collector
) -> list[RowRange]:
    """The ranges of one file; only its numbers of episode, frame and row are read."""
    import pandas as pd

    names = [name for name in _KEYS if name in parquet.schema_arrow.names]
    table = parquet.read(columns=names)
    numbers = pd.DataFrame({name: _integers(table.column(name)) for name in names})
    episodes = numbers["episode_index"]
    first_rows = {
        episode.index: episode.shared.rows[0]
        for episode in dataset.episodes
        if episode.shared and episode.shared.rows
    }
    frames = episodes.groupby(episodes).cumcount()
    rows = frames + episodes.map(first_rows)
    for name, right, fault, found in (
        ("frame_index", frames, "shared-frame-index", "frame_index does not count from 0 in {}"),
        (
            "index",
            rows,
            "shared-index-column",
            "index does not count from dataset_from_index in {}; kept as it is",
        ),
    ):
        if name in numbers:
            wrong = episodes[right.notna() & (numbers[name] != right)].unique()
            if len(wrong):
                collector.report(fault, file, found.format(episode_names(sorted(wrong.tolist()))))
    starts = np.flatnonzero(np.diff(episodes, prepend=np.nan)).tolist()
    return [
        RowRange(int(episodes[start]), file, start, end - start)
        for start, end in pairwise([*starts, len(episodes)])
    ]


def _integers(column: pa.ChunkedArray) -> np.ndarray:
    flat = flatten_column(column)
    if flat.nulls:
        raise pa.ArrowInvalid("a cell of episode_index, frame_index or index is empty")
    return flat.values.to_numpy(zero_copy_only=False).astype(np.int64)


def _check_ranges(collector: Collector, dataset: LeRobotDataset, ranges: list[RowRange]) -> None:
    """Hold the rows that there are against the list of episodes."""
    by_episode: dict[int, list[RowRange]] = {}
    for part in ranges:
        by_episode.setdefault(part.episode, []).append(part)
    unknown = sorted(set(by_episode) - {episode.index for episode in dataset.episodes})
    if unknown:
        collector.report("shared-rows-unlisted", "data", f"has rows of {episode_names(unknown)}")
    moved = []
    for episode in dataset.episodes:
        index, length = episode.index, episode.length
        parts, shared = by_episode.get(index, []), episode.shared or SharedFiles()
        file = parts[0].file if parts else "data"
        count = sum(part.count for part in parts)
        if count != length:
            where = f" from row {parts[0].start}" if parts else ""
            found = f"episode {index} has {count} rows{where}"
            collector.report("shared-row-count", file, found, length=length)
        elif len(parts) > 1:
            places = "; ".join(f"{part.file} from row {part.start}" for part in parts[:4])
            collector.report("rows-scattered", file, f"rows of episode {index} lie apart: {places}")
        if shared.rows and shared.rows[1] - shared.rows[0] != length:
            found = f"episode {index} goes from dataset_from_index {shared.rows[0]} to "
            found += f"dataset_to_index {shared.rows[1]}"
            collector.report("row-range", V30_EPISODES, found, length=length)
        if any(shared.data_file not in (None, part.file) for part in parts):
            moved.append(index)
    if moved:
        found = (
            f"the rows of {episode_names(moved)} are in another file than {V30_EPISODES} names; "
        )
        collector.report("rows-moved", "data", found + "found by episode_index")


def cut_rows(
    folder: Folder,
    ranges: list[RowRange],
    path_of: Callable[[int], Path],
    done: Callable[[int], None],
) -> None:
    """Write the rows of each episode into a file of its own, unchanged, in one pass.

    Args:
        folder: Of the dataset; its collector takes files that cannot be read to their end.
        ranges: From ``find_rows``, one for each episode.
        done: Called with the episode index when its file is closed.
    """
    for file, parts in groupby(ranges, key=lambda part: part.file):
        with report_unreadable(folder.collector, file):
            path = folder.directory / file
            parquet = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
            _cut_file(parquet, parts, path_of, done)


def _cut_file(
    file: pq.ParquetFile,
    parts: Iterator[RowRange],
    path_of: Callable[[int], Path],
    done: Callable[[int], None],
) -> None:
    rows, writer, position = next(parts), None, 0
    for batch in file.iter_batches(_batch_rows(file)):
        taken = 0
        while taken < batch.num_rows:
            if writer is None:
                target = path_of(rows.episode)
                target.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(target, file.schema_arrow)
            count = min(rows.start + rows.count - position, batch.num_rows - taken)
            writer.write_batch(batch.slice(taken, count))
            taken, position = taken + count, position + count
            if position == rows.start + rows.count:
                writer.close()
                done(rows.episode)
                writer, rows = None, next(parts, rows)


def _batch_rows(file: pq.ParquetFile) -> int:
    """Rows that take about 16 MB, fewer where they hold images."""
    meta = file.metadata
    size = sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))
    return int(np.clip(_BATCH_BYTES * meta.num_rows / max(size, 1), 1, 65_536))
