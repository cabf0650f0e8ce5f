"""Reading a dataset in LeRobot's format, v2.0 or v2.1, with GR00T's ``meta/modality.json``."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.errors import DatasetError

FORMATS = ("v2.0", "v2.1")
LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Episode:
    """One demonstration.

    Attributes:
        index: Its number in the dataset.
        length: Rows, one per frame.
        tasks: What ``meta/episodes.jsonl`` says was done.
    """

    index: int
    length: int
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class LeRobotDataset:
    """A dataset on disk whose meta files were read; made by :meth:`open`.

    Attributes:
        directory: Its folder, which is never written to.
        name: What errors call it.
        info: ``meta/info.json``.
        modality: ``meta/modality.json`` as it is, or None.
        tasks: Instruction by task index.
        episodes: By index.
        cameras: Video features that have files.
        warnings: Odd, and yet usable.
    """

    directory: Path
    name: str
    info: dict[str, Any]
    modality: dict[str, Any] | None
    tasks: dict[int, str]
    episodes: tuple[Episode, ...]
    cameras: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def open(cls, directory: Path, name: str | None = None) -> "LeRobotDataset":
        """Read a dataset's meta files and see that every episode's files are there.

        Raises:
            DatasetError: All that is missing or unreadable, at once.
        """
        return _Reader(directory, name or directory.name).read()

    @property
    def fps(self) -> float:
        """Rows per second."""
        return float(self.info["fps"])

    @property
    def robot_type(self) -> str:
        """The robot's name, as the dataset gives it."""
        return str(self.info.get("robot_type") or "unknown")

    @property
    def codebase_version(self) -> str:
        """LeRobot's format."""
        return str(self.info["codebase_version"])

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Features by name, as ``info.json`` declares them."""
        return self.info["features"]

    @property
    def frame_count(self) -> int:
        """Rows of all episodes."""
        return sum(episode.length for episode in self.episodes)

    def parquet_path(self, index: int) -> Path:
        """The file of an episode's rows."""
        return self.directory / _filled(self.info, "data_path", index)

    def video_path(self, index: int, original_key: str) -> Path:
        """The file of an episode's video of one camera."""
        return self.directory / _filled(self.info, "video_path", index, original_key)

    def read_episode(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of an episode.

        Raises:
            DatasetError: The file cannot be read, or lacks a column.
        """
        path = self.parquet_path(index)
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            problem = f"{path.relative_to(self.directory)} cannot be read."
            raise DatasetError(self.name, problem, [str(error).splitlines()[0]]) from error
        missing = [column for column in columns or () if column not in table.column_names]
        if missing:
            raise DatasetError(
                self.name,
                f"{path.relative_to(self.directory)} lacks {', '.join(missing)}.",
                [f"it has: {', '.join(table.column_names)}"],
            )
        return table.select(list(columns)) if columns is not None else table

    def vector(self, index: int, column: str) -> np.ndarray:
        """A column of an episode, shape ``(rows, numbers)``; a plain number gives ``(rows, 1)``.

        Raises:
            DatasetError: The column is missing, or its rows differ in length.
        """
        values = self.read_episode(index, [column]).column(column).combine_chunks()
        if not pa.types.is_list(values.type) and not pa.types.is_fixed_size_list(values.type):
            return values.to_numpy(zero_copy_only=False)[:, None]
        flat = values.flatten().to_numpy(zero_copy_only=False)
        if len(values) == 0 or len(flat) % len(values):
            problem = f"episode {index}: rows of {column} differ in length."
            raise DatasetError(self.name, problem)
        return flat.reshape(len(values), -1)

    def timestamps(self, index: int) -> np.ndarray:
        """Seconds of each row of an episode, shape ``(rows,)``, float64."""
        return self.vector(index, "timestamp")[:, 0].astype(np.float64)


class _Reader:
    """Collects every problem before it gives up."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.name = name
        self.problems: list[str] = []

    def read(self) -> LeRobotDataset:
        if not self.directory.is_dir():
            raise DatasetError(self.name, f"there is no folder {self.directory}.")
        info = self._meta("info.json", json.loads) or {}
        modality = self._meta("modality.json", json.loads, needed=False)
        tasks = self._meta("tasks.jsonl", _json_lines) or []
        episodes = self._meta("episodes.jsonl", _json_lines) or []
        self._stop()
        for field in ("codebase_version", "fps", "features", "data_path", "chunks_size"):
            if field not in info:
                self.problems.append(f"meta/info.json has no '{field}'")
        self._stop()
        version = str(info["codebase_version"])
        if version not in FORMATS:
            raise DatasetError(
                self.name,
                f"its format is LeRobot {version}.",
                [f"supported: {', '.join(FORMATS)}"],
            )
        listed = tuple(
            Episode(int(item["episode_index"]), int(item["length"]), tuple(item.get("tasks", ())))
            for item in sorted(episodes, key=lambda item: item["episode_index"])
        )
        if not listed:
            self.problems.append("meta/episodes.jsonl lists no episode")
        cameras, warnings = self._files(info, listed)
        self._stop()
        return LeRobotDataset(
            self.directory,
            self.name,
            info,
            modality,
            {int(item["task_index"]): str(item["task"]) for item in tasks},
            listed,
            cameras,
            warnings,
        )

    def _files(
        self, info: dict[str, Any], episodes: Sequence[Episode]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Cameras that have files, and warnings; what is missing becomes a problem."""
        warnings, cameras = [], []
        declared = [key for key, item in info["features"].items() if item.get("dtype") == "video"]
        for episode in episodes:
            self._see(self.directory / _filled(info, "data_path", episode.index))
        for camera in declared:
            paths = [
                self.directory / _filled(info, "video_path", item.index, camera)
                for item in episodes
            ]
            if any(path.is_file() for path in paths):
                cameras.append(camera)
                for path in paths:
                    self._see(path)
            else:
                warnings.append(f"camera {camera} is declared in meta/info.json and has no files")
        return tuple(cameras), tuple(warnings)

    def _see(self, path: Path) -> None:
        shown = path.relative_to(self.directory)
        if not path.is_file():
            self.problems.append(f"{shown} is missing")
            return
        with path.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                self.problems.append(f"{shown} is a Git LFS pointer: run git lfs pull")

    def _meta(
        self, name: str, parse: Callable[[str], Any], needed: bool = True
    ) -> Any:
        path = self.directory / "meta" / name
        if not path.is_file():
            if needed:
                self.problems.append(f"meta/{name} is missing")
            return None
        try:
            return parse(path.read_text(encoding="utf-8"))
        except (ValueError, UnicodeDecodeError) as error:
            self.problems.append(f"meta/{name} is not JSON: {error}")
            return None

    def _stop(self) -> None:
        if self.problems:
            shown = self.problems[:20]
            rest = len(self.problems) - len(shown)
            raise DatasetError(
                self.name,
                "this is not a complete LeRobot dataset.",
                [*shown, *([f"and {rest} more"] if rest else []), f"folder: {self.directory}"],
            )


def _json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _filled(info: dict[str, Any], template: str, index: int, camera: str = "") -> str:
    return str(info[template]).format(
        episode_chunk=index // int(info["chunks_size"]), episode_index=index, video_key=camera
    )
