"""Every episode once: its rows, its videos, and whether they are equally long."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gr00t_assets.datasets.checks import row_checks
from gr00t_assets.datasets.checks.camera_checks import check_declaration, check_images, check_video
from gr00t_assets.datasets.lerobot.columns import LONGEST_EPISODE, FileFaults
from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.lerobot.features import INFO, Camera, Feature
from gr00t_assets.datasets.lerobot.info import V30
from gr00t_assets.datasets.lerobot.metadata import Metadata
from gr00t_assets.datasets.lerobot.rows import Rows, find_rows, read_rows
from gr00t_assets.datasets.lerobot.statistics import RunningStatistics
from gr00t_assets.datasets.lerobot.video_packets import VideoPackets, find_frames, read_packets

TIMESTAMP = Feature("timestamp", "float32", (1,), (), {})

Progress = Callable[[int, int], None]  # episodes that were looked at, and how many there are


@dataclass
class EpisodeScanner:
    """Looks at one episode after the other, in bounded memory.

    Attributes:
        cameras: Those that have frames.
        sliced: Columns that state and action keys are slices of, in order.
        task_columns: Columns of task indices.
        backend: One of ``camera_checks.BACKENDS``.
        rows: Rows of all episodes that could be read.
        statistics: Of each column that a key is a slice of and that could be read.
        incomplete: Columns whose statistics are not those of the whole dataset.
        measured: Cameras as their first video or image that could be read is.
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
        self.rows, self._rate_checked = 0, False
        self.statistics: dict[str, RunningStatistics] = defaultdict(RunningStatistics)
        self.incomplete: set[str] = set()
        self.measured: dict[str, Camera] = {}
        self._features = {"timestamp": TIMESTAMP, **self.info.features}
        self._videos = [camera for camera in self.cameras if camera.is_video]
        self._images = [camera for camera in self.cameras if not camera.is_video]
        self._digests: dict[bytes, str] = {}
        self._formats: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        self._faults = FileFaults(self.collector)

    def run(self, progress: Progress | None = None) -> None:
        """Look at every episode."""
        scan = self._scan_shared_files if self.info.version == V30 else self._scan_own_files
        scan(progress or (lambda done, count: None))
        for camera in self._videos:
            check_declaration(self.collector, camera, self._formats[camera.name], self.backend)

    def constant_numbers(self, column: str) -> tuple[int, ...]:
        """Numbers of a column that are the same in every row; none of fewer than two rows."""
        running = self.statistics.get(column)
        if running is None or running.count < 2:
            return ()
        statistics = running.result()
        return tuple(np.flatnonzero(statistics["min"] == statistics["max"]).tolist())

    def _scan_own_files(self, progress: Progress) -> None:
        """v2.x: a file of rows for each episode, and a video of each camera."""
        for done, episode in enumerate(self.episodes, start=1):
            file = episode.data_file
            rows: Rows | None = None
            videos: dict[str, VideoPackets] = {}
            with self.collector.guard(file):
                rows = self._read_rows(file)
            for camera in self._videos:
                name = episode.videos[camera.name].file
                with self.collector.guard(name):
                    path = self.folder.opened(name)
                    video = path and read_packets(self.collector, path, name, LONGEST_EPISODE)
                    if video:
                        self._keep_video(camera.name, name, video)
                        videos[name] = video
            with self.collector.guard(file):
                self._check_rate(rows, [video.fps for video in videos.values()])
                if rows is not None and rows.count:
                    self._check_rows(episode, rows)
                for name, video in videos.items():
                    check_video(self.collector, name, video, self.fps)
                frames = {name: video.frames for name, video in videos.items()}
                if file is not None:
                    self._check_lengths(file, episode, rows.count if rows else None, frames)
            if rows is None or rows.count != episode.length:
                self.incomplete.update(self.sliced)
            progress(done, len(self.episodes))
        self._faults.report_all(sum(map(self.folder.exists, self.metadata.data_files())))

    def _scan_shared_files(self, progress: Progress) -> None:
        """v3.0: files of the rows of many episodes, and of their videos."""
        episodes = {episode.index: episode for episode in self.episodes}
        names = [camera.name for camera in self._videos]
        videos = find_frames(self.folder, self.episodes, names, self.fps or 0)
        for video in videos:
            self._keep_video(video.camera, video.file, video.packets)
        done = 0

        def visit(rows: Rows) -> None:
            nonlocal done
            self._check_rate(rows, [video.packets.fps for video in videos])
            if episode := episodes.get(rows.episode):
                self.rows += rows.count
                self._check_rows(episode, rows)
                done += 1
                progress(done, len(episodes))

        folder, data = self.folder, self.metadata.data_files()
        whole = find_rows(folder, self.episodes, data, self._features, visit)
        if len(whole) < len(episodes):
            self.incomplete.update(self.sliced)
        for file in dict.fromkeys(part.file for part in whole.values()):
            self._check_images(file)
        for video in videos:
            with self.collector.guard(video.file):
                check_video(self.collector, video.file, video.packets, self.fps, video.cuts)

    def _read_rows(self, file: str | None) -> Rows | None:
        path = self.folder.opened(file) if file else None
        if not file or not path:
            return None
        rows = next(read_rows(self._faults, path, file, self._features), None)
        if rows is not None:
            if rows.count == 0:
                self.collector.report("no-rows", file, "0 rows")
            self.rows += rows.count
            self._check_images(file)
        return rows

    def _check_images(self, file: str) -> None:
        for camera in self._images:
            kind = check_images(self.folder, file, camera)
            if kind and camera.size is not None and camera.name not in self.measured:
                self.measured[camera.name] = Camera.declared(camera, self.info.fps or 0, kind)

    def _keep_video(self, camera: str, file: str, video: VideoPackets) -> None:
        height, width, fps, codec = video.height, video.width, video.fps or 0, video.codec
        measured = Camera(original_key=camera, height=height, width=width, fps=fps, codec=codec)
        self.measured.setdefault(camera, measured)
        self._formats[camera][file] = f"{height} x {width}", codec

    def _check_rate(self, rows: Rows | None, video_rates: Sequence[float | None]) -> None:
        """Where timestamps and videos agree against ``info.json``, it is that which is wrong."""
        times = None if rows is None else rows.values.get("timestamp")
        if self._rate_checked or self.fps is None or times is None:
            return
        self._rate_checked = True
        measured = row_checks.measured_fps(times[:, 0])
        rates = [rate for rate in video_rates if rate]
        if measured is None or not rates or abs(measured - self.fps) <= 0.01 * self.fps:
            return
        if all(abs(rate - measured) <= 0.01 * measured for rate in rates):
            self.collector.report("info-fps", INFO, f"fps {self.fps:g}", measured=measured)
            self.fps = round(measured, 2)

    def _check_rows(self, episode: Episode, rows: Rows) -> None:
        is_shared, file = self.info.version == V30, rows.file
        place = f"episode {rows.episode}" if is_shared else file

        def report(fault: str, found: str, **texts: object) -> None:
            self.collector.report(fault, file, f"{place}: {found}" if is_shared else found, **texts)

        not_finite = row_checks.check_finite(report, rows)
        row_checks.check_indices(report, rows, episode.index)
        if self.metadata.tasks is not None:
            row_checks.check_tasks(report, rows, self.task_columns, episode, self.metadata)
        times = rows.values.get("timestamp")
        if times is not None and "timestamp" not in not_finite and self.fps is not None:
            row_checks.check_timestamps(report, times[:, 0].astype(np.float64), self.fps)
        digest = row_checks.content_digest(rows, self.sliced)
        first = self._digests.setdefault(digest, place) if digest else place
        if first != place:
            fault = "episode-repeated" if is_shared else "episode-copied"
            report(fault, f"the same {', '.join(self.sliced)} as {first}")
        for name in self.sliced:
            values = rows.values.get(name)
            if values is None or name in not_finite:
                self.incomplete.add(name)
            else:
                self.statistics[name].add(values)

    def _check_lengths(
        self, file: str, episode: Episode, rows: int | None, frames: Mapping[str, int]
    ) -> None:
        """Report what differs, and of three counts the one that is alone; frames by video file."""
        listed, report = episode.length or None, self.collector.report
        right = {count for count in (listed, rows) if count is not None}
        if len(right) == 2:
            if frames and set(frames.values()) == {rows}:
                found = f"episode {episode.index} has length {listed}"
                report("episode-length", self.info.episodes_file, found, rows=rows)
                return
            also = ", as its videos have it" if set(frames.values()) == {listed} else ""
            report("row-count", file, f"{rows} rows", listed=listed, also=also)
        for name, count in frames.items():
            if right and count not in right:
                needed = rows if rows is not None else listed
                report("video-frames", name, f"{count} frames", count=needed, file=file)
