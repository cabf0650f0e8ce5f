"""A dataset in LeRobot's format: v2.0 and v2.1 with GR00T's ``meta/modality.json``, and v3.0."""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.episodes import Episode, SharedFiles, VideoSegment
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import Folder, first_line, read_object
from gr00t_assets.datasets.lerobot.info import FORMATS, V30, Info
from gr00t_assets.datasets.lerobot.metadata import check_data_files, find_cameras, read_metadata
from gr00t_assets.datasets.lerobot.rows import flatten_column

MODALITY = "meta/modality.json"
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class LeRobotDataset:
    """A dataset on disk whose meta files were read; made by ``open``.

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
    info: Info
    modality: dict[str, Any] | None
    tasks: dict[int, str]
    episodes: tuple[Episode, ...]
    cameras: tuple[str, ...]
    warnings: tuple[str, ...]

    @classmethod
    def open(
        cls, directory: Path, name: str | None = None, formats: Collection[str] = FORMATS
    ) -> "LeRobotDataset":
        """Read a dataset's meta files and see that every episode's files are there.

        Args:
            directory: Folder that holds ``meta``.
            name: What errors call it; the folder's name by default.
            formats: Values of ``codebase_version`` that the caller can use.

        Raises:
            DatasetError: All that is missing or unreadable, at once; or its format is not
                supported.
        """
        name = name or directory.name
        if not directory.is_dir():
            raise DatasetError(name, f"there is no folder {directory}.")
        return cls.read(Folder(directory, confined=False), name, formats)

    @classmethod
    def read(
        cls, folder: Folder, name: str, formats: Collection[str] = FORMATS
    ) -> "LeRobotDataset":
        """The same, with the findings in the folder's collector.

        Raises:
            DatasetError: As ``open``.
        """
        problem = "this is not a complete LeRobot dataset."
        metadata = read_metadata(folder, formats)
        modality = read_object(folder, MODALITY, missing=None)
        folder.raise_errors(name, problem)
        check_data_files(metadata)
        cameras = [camera.name for camera in find_cameras(metadata)]
        videos = chain.from_iterable(map(metadata.video_files, cameras))
        for file in (*metadata.data_files(), *videos):
            _check_content(folder, file)
        folder.raise_errors(name, problem)
        return cls(
            directory=folder.directory,
            name=name,
            info=metadata.info,
            modality=modality,
            tasks=metadata.tasks or {},
            episodes=tuple(metadata.episodes),
            cameras=tuple(cameras),
            warnings=folder.warnings(),
        )

    @property
    def fps(self) -> float:
        """Rows per second."""
        return float(self.info.fps or 0)

    @property
    def robot_type(self) -> str:
        """The robot's name, as the dataset gives it."""
        return str(self.info.raw.get("robot_type") or "unknown")

    @property
    def codebase_version(self) -> str:
        """LeRobot's format: v2.0, v2.1 or v3.0."""
        return str(self.info.version)

    @property
    def features(self) -> dict[str, Feature]:
        """Columns and cameras by name."""
        return self.info.features

    @property
    def frame_count(self) -> int:
        """Rows of all episodes."""
        return sum(episode.length for episode in self.episodes)

    def episode(self, index: int) -> Episode:
        """An episode by its index.

        Raises:
            DatasetError: There is none.
        """
        for episode in self.episodes:
            if episode.index == index:
                return episode
        raise DatasetError(self.name, f"there is no episode {index}.")

    def parquet_path(self, index: int) -> Path:
        """The file of an episode's rows; in v3.0 the one that should hold them among others."""
        shared = self._shared(index)
        file = self.info.data_file(index) if shared is None else shared.data_file
        return self.directory / str(file)

    def video_path(self, index: int, camera: str) -> Path:
        """The file of an episode's video of one camera; in v3.0 it holds others, too."""
        return self.directory / self.video_segment(index, camera).file

    def video_segment(self, index: int, camera: str) -> VideoSegment:
        """Where the frames of an episode are: a file, and from and to which second in it.

        Raises:
            DatasetError: The camera has no video of it.
        """
        shared = self._shared(index)
        if shared is None:
            return VideoSegment(str(self.info.video_file(index, camera)), 0.0, float("inf"))
        if camera not in shared.videos:
            raise DatasetError(self.name, f"episode {index} has no video of camera {camera}.")
        return shared.videos[camera]

    def row_count(self, index: int) -> int:
        """Rows that an episode's file says it has; in v2.x the rows themselves are not read.

        Raises:
            DatasetError: The file cannot be read.
        """
        if self._shared(index) is not None:
            return self.read_episode(index, ["episode_index"]).num_rows
        path = self.parquet_path(index)
        with self._reading(path):
            return pq.ParquetFile(path).metadata.num_rows

    def read_episode(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of an episode.

        Args:
            columns: Which columns, in this order; all of them by default.

        Raises:
            DatasetError: The file cannot be read, or lacks a column.
        """
        if self._shared(index) is None:
            return self._read_file(self.parquet_path(index), columns)
        named = self.parquet_path(index)
        others = sorted(set(self.directory.glob("data/*/*.parquet")) - {named})
        for path in (named, *others) if named.is_file() else others:
            table = self._read_file(path, columns, index)
            if table.num_rows:
                return table
        raise DatasetError(self.name, f"no file has rows of episode {index}.")

    def vector(self, index: int, column: str) -> np.ndarray:
        """A column of an episode, shape ``(rows, numbers)``, in the type it is stored in.

        A column of plain numbers gives ``(rows, 1)``.

        Raises:
            DatasetError: The column is missing, has empty cells, or its rows differ in length.
        """
        return self.vectors(index, [column])[column]

    def vectors(self, index: int, columns: Sequence[str]) -> dict[str, np.ndarray]:
        """Columns of an episode by name, each as ``vector`` gives it; its file is read once.

        Raises:
            DatasetError: As for one column.
        """
        names = list(dict.fromkeys(columns))
        table = self.read_episode(index, names)
        return {name: self._vector(index, name, table.column(name)) for name in names}

    def timestamps(self, index: int) -> np.ndarray:
        """Seconds of each row of an episode, shape ``(rows,)``, float64."""
        return self.vector(index, "timestamp")[:, 0].astype(np.float64)

    def _vector(self, index: int, column: str, chunked: pa.ChunkedArray) -> np.ndarray:
        flat = flatten_column(chunked)
        where = self._shown(self.parquet_path(index))
        if flat.nulls:
            raise DatasetError(self.name, f"{where}: {flat.nulls} cells of {column} are empty.")
        ragged = [lengths for lengths in flat.lengths if len(lengths) != 1]
        if ragged:
            problem = f"{where}: rows of {column} differ in length."
            raise DatasetError(self.name, problem, [f"lengths found: {list(ragged[0])}"])
        values = flat.values.to_numpy(zero_copy_only=False)
        return values.reshape(len(chunked), int(np.prod([n for (n,) in flat.lengths] or [1])))

    def _read_file(
        self, path: Path, columns: Sequence[str] | None, episode: int | None = None
    ) -> pa.Table:
        """A file's rows: all, or those of an episode."""
        with self._reading(path):
            file = pq.ParquetFile(path)
            names = file.schema_arrow.names
            chosen = list(names if columns is None else columns)
            missing = ", ".join(column for column in chosen if column not in names)
            if missing:
                problem = f"{self._shown(path)} lacks {missing}."
                raise DatasetError(self.name, problem, [f"it has: {', '.join(names)}"])
            if episode is None:
                return file.read(columns=chosen).select(chosen)
            condition = [("episode_index", "=", episode)]
            return pq.read_table(path, columns=chosen, filters=condition).select(chosen)

    @contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            problem = f"{self._shown(path)} cannot be read."
            raise DatasetError(self.name, problem, [first_line(error)]) from error

    def _shared(self, index: int) -> SharedFiles | None:
        return self.episode(index).shared if self.info.version == V30 else None

    def _shown(self, path: Path) -> Path:
        return path.relative_to(self.directory)


def _check_content(folder: Folder, file: str) -> None:
    """Report a file that is there and cannot be what it should be, without reading it."""
    path = folder.opened(file)
    if path is None or not file.endswith(".parquet"):
        return
    try:
        with path.open("rb") as opened:
            start = opened.read(len(_PARQUET_MAGIC))
            opened.seek(-len(_PARQUET_MAGIC), os.SEEK_END)
            end = opened.read()
    except OSError as error:
        folder.report_unreadable(file, error)
        return
    if not start == end == _PARQUET_MAGIC:
        found = "cannot be read: it does not begin and end as Parquet does"
        folder.collector.report("parquet-unreadable", file, found)
