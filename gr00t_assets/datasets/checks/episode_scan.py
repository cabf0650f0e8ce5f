"""Every episode once: its rows, its videos, and whether they are equally long."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from gr00t_assets.core.finding import Collector
from gr00t_assets.datasets.checks.row_checks import (
    check_finite,
    check_indices,
    check_task_indices,
    check_timestamps,
    content_digest,
    measured_fps,
)
from gr00t_assets.datasets.checks.video_checks import check_video
from gr00t_assets.datasets.lerobot.episodes import EPISODES, Episode
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.metadata import Metadata
from gr00t_assets.datasets.lerobot.rows import LONGEST_EPISODE, Rows, read_rows
from gr00t_assets.datasets.lerobot.statistics import RunningStatistics
from gr00t_assets.datasets.lerobot.video_packets import VideoPackets, read_packets

TIMESTAMP = Feature("timestamp", "float32", (1,), (), {})

Videos = dict[str, tuple[Feature, VideoPackets]]
"""By video file: its camera and its packets."""

Progress = Callable[[int, int], None]
"""Called with the episodes that were looked at, and how many there are."""


@dataclass
class EpisodeScan:
    """What the episodes are.

    Attributes:
        first_readable: Index of the first episode whose rows could be read.
        rows: Rows of all such episodes.
        statistics: Of each column that a key is a slice of.
        incomplete: Columns whose statistics are not those of the whole dataset.
        videos: The first video of each camera that could be read.
    """

    first_readable: int | None = None
    rows: int = 0
    statistics: dict[str, RunningStatistics] = field(default_factory=dict)
    incomplete: set[str] = field(default_factory=set)
    videos: dict[str, VideoPackets] = field(default_factory=dict)

    def constant_numbers(self, column: str) -> tuple[int, ...]:
        """Numbers of a column that are the same in every row; none of fewer than two rows."""
        running = self.statistics.get(column)
        if running is None or running.count < 2:
            return ()
        statistics = running.result()
        return tuple(np.flatnonzero(statistics["min"] == statistics["max"]).tolist())


@dataclass
class EpisodeScanner:
    """Looks at one episode after the other, in bounded memory.

    Attributes:
        cameras: Those that have files.
        sliced: Columns that state and action keys are slices of, in order.
        task_columns: Columns of task indices.
        backend: One of ``video_checks.BACKENDS``.
    """

    metadata: Metadata
    cameras: Sequence[Feature]
    sliced: Sequence[str]
    task_columns: Collection[str]
    backend: str

    def __post_init__(self) -> None:
        self.folder, self.info = self.metadata.folder, self.metadata.info
        self.collector, self.episodes = self.folder.collector, self.metadata.episodes
        self.fps = self.info.fps
        self.scan = EpisodeScan()
        features = self.info.features.items()
        self._columns = {name: feature for name, feature in features if not feature.is_video}
        self._columns.setdefault("timestamp", TIMESTAMP)
        self._digests: dict[bytes, str] = {}
        self._rate_checked = False

    def run(self, progress: Progress | None = None) -> EpisodeScan:
        """Look at every episode."""
        for done, episode in enumerate(self.episodes, start=1):
            file = self.info.data_file(episode.index)
            rows: Rows | None = None
            videos: Videos = {}
            with self.collector.guard(file):
                rows = self._read_rows(file, episode)
            for camera in self.cameras:
                name = self.info.video_file(episode.index, camera.name)
                with self.collector.guard(name):
                    self._read_video(name, camera, videos)
            with self.collector.guard(file):
                self._check_rate(rows, videos)
                if file is not None and rows is not None and rows.count:
                    self._check_rows(file, episode, rows)
                for name, (camera, video) in videos.items():
                    check_video(self.collector, name, video, camera, self.fps, self.backend)
                frames = {name: video.frames for name, (_, video) in videos.items()}
                if file is not None:
                    count = rows.count if rows else None
                    check_lengths(self.collector, file, episode, count, frames)
            if rows is None or rows.count != episode.length:
                self.scan.incomplete.update(self.sliced)
            if progress:
                progress(done, len(self.episodes))
        return self.scan

    def _read_rows(self, file: str | None, episode: Episode) -> Rows | None:
        path = None if file is None else self.folder.opened(file)
        if file is None or path is None:
            return None
        rows = read_rows(self.collector, path, file, self._columns)
        if rows is None:
            return None
        if rows.count == 0:
            self.collector.report("no-rows", file, "0 rows")
        self.scan.rows += rows.count
        if self.scan.first_readable is None:
            self.scan.first_readable = episode.index
        return rows

    def _read_video(self, file: str | None, camera: Feature, videos: Videos) -> None:
        path = None if file is None else self.folder.opened(file)
        if file is None or path is None:
            return
        video = read_packets(self.collector, path, file, LONGEST_EPISODE)
        if video is not None:
            self.scan.videos.setdefault(camera.name, video)
            videos[file] = (camera, video)

    def _check_rate(self, rows: Rows | None, videos: Videos) -> None:
        """Where timestamps and videos agree against ``info.json``, it is that which is wrong."""
        times = None if rows is None else rows.values.get("timestamp")
        if self._rate_checked or self.fps is None or times is None:
            return
        self._rate_checked = True
        measured = measured_fps(times[:, 0])
        rates = [video.fps for _, video in videos.values() if video.fps]
        if measured is None or not rates or abs(measured - self.fps) <= 0.01 * self.fps:
            return
        if all(abs(rate - measured) <= 0.01 * measured for rate in rates):
            self.collector.report("info-fps", INFO, f"fps {self.fps:g}", measured=measured)
            self.fps = round(measured, 2)

    def _check_rows(self, file: str, episode: Episode, rows: Rows) -> None:
        not_finite = check_finite(self.collector, file, rows)
        check_indices(self.collector, file, rows, episode.index)
        tasks = self.metadata.tasks
        if tasks is not None:
            check_task_indices(self.collector, file, rows, self.task_columns, tasks)
        times = rows.values.get("timestamp")
        if times is not None and "timestamp" not in not_finite and self.fps is not None:
            check_timestamps(self.collector, file, times[:, 0].astype(np.float64), self.fps)
        digest = content_digest(rows, self.sliced)
        first = file if digest is None else self._digests.setdefault(digest, file)
        if first != file:
            same = f"the same {', '.join(self.sliced)} as {first}"
            self.collector.report("episode-copied", file, same)
        for name in self.sliced:
            values = rows.values.get(name)
            if values is None or name in not_finite:
                self.scan.incomplete.add(name)
                continue
            running = self.scan.statistics.setdefault(name, RunningStatistics(values.shape[1]))
            running.add(values)


def check_lengths(
    collector: Collector, file: str, episode: Episode, rows: int | None, frames: Mapping[str, int]
) -> None:
    """Report what differs, and of three counts the one that is alone.

    Args:
        episode: As ``episodes.jsonl`` lists it; length 0 is unknown.
        rows: Counted; none where the file cannot be read.
        frames: Counted, by video file.
    """
    listed = episode.length or None
    right = {count for count in (listed, rows) if count is not None}
    if len(right) == 2:
        if frames and set(frames.values()) == {rows}:
            found = f"episode {episode.index} has length {listed}"
            collector.report("episode-length", EPISODES, found, rows=rows)
            return
        also = ", as its videos have it" if set(frames.values()) == {listed} else ""
        collector.report("row-count", file, f"{rows} rows", listed=listed, also=also)
    for name, count in frames.items():
        if right and count not in right:
            needed = rows if rows is not None else listed
            collector.report("video-frames", name, f"{count} frames", count=needed, file=file)
