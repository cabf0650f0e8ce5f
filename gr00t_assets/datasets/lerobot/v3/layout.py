"""The meta files of a LeRobot v3.0 dataset.

v3.0 keeps many episodes in one file. ``meta/episodes/chunk-*/file-*.parquet`` has a row for each
episode that says how long it is and from which second to which it lies in which video file. The
layout is that of ``src/lerobot/datasets/utils.py`` in huggingface/lerobot, releases 0.4.x.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.datasets.lerobot.v3.episodes import (
    EPISODES,
    MANY_EPISODES,
    EpisodeRow,
    filled,
    first_line,
    read_episodes,
)
from gr00t_assets.datasets.lerobot.v3.findings import Findings

VERSION = "v3.0"
TASKS = "meta/tasks.parquet"
STATISTICS = "stats/"
"""What the columns of an episode's statistics begin with: ``stats/action/mean``."""

_INFO = {"codebase_version": str, "features": dict, "data_path": str}


@dataclass(frozen=True)
class V30Meta:
    """All that the meta files of a v3.0 dataset say, but for statistics.

    Attributes:
        directory: The dataset's folder.
        info: ``meta/info.json``.
        tasks: Instruction by task index.
        episodes: By index.
        cameras: Video features that have files.
    """

    directory: Path
    info: dict[str, Any]
    tasks: dict[int, str]
    episodes: tuple[EpisodeRow, ...]
    cameras: tuple[str, ...]

    @property
    def fps(self) -> float:
        """Rows per second."""
        return float(self.info["fps"])

    def episode_files(self) -> list[Path]:
        """The files of ``meta/episodes``, in LeRobot's order."""
        return sorted((self.directory / EPISODES).glob("*/*.parquet"))

    def data_files(self) -> list[Path]:
        """Files of rows: those that episodes name and those that are there, in LeRobot's order."""
        named = {episode.data_path for episode in self.episodes if episode.data_path}
        return sorted(named | set(self.directory.glob("data/*/*.parquet")))

    def episode_statistics(self) -> Iterator[tuple[int, dict[str, dict[str, Any]]]]:
        """Episode index and statistics by feature, a few episodes in memory at a time."""
        for path in self.episode_files():
            file = pq.ParquetFile(path)
            names = [name for name in file.schema_arrow.names if name.startswith(STATISTICS)]
            if not names:
                continue
            for batch in file.iter_batches(MANY_EPISODES, columns=["episode_index", *names]):
                for row in batch.to_pylist():
                    found: dict[str, dict[str, Any]] = {}
                    for name in names:
                        feature, _, statistic = name.removeprefix(STATISTICS).rpartition("/")
                        if row[name] is not None:
                            found.setdefault(feature, {})[statistic] = row[name]
                    yield row["episode_index"], found


def read_meta(findings: Findings) -> V30Meta:
    """Read the meta files and see that every file they name is there.

    Args:
        findings: Of the dataset; filled.

    Raises:
        DatasetError: All that is missing or wrong, at once.
    """
    directory = findings.directory
    info = _read_info(findings)
    findings.stop()
    assert info is not None
    tasks = _read_tasks(findings)
    cameras = [
        key
        for key, feature in info["features"].items()
        if isinstance(feature, dict) and feature.get("dtype") == "video"
    ]
    if cameras and not isinstance(info.get("video_path"), str):
        findings.problems.append("meta/info.json declares cameras and has no 'video_path'")
        findings.stop()
    for camera in cameras:
        if "/" in camera or camera in ("", ".", ".."):
            findings.problems.append(f"meta/info.json: '{camera}' cannot be the name of a folder")
    findings.stop()
    used = tuple(camera for camera in cameras if _has_videos(findings, info, camera))
    episodes = list(read_episodes(findings, info, used))
    counts = Counter(episode.index for episode in episodes)
    findings.problems += [
        f"{EPISODES} lists episode {number} {count} times"
        for number, count in sorted(counts.items())
        if count > 1
    ]
    if not episodes and not findings.problems:
        findings.problems.append(f"{EPISODES} lists no episode")
    paths = {segment.path for episode in episodes for segment in episode.segments.values()}
    found = V30Meta(
        directory=directory,
        info=info,
        tasks=tasks,
        episodes=tuple(sorted(episodes, key=lambda episode: episode.index)),
        cameras=used,
    )
    for path in sorted(paths | set(found.data_files())):
        findings.see_file(path)
    findings.stop()
    return found


def is_v30(directory: Path) -> bool:
    """Whether a folder says that it is a dataset of LeRobot v3.x; False where it says nothing."""
    try:
        info = json.loads((directory / "meta" / "info.json").read_text(encoding="utf-8"))
        return str(info["codebase_version"]).startswith("v3")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _read_info(findings: Findings) -> dict[str, Any] | None:
    path = findings.directory / "meta" / "info.json"
    if not findings.see_file(path):
        return None
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        findings.problems.append(f"meta/info.json is not JSON: {error}")
        return None
    if not isinstance(info, dict):
        findings.problems.append("meta/info.json is not a JSON object")
        return None
    for key, kind in _INFO.items():
        if not isinstance(info.get(key), kind):
            findings.problems.append(f"meta/info.json: '{key}' is {info.get(key)!r}")
    fps = info.get("fps")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < 10_000:
        findings.problems.append(f"meta/info.json: 'fps' is {fps!r}, not frames per second")
    version = info.get("codebase_version")
    if isinstance(version, str) and version != VERSION:
        findings.problems.append(f"its format is LeRobot {version}; only {VERSION} is converted")
    return info


def _read_tasks(findings: Findings) -> dict[int, str]:
    """pandas writes the instruction as the index: a column 'task' or '__index_level_0__'."""
    path = findings.directory / TASKS
    if not findings.see_file(path):
        return {}
    try:
        table = pq.read_table(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        findings.problems.append(f"{TASKS} cannot be read: {first_line(error)}")
        return {}
    texts = [
        column.name
        for column in table.schema
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    ]
    chosen = next((name for name in ("task", *texts) if name in texts), None)
    if chosen is None or "task_index" not in table.column_names:
        columns = ", ".join(table.column_names)
        findings.problems.append(f"{TASKS} needs task_index and the task; it has: {columns}")
        return {}
    try:
        indices, names = table.column("task_index").to_pylist(), table.column(chosen).to_pylist()
    except UnicodeDecodeError as error:
        findings.problems.append(f"{TASKS} cannot be read: {first_line(error)}")
        return {}
    if len(set(indices)) < len(indices) or not all(isinstance(index, int) for index in indices):
        findings.problems.append(f"{TASKS} has a task_index twice or none: {indices[:8]}")
        return {}
    return dict(sorted(zip(indices, (str(name) for name in names), strict=True)))


def _has_videos(findings: Findings, info: dict[str, Any], camera: str) -> bool:
    """Whether a camera has files; a warning where it is only declared."""
    folder = filled(findings, info, "video_path", camera, 0, 0)
    named = any(
        f"videos/{camera}/from_timestamp" in names for names in _episode_columns(findings.directory)
    )
    if named or (folder is not None and any(folder.parents[1].glob("*/*"))):
        return True
    findings.warnings.append(f"camera {camera} is declared in meta/info.json and has no files")
    return False


def _episode_columns(directory: Path) -> Iterator[list[str]]:
    for path in (directory / EPISODES).glob("*/*.parquet"):
        try:
            yield pq.read_schema(path).names
        except (OSError, ValueError, pa.ArrowException):
            continue
