"""A dataset in LeRobot's format: v2.0, v2.1 and v3.0, with GR00T's ``meta/modality.json``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.lerobot.columns import flatten_column, stored_images
from gr00t_assets.datasets.lerobot.episodes import Episode, VideoSegment
from gr00t_assets.datasets.lerobot.features import Feature
from gr00t_assets.datasets.lerobot.folder import (
    Folder,
    first_line,
    read_object,
    report_missing_files,
)
from gr00t_assets.datasets.lerobot.info import V30, Info
from gr00t_assets.datasets.lerobot.metadata import find_cameras, read_metadata
from gr00t_assets.datasets.lerobot.rows import (
    Rows,
    batch_rows,
    check_content,
    find_rows,
    row_groups,
)
from gr00t_assets.modality.modality_json import MODALITY


@dataclass(frozen=True)
class LeRobotDataset:
    """A dataset on disk whose meta files were read; made by ``open``, and never written to.

    ``modality`` is ``meta/modality.json`` as it is, or None, ``tasks`` are instructions by index,
    ``cameras`` those that have frames, in video files or as images in the rows. ``warnings`` are
    odd, and yet usable. ``ranges`` say of v3.0 where the rows of each episode are, in the order of
    files and rows.
    """

    directory: Path
    name: str
    info: Info
    modality: dict[str, Any] | None
    tasks: dict[int, str]
    episodes: tuple[Episode, ...]
    cameras: tuple[str, ...]
    warnings: tuple[str, ...]
    ranges: Mapping[int, Rows] = field(default_factory=dict)
    _footers: dict[Path, pq.FileMetaData] = field(default_factory=dict, repr=False, compare=False)
    """Of files of many episodes: long, and read for each of them otherwise."""

    @classmethod
    def open(cls, directory: Path, name: str | None = None) -> "LeRobotDataset":
        """Read a dataset's meta files and see that every episode's files are there.

        Raises:
            DatasetError: All that is missing, unreadable or of another format, at once.
        """
        name = name or directory.name
        if not directory.is_dir():
            raise DatasetError(name, f"there is no folder {directory}.")
        return cls.read(Folder(directory, confined=False), name)

    @classmethod
    def read(cls, folder: Folder, name: str) -> "LeRobotDataset":
        """The same, with the findings in the folder's collector."""
        problem = "this is not a complete LeRobot dataset."
        metadata = read_metadata(folder)
        modality = read_object(folder, MODALITY, missing=None)
        folder.raise_errors(name, problem)
        info, files, ranges = metadata.info, metadata.data_files(), {}
        if info.version == V30:
            ranges = find_rows(folder, metadata.episodes, files, info.features)
        else:
            report_missing_files(folder, files, "parquet-missing")
        cameras = [camera.name for camera in find_cameras(metadata)]
        videos = chain.from_iterable(map(metadata.video_files, cameras))
        for file in (*(files if info.version != V30 else ()), *videos):
            check_content(folder, file)
        folder.raise_errors(name, problem)
        return cls(
            directory=folder.directory,
            name=name,
            info=info,
            modality=modality,
            tasks=metadata.tasks or {},
            episodes=tuple(metadata.episodes),
            cameras=tuple(cameras),
            warnings=folder.warnings(),
            ranges=ranges,
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
    def video_cameras(self) -> tuple[str, ...]:
        """Cameras whose frames are in video files."""
        images = {feature.name for feature in self.features.values() if feature.kind == "image"}
        return tuple(name for name in self.cameras if name not in images)

    @property
    def frame_count(self) -> int:
        """Rows of all episodes."""
        return sum(episode.length for episode in self.episodes)

    def episode(self, index: int) -> Episode:
        """An episode by its index; DatasetError where there is none."""
        if index not in self._by_index:
            raise DatasetError(self.name, f"there is no episode {index}.")
        return self._by_index[index]

    def parquet_path(self, index: int) -> Path:
        """The file of an episode's rows; in v3.0 it holds others, too, as that of a video does."""
        episode, rows = self.episode(index), self.ranges.get(index)
        return self.directory / str(episode.data_file if rows is None else rows.file)

    def video_path(self, index: int, camera: str) -> Path:
        """The file of an episode's video of one camera."""
        return self.directory / self.video_segment(index, camera).file

    def video_segment(self, index: int, camera: str) -> VideoSegment:
        """A file and from and to which second in it an episode is; DatasetError without a video."""
        videos = self.episode(index).videos
        if camera not in videos:
            raise DatasetError(self.name, f"episode {index} has no video of camera {camera}.")
        return videos[camera]

    def read_episode(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of an episode; its columns in the order that is asked for, all of them by default.

        Raises:
            DatasetError: The file cannot be read, or lacks a column.
        """
        with self._opened(index, columns or ()) as (file, groups, start, count):
            chosen = list(file.schema_arrow.names if columns is None else columns)
            table = file.read_row_groups(groups, columns=chosen)
            return table.select(chosen).slice(start, count)

    def images(self, index: int, camera: str) -> Iterator[bytes | None]:
        """The compressed images of an episode's rows, in bounded memory; None where one is missing.

        Raises:
            DatasetError: The file cannot be read, or has no images of the camera.
        """
        with self._opened(index, [camera]) as (file, groups, start, count):
            for batch in file.iter_batches(batch_rows(file), groups, [camera]):
                part = batch.column(camera).slice(start, count)
                start, count = max(start - batch.num_rows, 0), count - len(part)
                images = stored_images(part, self.directory)
                if images is None:
                    problem = f"{self._shown_file(index)}: {camera} holds no images."
                    raise DatasetError(self.name, problem, [f"it is {part.type}"])
                yield from images
                if not count:
                    return

    def vector(self, index: int, column: str) -> np.ndarray:
        """One of the ``vectors``."""
        return self.vectors(index, [column])[column]

    def vectors(self, index: int, columns: Sequence[str]) -> dict[str, np.ndarray]:
        """Columns of an episode by name, ``(rows, numbers)`` each, in the type they are stored in.

        Raises:
            DatasetError: A column is missing, has empty cells, or its rows differ in length.
        """
        names = list(dict.fromkeys(columns))
        table, vectors = self.read_episode(index, names), {}
        for name in names:
            flat = flatten_column(table.column(name))
            if flat.nulls:
                problem = f"{self._shown_file(index)}: {flat.nulls} cells of {name} are empty."
                raise DatasetError(self.name, problem)
            if ragged := [lengths for lengths in flat.lengths if len(lengths) != 1]:
                problem = f"{self._shown_file(index)}: rows of {name} differ in length."
                raise DatasetError(self.name, problem, [f"lengths found: {list(ragged[0])}"])
            width = int(np.prod([size for (size,) in flat.lengths] or [1]))
            values = flat.values.to_numpy(zero_copy_only=False)
            vectors[name] = values.reshape(table.num_rows, width)
        return vectors

    def timestamps(self, index: int) -> np.ndarray:
        """Seconds of each row of an episode, shape ``(rows,)``, float64."""
        return self.vector(index, "timestamp")[:, 0].astype(np.float64)

    @contextmanager
    def _opened(
        self, index: int, columns: Sequence[str]
    ) -> Iterator[tuple[pq.ParquetFile, list[int], int, int]]:
        """The file of an episode, which has the columns, and where in it the episode's rows are.

        They are in some row groups, from a position in those on, and so many.
        """
        path, rows = self.parquet_path(index), self.ranges.get(index)
        try:
            with pq.ParquetFile(path, metadata=self._footers.get(path)) as file:
                names = file.schema_arrow.names
                if missing := ", ".join(column for column in columns if column not in names):
                    problem = f"{self._shown_file(index)} lacks {missing}."
                    raise DatasetError(self.name, problem, [f"it has: {', '.join(names)}"])
                if rows is None:
                    yield file, list(range(file.num_row_groups)), 0, file.metadata.num_rows
                else:
                    self._footers[path] = file.metadata
                    groups, first = row_groups(file.metadata, rows.start, rows.count)
                    yield file, groups, rows.start - first, rows.count
        except (OSError, pa.ArrowException) as error:
            problem = f"{self._shown_file(index)} cannot be read."
            raise DatasetError(self.name, problem, [first_line(error)]) from error

    def _shown_file(self, index: int) -> Path:
        return self.parquet_path(index).relative_to(self.directory)

    @cached_property
    def _by_index(self) -> dict[int, Episode]:
        return {episode.index: episode for episode in self.episodes}
