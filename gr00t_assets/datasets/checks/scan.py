"""Every episode once: its rows, its videos, and whether they are equally long."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from gr00t_assets.datasets.checks.columns import Rows, read_rows
from gr00t_assets.datasets.checks.contents import (
    check_finite,
    check_indices,
    check_task_indices,
    content_digest,
)
from gr00t_assets.datasets.checks.features import Feature
from gr00t_assets.datasets.checks.folder import Folder
from gr00t_assets.datasets.checks.info import FILE, Info
from gr00t_assets.datasets.checks.lengths import check_lengths
from gr00t_assets.datasets.checks.lists import Listed
from gr00t_assets.datasets.checks.running import RunningStatistics
from gr00t_assets.datasets.checks.timestamps import check_timestamps, measured_fps
from gr00t_assets.datasets.checks.videos import Video, check_video, read_video

TIMESTAMP = Feature("timestamp", "float32", (1,), (), {})

Progress = Callable[[int, int], None]
"""Called with the episodes that were looked at, and how many there are."""


@dataclass
class Scan:
    """What the episodes are.

    Attributes:
        readable: Episodes whose rows could be read.
        rows: Rows of those.
        statistics: Of each column that a key is a slice of.
        spoilt: Columns whose statistics are not those of the whole dataset.
        videos: The first video of each camera that could be read.
    """

    readable: list[Listed] = field(default_factory=list)
    rows: int = 0
    statistics: dict[str, RunningStatistics] = field(default_factory=dict)
    spoilt: set[str] = field(default_factory=set)
    videos: dict[str, Video] = field(default_factory=dict)


class Scanner:
    """Looks at one episode after the other, in bounded memory.

    Args:
        folder: The dataset.
        info: Its ``info.json``.
        cameras: Those that have files.
        sliced: Columns that state and action keys are slices of.
        task_columns: Columns of task indices.
        tasks: Known task indices; none where the file could not be had.
        backend: One of ``videos.BACKENDS``.
    """

    def __init__(
        self,
        folder: Folder,
        info: Info,
        cameras: list[Feature],
        sliced: Collection[str],
        task_columns: Collection[str],
        tasks: Mapping[int, str] | None,
        backend: str,
    ) -> None:
        self.folder = folder
        self.collector = folder.collector
        self.info = info
        self.cameras = cameras
        self.sliced = sorted(sliced)
        self.task_columns = task_columns
        self.tasks = tasks
        self.backend = backend
        self.fps = info.fps
        self.scan = Scan()
        self._columns = {
            name: feature for name, feature in info.features.items() if not feature.is_video
        }
        self._columns.setdefault("timestamp", TIMESTAMP)
        self._digests: dict[bytes, str] = {}
        self._rate_seen = False

    def run(self, episodes: list[Listed], progress: Progress | None = None) -> Scan:
        """Look at every episode."""
        for done, episode in enumerate(episodes, start=1):
            file = self.info.data_file(episode.index)
            rows, videos = None, {}
            with self.collector.guard(file):
                rows = self._rows(file, episode)
            for camera in self.cameras:
                name = self.info.video_file(episode.index, camera.name)
                with self.collector.guard(name):
                    videos |= self._video(name, camera)
            with self.collector.guard(file):
                self._see_rate(rows, videos.values())
                self._contents(file, episode, rows)
                for name, (camera, video) in videos.items():
                    check_video(self.collector, name, video, camera, self.fps, self.backend)
                frames = {name: video.frames for name, (_, video) in videos.items()}
                if file is not None:
                    count = rows.count if rows else None
                    check_lengths(self.collector, file, episode, count, frames)
            if rows is None or rows.count != episode.length:
                self.scan.spoilt.update(self.sliced)
            if progress:
                progress(done, len(episodes))
        return self.scan

    def _rows(self, file: str | None, episode: Listed) -> Rows | None:
        path = None if file is None else self.folder.opened(file)
        if file is None or path is None:
            return None
        rows = read_rows(self.collector, path, file, self._columns)
        if rows is None:
            return None
        if rows.count == 0:
            self.collector.error(
                "no-rows", file, "0 rows", "a row for each frame", "put the episode's rows in place"
            )
        self.scan.rows += rows.count
        self.scan.readable.append(Listed(episode.index, rows.count))
        return rows

    def _video(self, file: str | None, camera: Feature) -> dict[str, tuple[Feature, Video]]:
        path = None if file is None else self.folder.opened(file)
        if file is None or path is None:
            return {}
        video = read_video(self.collector, path, file)
        if video is None:
            return {}
        self.scan.videos.setdefault(camera.name, video)
        return {file: (camera, video)}

    def _see_rate(self, rows: Rows | None, videos: Collection[tuple[Feature, Video]]) -> None:
        """Where timestamps and videos agree against ``info.json``, it is that which is wrong."""
        if self._rate_seen or rows is None or self.fps is None or "timestamp" not in rows.values:
            return
        self._rate_seen = True
        measured = measured_fps(rows.values["timestamp"][:, 0])
        rates = [video.fps for _, video in videos if video.fps]
        if measured is None or not rates or abs(measured - self.fps) <= 0.01 * self.fps:
            return
        if all(abs(rate - measured) <= 0.01 * measured for rate in rates):
            self.collector.error(
                "info-fps",
                FILE,
                f"fps {self.fps:g}",
                f"{measured:.4g}, as timestamps and videos have it",
                "correct fps",
            )
            self.fps = round(measured, 2)

    def _contents(self, file: str | None, episode: Listed, rows: Rows | None) -> None:
        if rows is None or file is None or not rows.count:
            return
        spoilt = check_finite(self.collector, file, rows)
        check_indices(self.collector, file, rows, episode.index)
        if self.tasks is not None:
            check_task_indices(self.collector, file, rows, self.task_columns, self.tasks)
        times = rows.values.get("timestamp")
        if times is not None and "timestamp" not in spoilt and self.fps is not None:
            check_timestamps(self.collector, file, times[:, 0].astype(np.float64), self.fps)
        self._see_duplicate(file, rows)
        for name in self.sliced:
            values = rows.values.get(name)
            if values is None or name in spoilt:
                self.scan.spoilt.add(name)
                continue
            known = self.scan.statistics.setdefault(name, RunningStatistics(values.shape[1]))
            known.add(values)

    def _see_duplicate(self, file: str, rows: Rows) -> None:
        digest = content_digest(rows, self.sliced)
        if digest is None:
            return
        first = self._digests.setdefault(digest, file)
        if first != file:
            self.collector.error(
                "episode-copied",
                file,
                f"the same {', '.join(self.sliced)} as {first}",
                "another demonstration in every episode",
                "put the right file in place, or take the episode out",
            )
