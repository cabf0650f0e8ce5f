"""The rows of ``meta/episodes`` of a LeRobot v3.0 dataset: where each episode lies."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.v3.findings import Findings

EPISODES = "meta/episodes"
MANY_EPISODES = 256
"""Rows that are held at once; each carries statistics of every feature."""

_SEGMENT = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")


@dataclass(frozen=True)
class Segment:
    """Where an episode lies in the video files of one camera.

    Attributes:
        path: The file.
        start: Seconds in the file at which its first frame is shown.
        end: Seconds at which the frame after its last would be shown.
    """

    path: Path
    start: float
    end: float


@dataclass(frozen=True)
class EpisodeRow:
    """An episode as ``meta/episodes`` describes it.

    Attributes:
        index: Its number in the dataset.
        length: Rows, one per frame.
        tasks: What was done.
        rows: First row in the dataset and one past the last, where they are given.
        data_path: The file that its rows should be in, where that is given.
        segments: By camera.
    """

    index: int
    length: int
    tasks: tuple[str, ...]
    rows: tuple[int, int] | None
    data_path: Path | None
    segments: dict[str, Segment] = field(default_factory=dict)


def read_episodes(
    findings: Findings, info: dict[str, Any], cameras: tuple[str, ...]
) -> Iterator[EpisodeRow]:
    """The rows of ``meta/episodes``; what is wrong with one becomes a problem.

    Args:
        findings: Of the dataset; filled.
        info: ``meta/info.json``.
        cameras: Video features that have files.
    """
    paths = sorted((findings.directory / EPISODES).glob("*/*.parquet"))
    if not paths:
        findings.problems.append(f"{EPISODES} has no chunk-000/file-000.parquet")
    needed = ["episode_index", "length"]
    needed += [f"videos/{camera}/{part}" for camera in cameras for part in _SEGMENT]
    wanted = ["tasks", "dataset_from_index", "dataset_to_index"]
    wanted += ["data/chunk_index", "data/file_index"]
    for path in paths:
        if not findings.see_file(path):
            continue
        try:
            file = pq.ParquetFile(path)
            names = file.schema_arrow.names
            missing = [name for name in needed if name not in names]
            if missing:
                findings.problems.append(f"{findings.shown(path)} lacks {', '.join(missing)}")
                continue
            columns = [*needed, *(name for name in wanted if name in names)]
            for batch in file.iter_batches(MANY_EPISODES, columns=columns):
                for row in batch.to_pylist():
                    episode = _episode(findings, info, cameras, path, row)
                    if episode is not None:
                        yield episode
        except (OSError, ValueError, pa.ArrowException) as error:
            findings.problems.append(f"{findings.shown(path)} cannot be read: {first_line(error)}")


def _episode(
    findings: Findings,
    info: dict[str, Any],
    cameras: tuple[str, ...],
    path: Path,
    row: dict[str, Any],
) -> EpisodeRow | None:
    """One row, or None and a problem."""
    index, length = row["episode_index"], row["length"]
    where = f"{findings.shown(path)}: episode {index}"
    if not isinstance(index, int) or index < 0:
        findings.problems.append(f"{findings.shown(path)}: episode_index is {index!r}")
        return None
    if not isinstance(length, int) or length < 1:
        findings.problems.append(f"{where}: length is {length!r}")
        return None
    segments = {}
    for camera in cameras:
        chunk, number, start, end = (row[f"videos/{camera}/{part}"] for part in _SEGMENT)
        if not all(isinstance(part, int) and part >= 0 for part in (chunk, number)):
            findings.problems.append(f"{where}: {camera} is in no file ({chunk!r}, {number!r})")
        elif not all(
            isinstance(time, float | int) and math.isfinite(time) for time in (start, end)
        ):
            findings.problems.append(f"{where}: {camera} goes from {start!r} to {end!r} seconds")
        else:
            video = filled(findings, info, "video_path", camera, chunk, number)
            if video is not None:
                segments[camera] = Segment(video, float(start), float(end))
    first, last = row.get("dataset_from_index"), row.get("dataset_to_index")
    chunk, number = row.get("data/chunk_index"), row.get("data/file_index")
    data_path = None
    if isinstance(chunk, int) and isinstance(number, int):
        data_path = filled(findings, info, "data_path", "", chunk, number)
    rows = (first, last) if isinstance(first, int) and isinstance(last, int) else None
    given = row.get("tasks") or ()
    tasks = tuple(map(str, given)) if isinstance(given, list) else (str(given),) if given else ()
    return EpisodeRow(index, length, tasks, rows, data_path, segments)


def filled(
    findings: Findings, info: dict[str, Any], template: str, camera: str, chunk: int, number: int
) -> Path | None:
    """A path from a template of ``info.json``; None and one problem where it cannot be filled."""
    try:
        text = str(info[template]).format(video_key=camera, chunk_index=chunk, file_index=number)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        problem = f"meta/info.json: '{template}' {info[template]!r} cannot be filled in: {error}"
        if problem not in findings.problems:
            findings.problems.append(problem)
        return None
    return findings.directory / text


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
