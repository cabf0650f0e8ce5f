"""Reading a dataset in LeRobot's format, v2.0 or v2.1, with GR00T's ``meta/modality.json``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.lerobot_files import filled, read_files


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

        Args:
            directory: Folder that holds ``meta``.
            name: What errors call it; the folder's name by default.

        Raises:
            DatasetError: All that is missing or unreadable, at once; or its format is not
                supported.
        """

        found = read_files(directory, name or directory.name)
        episodes = (
            Episode(item["episode_index"], item["length"], tuple(item.get("tasks", ())))
            for item in found.episodes
        )
        return cls(
            directory=directory,
            name=name or directory.name,
            info=found.info,
            modality=found.modality,
            tasks={item["task_index"]: item["task"] for item in found.tasks},
            episodes=tuple(sorted(episodes, key=lambda episode: episode.index)),
            cameras=found.cameras,
            warnings=found.warnings,
        )

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
        """LeRobot's format: v2.0 or v2.1."""
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
        return self.directory / filled(self.info, "data_path", index)

    def video_path(self, index: int, original_key: str) -> Path:
        """The file of an episode's video of one camera."""
        return self.directory / filled(self.info, "video_path", index, original_key)

    def row_count(self, index: int) -> int:
        """Rows that an episode's file says it has; the rows themselves are not read.

        Raises:
            DatasetError: The file cannot be read.
        """
        return self._parquet(index).metadata.num_rows

    def read_episode(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of an episode.

        Args:
            index: Episode index.
            columns: Which columns, in this order; all of them by default.

        Raises:
            DatasetError: The file cannot be read, or lacks a column.
        """
        file = self._parquet(index)
        if columns is None:
            return file.read()
        known = file.schema_arrow.names
        missing = [column for column in columns if column not in known]
        if missing:
            raise DatasetError(
                self.name,
                f"{self._shown(index)} lacks {', '.join(missing)}.",
                [f"it has: {', '.join(known)}"],
            )
        try:
            return file.read(columns=list(columns)).select(list(columns))
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(index, error) from error

    def vector(self, index: int, column: str) -> np.ndarray:
        """A column of an episode, shape ``(rows, numbers)``, in the type it is stored in.

        A column of plain numbers gives ``(rows, 1)``.

        Raises:
            DatasetError: The column is missing, has empty cells, or its rows differ in length.
        """
        return self.vectors(index, [column])[column]

    def vectors(self, index: int, columns: Sequence[str]) -> dict[str, np.ndarray]:
        """Columns of an episode by name, each as :meth:`vector` gives it; its file is read once.

        Raises:
            DatasetError: As for one column.
        """
        names = list(dict.fromkeys(columns))
        table = self.read_episode(index, names)
        return {name: self._vector(index, name, table.column(name)) for name in names}

    def _vector(self, index: int, column: str, chunked: pa.ChunkedArray) -> np.ndarray:
        if chunked.null_count:
            problem = f"{self._shown(index)}: {chunked.null_count} cells of {column} are empty."
            raise DatasetError(self.name, problem)
        values = chunked.combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = pa.concat_arrays(values.chunks)
        if not pa.types.is_list(values.type) and not pa.types.is_fixed_size_list(values.type):
            return values.to_numpy(zero_copy_only=False)[:, None]
        lengths = pc.call_function("list_value_length", [values]).unique().to_pylist()
        if len(lengths) != 1:
            problem = f"{self._shown(index)}: rows of {column} differ in length."
            raise DatasetError(self.name, problem, [f"lengths found: {sorted(lengths)}"])
        return values.flatten().to_numpy(zero_copy_only=False).reshape(-1, lengths[0])

    def timestamps(self, index: int) -> np.ndarray:
        """Seconds of each row of an episode, shape ``(rows,)``, float64."""
        return self.vector(index, "timestamp")[:, 0].astype(np.float64)

    def _parquet(self, index: int) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.parquet_path(index))
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(index, error) from error

    def _unreadable(self, index: int, error: Exception) -> DatasetError:
        problem = f"{self._shown(index)} cannot be read."
        return DatasetError(self.name, problem, [str(error).splitlines()[0]])

    def _shown(self, index: int) -> Path:
        return self.parquet_path(index).relative_to(self.directory)
