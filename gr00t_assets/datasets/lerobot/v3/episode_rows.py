"""The rows of a v3.0 dataset: where each episode's are, and cutting them into one file each.

Rows are found by their column ``episode_index``, not by the file that ``meta/episodes`` names:
early releases of LeRobot's converter name the file before the right one where a file is full,
which LeRobot itself does not notice, since it numbers the rows of all files through.
"""

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import V30_EPISODES, SharedFiles
from gr00t_assets.datasets.lerobot.folder import RESTORE, Folder
from gr00t_assets.datasets.lerobot.rows import flatten_column, report_unreadable_parquet

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


@contextmanager
def report_unreadable(collector: Collector, file: str) -> Iterator[None]:
    """Turn a Parquet file that cannot be read to its end into a finding; a full disk is none."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        if is_disk_full(error):
            raise
        report_unreadable_parquet(collector, file, error)


def is_disk_full(error: Exception) -> bool:
    """Whether an error says that nothing more can be written."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def episode_names(numbers: Sequence[int], most: int = 8) -> str:
    """Episode numbers for a sentence, the first few of them.

    Example:
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

    Args:
        folder: Of the dataset; its collector takes: rows missing or too many, rows of an episode
            that is not listed or that lies in several places, rows whose frame_index does not
            count from 0.
        dataset: In v3.0.
        files: Its files of rows.
    """
    ranges: list[RowRange] = []
    schemas: dict[str, pa.Schema] = {}
    for file in files:
        with report_unreadable(folder.collector, file):
            parquet = pq.ParquetFile(folder.directory / file)
            schemas[file] = parquet.schema_arrow.remove_metadata()
            if "episode_index" not in schemas[file].names:
                folder.collector.report("shared-column-missing", file, "no column episode_index")
                continue
            ranges += _ranges_of(parquet, file, dataset, folder.collector)
    first = next(iter(schemas.values()), None)
    for file, schema in schemas.items():
        if first is not None and not schema.equals(first):
            differing = sorted({f"{item.name} {item.type}" for item in set(schema) ^ set(first)})
            folder.collector.report(
                "columns-differ",
                file,
                f"differs in columns: {', '.join(differing) or 'their order'}",
            )
    _check_ranges(folder.collector, dataset, ranges)
    return ranges


def _ranges_of(
    parquet: pq.ParquetFile, file: str, dataset: LeRobotDataset, collector: Collector
) -> list[RowRange]:
    """The ranges of one file; only its numbers of episode, frame and row are read."""
    columns = [name for name in _KEYS if name in parquet.schema_arrow.names]
    first_rows = {
        episode.index: episode.shared.rows[0]
        for episode in dataset.episodes
        if episode.shared and episode.shared.rows
    }
    table = parquet.read(columns=columns)
    numbers = {name: _integers(table.column(name)) for name in columns}
    episodes = numbers["episode_index"]
    borders = (np.flatnonzero(np.diff(episodes)) + 1).tolist()
    ranges, wrong_frames, wrong_rows = [], set(), set()
    counts: dict[int, int] = {}
    for start, end in zip([0, *borders], [*borders, len(episodes)], strict=True):
        if start == end:
            continue
        episode = int(episodes[start])
        before = counts.get(episode, 0)
        counts[episode] = before + end - start
        expected = np.arange(before, counts[episode])
        if not _counts_up(numbers.get("frame_index"), start, expected):
            wrong_frames.add(episode)
        first = first_rows.get(episode)
        if first is not None and not _counts_up(numbers.get("index"), start, expected + first):
            wrong_rows.add(episode)
        ranges.append(RowRange(episode, file, start, end - start))
    if wrong_frames:
        collector.report(
            "shared-frame-index",
            file,
            f"frame_index does not count from 0 in {episode_names(sorted(wrong_frames))}",
        )
    if wrong_rows:
        collector.report(
            "shared-index-column",
            file,
            f"index does not count from dataset_from_index in {episode_names(sorted(wrong_rows))}; "
            "kept as it is",
        )
    return ranges


def _counts_up(column: np.ndarray | None, start: int, expected: np.ndarray) -> bool:
    """Whether a column, where there is one, has the expected numbers from a row on."""
    return column is None or np.array_equal(column[start : start + len(expected)], expected)


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
    listed = {episode.index for episode in dataset.episodes}
    unknown = sorted(set(by_episode) - listed)
    if unknown:
        collector.report("shared-rows-unlisted", "data", f"has rows of {episode_names(unknown)}")
    moved = []
    for episode in dataset.episodes:
        parts, shared = by_episode.get(episode.index, []), episode.shared or SharedFiles()
        count = sum(part.count for part in parts)
        where = f" from row {parts[0].start}" if parts else ""
        if count != episode.length:
            collector.report(
                "shared-row-count",
                parts[0].file if parts else "data",
                f"episode {episode.index} has {count} rows{where}",
                length=episode.length,
            )
        elif len(parts) > 1:
            places = [f"{part.file} from row {part.start}" for part in parts[:4]]
            collector.report(
                "rows-scattered",
                parts[0].file,
                f"rows of episode {episode.index} lie apart: {'; '.join(places)}",
            )
        if shared.rows and shared.rows[1] - shared.rows[0] != episode.length:
            collector.report(
                "row-range",
                V30_EPISODES,
                f"episode {episode.index} goes from dataset_from_index {shared.rows[0]} to "
                f"dataset_to_index {shared.rows[1]}",
                length=episode.length,
            )
        if any(shared.data_file not in (None, part.file) for part in parts):
            moved.append(episode.index)
    if moved:
        collector.report(
            "rows-moved",
            "data",
            f"the rows of {episode_names(moved)} are in another file than {V30_EPISODES} names; "
            "found by episode_index",
        )


def cut_rows(
    folder: Folder,
    ranges: list[RowRange],
    path_of: Callable[[int], Path],
    done: Callable[[int], None],
) -> None:
    """Write the rows of each episode into a file of its own, unchanged, in one pass.

    Args:
        folder: Of the dataset; its collector takes files that cannot be read to their end.
        ranges: From :func:`find_rows`, one for each episode.
        path_of: File to write for an episode index.
        done: Called with the episode index when its file is closed.
    """
    files: dict[str, list[RowRange]] = {}
    for part in ranges:
        files.setdefault(part.file, []).append(part)
    for file, parts in files.items():
        with report_unreadable(folder.collector, file):
            path = folder.directory / file
            _cut_file(
                pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False), parts, path_of, done
            )


def _cut_file(
    file: pq.ParquetFile,
    parts: list[RowRange],
    path_of: Callable[[int], Path],
    done: Callable[[int], None],
) -> None:
    remaining = iter(parts)
    rows, writer = next(remaining), None
    position = 0
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
                writer, rows = None, next(remaining, rows)


def _batch_rows(file: pq.ParquetFile) -> int:
    """Rows that take about 16 MB, fewer where they hold images."""
    meta = file.metadata
    size = sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))
    return int(np.clip(_BATCH_BYTES * meta.num_rows / max(size, 1), 1, 65_536))
