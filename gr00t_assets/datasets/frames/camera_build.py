"""The frames of one camera put in their places, several episodes at once.

The decoders are threads, since PyAV releases Python's lock while FFmpeg works: a kill ends them
all. Each uses one core, has one frame in memory, and writes it at its own place, so the order in
which they finish changes nothing in the files.
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from gr00t_assets.datasets.frames.frame_index import (
    CHECKSUMS,
    FRAMES,
    TIMES,
    FramePlan,
    Size,
    Span,
    cache_folder,
    load_checksums,
    read_indices,
)
from gr00t_assets.datasets.frames.partial_frames import PartialFrames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.recorded_frames import RecordedFrames, recorded_frames
from gr00t_assets.datasets.videos import VideoError
from gr00t_assets.modality.images import resized

Method = Literal["kept", "reused", "decoded"]
"""How an episode's frames were had: from an interrupted build, another cache, or the dataset."""

MAX_WORKERS, _PROGRESS_SECONDS = 4, 0.5


class ReusableEpisode(NamedTuple):
    """An episode's frames in a finished cache."""

    folder: Path
    plan: FramePlan
    span: Span


def reusable_episodes(directories: Sequence[Path], size: Size | None) -> dict[str, ReusableEpisode]:
    """Episodes that finished caches have, by the hash of what they were decoded from."""
    episodes: dict[str, ReusableEpisode] = {}
    for directory in directories:
        folder = cache_folder(directory, size)
        for camera, index in read_indices(folder).items():
            if index is not None:
                for span, video in zip(index.plan.spans, index.videos, strict=True):
                    cached = ReusableEpisode(folder / camera, index.plan, span)
                    episodes.setdefault(video.sha256, cached)
    return episodes


@dataclass
class CameraBuild:
    """Fills the partial frames of one camera.

    ``reusable`` are frames of other caches, by the hash of what they were decoded from.
    ``progress`` is called with the frames done, from the thread that called ``run``. ``methods``
    are how many episodes were had by each.
    """

    dataset: LeRobotDataset
    camera: str
    partial: PartialFrames
    reusable: Mapping[str, ReusableEpisode]
    progress: Callable[[int], None]
    methods: Counter[Method] = field(default_factory=Counter)
    _frames_done: dict[int, int] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, workers: int | None) -> list[str]:
        """Fill every episode, by default as many at once as there are cores, four at most.

        Returns a line for each episode whose frames cannot be decoded, or do not fit its rows.
        """
        problems: dict[int, str] = {}
        count = workers or min(len(os.sched_getaffinity(0)), MAX_WORKERS)
        waiting = iter(self.partial.plan.spans)
        running: dict[Future[Method], Span] = {}
        with ThreadPoolExecutor(count, thread_name_prefix="frames") as pool:
            try:
                while True:
                    while len(running) < 2 * count and (span := next(waiting, None)) is not None:
                        running[pool.submit(self._fill, span)] = span
                    if not running:
                        break
                    for future in wait(running, _PROGRESS_SECONDS, FIRST_COMPLETED).done:
                        span = running.pop(future)
                        try:
                            self.methods[future.result()] += 1
                        except VideoError as error:
                            file = self._recorded(span).path.relative_to(self.dataset.directory)
                            problems[span.episode] = f"{file}: {error}"
                    self.progress(sum(self._frames_done.copy().values()))
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        return [problems[episode] for episode in sorted(problems)]

    def _recorded(self, span: Span) -> RecordedFrames:
        return recorded_frames(self.dataset, span.episode, self.camera)

    def _fill(self, span: Span) -> Method:
        """Put every frame of one episode in its place and record that the episode is complete."""
        recorded, method = self._recorded(span), "kept"
        sha256, line = recorded.sha256(), self.partial.done.get(span.episode)
        if line is None or line.sha256 != sha256 or not self.partial.is_intact(span):
            times, method = self._copy(self.reusable.get(sha256), span), "reused"
            if times is None:
                times, method = self._decode(span, recorded), "decoded"
            self.partial.finish(span, sha256, times)
        self._frames_done[span.episode] = span.frames
        return method

    def _copy(self, source: ReusableEpisode | None, span: Span) -> np.ndarray | None:
        """Copy the frames of another cache; their times, None where it has none that are alike and
        sound.
        """
        plan = self.partial.plan
        if source is None or source.span.frames != span.frames or not source.plan.is_like(plan):
            return None
        with suppress(FileNotFoundError, ValueError):
            first, size = source.span.first_row, plan.frame_bytes
            with (source.folder / FRAMES).open("rb") as file:
                file.seek(len(source.plan.headers()[FRAMES]) + first * size)
                for position in range(span.frames):
                    if len(frame := file.read(size)) < size:
                        return None
                    self.partial.write_frame(span, position, frame)
            sums = load_checksums(source.folder / CHECKSUMS)
            copied = self.partial.checksums[span.rows].tolist()
            if sums is None or copied == list(sums.frames[source.span.rows]):
                return np.array(np.load(source.folder / TIMES, mmap_mode="r")[source.span.rows])
        return None

    def _decode(self, span: Span, recorded: RecordedFrames) -> np.ndarray:
        """Decode the frames from the dataset; gives their times."""
        plan, times = self.partial.plan, list[float]()
        shape = plan.video_height, plan.video_width, 3
        for position, (time, frame) in enumerate(recorded.decode(range(span.frames))):
            if self._stop.is_set():
                raise CancelledError
            times.append(time)
            if frame is None:
                continue
            if frame.shape != shape:
                found = f"frame {position} is {frame.shape[1]} x {frame.shape[0]}, "
                raise VideoError(f"{found}others of this camera are {shape[1]} x {shape[0]}")
            if plan.resized:
                frame = resized(frame, (plan.width, plan.height))
            self.partial.write_frame(span, position, frame.data)
            self._frames_done[span.episode] = position + 1
        if len(times) != span.frames:
            found = f"has {len(times)} frames, "
            raise VideoError(f"{found}episode {span.episode} has {span.frames} rows")
        return np.asarray(times)
