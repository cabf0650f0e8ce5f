"""The rows of a v3.0 dataset: where each episode's are, and cutting them into one file each.

Rows are found by their column ``episode_index``, not by the file that ``meta/episodes`` names:
early releases of LeRobot's converter name the file before the right one where a file is full,
which LeRobot itself does not notice, since it numbers the rows of all files through.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.v3.findings import Findings, listed
from gr00t_assets.datasets.lerobot.v3.layout import V30Meta

_BATCH_BYTES = 16_000_000
_INDEX_ROWS = 262_144
_KEYS = ("episode_index", "frame_index", "index")


@dataclass(frozen=True)
class Run:
    """Rows of one episode that follow each other in one file.

    Attributes:
        episode: Episode index.
        path: The file.
        start: Position of the first of them in the file.
        count: How many.
    """

    episode: int
    path: Path
    start: int
    count: int


def find_rows(meta: V30Meta, findings: Findings) -> list[Run]:
    """Where the rows of every episode are, in the order of files and of rows in them.

    Args:
        meta: Of the dataset.
        findings: Filled with: rows missing or too many, rows of an episode that is not listed or
            that lies in several places, rows whose frame_index does not count from 0.
    """
    runs: list[Run] = []
    schemas: dict[Path, pa.Schema] = {}
    problems = findings.problems
    for path in meta.data_files():
        with findings.reading(findings.shown(path)):
            file = pq.ParquetFile(path)
            schemas[path] = file.schema_arrow.remove_metadata()
            if "episode_index" not in schemas[path].names:
                problems.append(f"{findings.shown(path)} lacks episode_index")
                continue
            runs = _joined(runs, _runs_of(file, path, meta, findings))
    first = next(iter(schemas.values()), None)
    for path, schema in schemas.items():
        if first is not None and not schema.equals(first):
            differing = sorted({f"{a.name} {a.type}" for a in set(schema) ^ set(first)})
            problems.append(
                f"{findings.shown(path)} differs in columns from the first file: "
                f"{', '.join(differing) or 'their order'}"
            )
    _hold_against_episodes(meta, runs, findings)
    return runs


def _runs_of(file: pq.ParquetFile, path: Path, meta: V30Meta, findings: Findings) -> Iterator[Run]:
    """Runs of one file; of its columns only the numbers of episode, frame and row are read."""
    columns = [name for name in _KEYS if name in file.schema_arrow.names]
    first_rows = {episode.index: episode.rows[0] for episode in meta.episodes if episode.rows}
    wrong_frames: dict[int, None] = {}
    wrong_rows: dict[int, None] = {}
    position = 0
    seen: dict[int, int] = {}
    for batch in file.iter_batches(_INDEX_ROWS, columns=columns):
        numbers = {name: _integers(batch.column(name)) for name in columns}
        episodes = numbers["episode_index"]
        borders = (np.flatnonzero(np.diff(episodes)) + 1).tolist()
        for start, end in zip([0, *borders], [*borders, len(episodes)], strict=True):
            episode = int(episodes[start])
            done = seen.get(episode, 0)
            seen[episode] = done + end - start
            expected = np.arange(done, seen[episode])
            if not _counts(numbers.get("frame_index"), start, expected):
                wrong_frames[episode] = None
            first = first_rows.get(episode)
            if first is not None and not _counts(numbers.get("index"), start, expected + first):
                wrong_rows[episode] = None
            yield Run(episode, path, position + start, end - start)
        position += len(episodes)
    shown = findings.shown(path)
    if wrong_frames:
        numbered = listed(list(wrong_frames))
        findings.problems.append(f"{shown}: frame_index does not count from 0 in {numbered}")
    if wrong_rows:
        findings.warnings.append(
            f"{shown}: index does not count from dataset_from_index in {listed(list(wrong_rows))}; "
            "kept as it is"
        )


def _counts(column: np.ndarray | None, start: int, expected: np.ndarray) -> bool:
    """Whether a column, where there is one, has the expected numbers from a row on."""
    return column is None or np.array_equal(column[start : start + len(expected)], expected)


def _integers(column: pa.Array) -> np.ndarray:
    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        column = column.flatten()
    if column.null_count:
        raise pa.ArrowInvalid("a cell of episode_index, frame_index or index is empty")
    return column.to_numpy(zero_copy_only=False).astype(np.int64)


def _joined(runs: list[Run], more: Iterator[Run]) -> list[Run]:
    """Runs with those parts of an episode put together that one file holds one after another."""
    for run in more:
        last = runs[-1] if runs else None
        if last is not None and (last.episode, last.path) == (run.episode, run.path):
            runs[-1] = Run(run.episode, run.path, last.start, last.count + run.count)
        else:
            runs.append(run)
    return runs


def _hold_against_episodes(meta: V30Meta, runs: list[Run], findings: Findings) -> None:
    listed_episodes = {episode.index: episode for episode in meta.episodes}
    counts: dict[int, int] = {}
    places: dict[int, list[str]] = {}
    moved: list[int] = []
    for run in runs:
        counts[run.episode] = counts.get(run.episode, 0) + run.count
        shown = f"{findings.shown(run.path)} from row {run.start}"
        places.setdefault(run.episode, []).append(shown)
        episode = listed_episodes.get(run.episode)
        if episode is not None and episode.data_path not in (None, run.path):
            moved.append(run.episode)
    unknown = sorted(set(counts) - set(listed_episodes))
    if unknown:
        findings.problems.append(f"data has rows of {listed(unknown)}, which meta does not list")
    for index, episode in listed_episodes.items():
        found = counts.get(index, 0)
        if found != episode.length:
            where = f" ({places[index][0]})" if index in places else ""
            findings.problems.append(
                f"episode {index} has {found} rows{where}, meta/episodes says {episode.length}"
            )
        elif len(places[index]) > 1:
            findings.problems.append(
                f"rows of episode {index} lie apart: {'; '.join(places[index][:4])}"
            )
        if episode.rows and episode.rows[1] - episode.rows[0] != episode.length:
            findings.problems.append(
                f"episode {index}: dataset_from_index {episode.rows[0]} to dataset_to_index "
                f"{episode.rows[1]} is not its length {episode.length}"
            )
    if moved:
        findings.warnings.append(
            f"{listed(moved)}: the rows are in another data file than meta/episodes names; "
            "found by episode_index"
        )


def cut_rows(
    runs: list[Run],
    path_of: Callable[[int], Path],
    done: Callable[[int], None],
    findings: Findings,
) -> None:
    """Write the rows of each episode into a file of its own, unchanged, in one pass.

    Args:
        runs: From :func:`find_rows`, one for each episode.
        path_of: File to write for an episode index.
        done: Called with the episode index when its file is closed.
        findings: Filled with files that cannot be read to their end.
    """
    files: dict[Path, list[Run]] = {}
    for run in runs:
        files.setdefault(run.path, []).append(run)
    for path, inside in files.items():
        with findings.reading(findings.shown(path)):
            _cut_file(
                pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False), inside, path_of, done
            )


def _cut_file(
    file: pq.ParquetFile,
    inside: list[Run],
    path_of: Callable[[int], Path],
    done: Callable[[int], None],
) -> None:
    waiting = iter(inside)
    run, writer = next(waiting), None
    position = 0
    for batch in file.iter_batches(_batch_rows(file)):
        taken = 0
        while taken < batch.num_rows:
            if writer is None:
                target = path_of(run.episode)
                target.parent.mkdir(parents=True, exist_ok=True)
                writer = pq.ParquetWriter(target, file.schema_arrow)
            count = min(run.start + run.count - position, batch.num_rows - taken)
            writer.write_batch(batch.slice(taken, count))
            taken, position = taken + count, position + count
            if position == run.start + run.count:
                writer.close()
                done(run.episode)
                writer, run = None, next(waiting, run)


def _batch_rows(file: pq.ParquetFile) -> int:
    """Rows that take about 16 MB, fewer where they hold images."""
    meta = file.metadata
    size = sum(meta.row_group(group).total_byte_size for group in range(meta.num_row_groups))
    return int(np.clip(_BATCH_BYTES * meta.num_rows / max(size, 1), 1, 65_536))
