"""Whether a video backend gives each row of a dataset the frame of its timestamp.

The reference is every frame decoded in order and the nearest one to the timestamp. The backend is
asked for one timestamp at a time, as Isaac-GR00T's loader asks it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.text import did_you_mean
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.video_backends import (
    BACKENDS,
    FIX_COMMIT,
    Backend,
    backend_missing,
    known_backend_fault,
    video_backend,
)
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.episodes import Episode
from gr00t_assets.datasets.recorded_frames import (
    DecodedEpisode,
    RecordedFrames,
    VideoFrames,
    recorded_frames,
)
from gr00t_assets.datasets.videos import VideoError, nearest_rows, spread_positions
from gr00t_assets.modality.frame_check_result import CameraCheckResult, FrameCheckResult, Verdict

_UNAFFECTED = "trainers that read the frame cache are not affected"

SAMPLES, MAX_EPISODES = 8, 16
"""Rows of an episode that a sampled check decodes, and episodes that it looks at."""


def check_frames(
    dataset: LeRobotDataset,
    cache: FrameCache | None,
    cameras: Sequence[str],
    backend: str = "frame_cache",
    all_rows: bool = False,
    isaac_commit: str | None = None,
) -> FrameCheckResult:
    """Decode rows with a backend and compare them with the frames that they should get.

    Args:
        cache: Its frame cache; read where ``backend`` is ``frame_cache``.
        backend: One of ``BACKENDS``. ``frame_cache`` is compared with a decoding of its own.
        all_rows: Whether every row is decoded, and not a sample: of ``MAX_EPISODES`` episodes,
            evenly spread, ``SAMPLES`` rows, one drawn from each of as many equal parts, the same
            ones every time.
        isaac_commit: Commit of Isaac-GR00T that trains, which decides what ``torchvision_av``
            does; one that is not known is taken to have the fault of June.

    Raises:
        DatasetError: The backend's name is unknown, or the dataset's rows cannot be read.
    """
    if backend not in BACKENDS:
        hint = did_you_mean(backend, BACKENDS)
        raise DatasetError(dataset.name, f"there is no video backend '{backend}'.", [hint])
    count = len(dataset.episodes)
    chosen = range(count) if all_rows else spread_positions(count, MAX_EPISODES)
    episodes = [dataset.episodes[position] for position in chosen]
    reads_cache, missing, decode = backend == "frame_cache", None, None
    if reads_cache and cache is None:
        missing = "there is no frame cache yet"
    elif package := backend_missing(backend):
        missing = f"{package} is not installed here"
    elif not reads_cache:
        decode = video_backend(backend, isaac_commit)
    comparison = _FrameComparison(dataset, cache, decode, all_rows)
    in_rows = set() if reads_cache else set(cameras) - set(dataset.video_cameras)
    results = [
        CameraCheckResult(camera=camera, verdict="unchecked", problem=missing)
        if missing and camera not in in_rows
        else comparison.camera(camera, episodes, camera in in_rows)
        for camera in cameras
    ]
    result = FrameCheckResult(
        dataset=dataset.name,
        backend=backend,
        isaac_commit=None if reads_cache else isaac_commit,
        episodes=len(episodes),
        all_rows=all_rows,
        cameras=tuple(results),
    )
    action = None if result.verified else _remedy(result.verdict, backend, isaac_commit)
    if comparison.damaged:
        action = "the video is truncated or damaged: copy or download it again"
    if any(camera.in_rows and camera.problem for camera in results):
        action = "write the episode again from the recording"
    return result.model_copy(update={"remedy": action})


class _Row(NamedTuple):
    """A row that was read, in positions of frames: of its timestamp, and of its own number.

    ``by_time`` and ``by_index`` are what it got, of frames that look the same the nearest to each;
    None where it is no frame of the episode.
    """

    expected: int
    own: int
    by_time: int | None
    by_index: int | None


@dataclass
class _FrameComparison:
    """Frames of a backend, or of the cache where there is none, beside those decoded in order.

    ``damaged`` is set where a video cannot be decoded in order either.
    """

    dataset: LeRobotDataset
    cache: FrameCache | None
    backend: Backend | None
    all_rows: bool
    damaged: bool = False

    def camera(self, camera: str, episodes: Sequence[Episode], in_rows: bool) -> CameraCheckResult:
        """Compare until the first row that the backend cannot read: a trainer stops there too.

        Images in the rows are decoded alone, since no backend reads them.
        """
        rows, decoded, problem = list[_Row](), 0, None
        for episode in episodes:
            recorded = recorded_frames(self.dataset, episode.index, camera)
            try:
                if in_rows:
                    wanted = set(self._rows(episode.length, episode.index))
                    decoded += sum(frame is not None for _, frame in recorded.decode(wanted))
                for row in () if in_rows else self._compared(episode.index, recorded, camera):
                    rows.append(row)
            except VideoError as error:
                self.damaged |= not in_rows and not _is_decodable(recorded)
                problem = f"{recorded.path.relative_to(self.dataset.directory)}: {error}"
                break
        wrong = [row for row in rows if row.by_time != row.expected]
        offsets = [row.expected - row.by_time for row in wrong if row.by_time is not None]
        distances = np.abs(offsets) if offsets else np.zeros(1)
        moves = Counter(row.expected - row.own for row in rows if row.expected != row.own)
        verdict: Verdict = "exact"
        if problem:
            verdict = "unreadable"
        elif wrong:
            verdict = "wrong" if len(offsets) < len(wrong) or distances.max() > 1 else "shifted"
        return CameraCheckResult(
            camera=camera,
            rows=decoded + len(rows),
            wrong_by_timestamp=len(wrong),
            wrong_by_index=sum(row.by_index != row.own for row in rows),
            unidentified=len(wrong) - len(offsets),
            mean_lateness=float(distances.mean()),
            max_lateness=int(distances.max()),
            moved_rows=moves.total(),
            move=moves.most_common(1)[0][0] if moves else 0,
            verdict=verdict,
            problem=problem,
            in_rows=in_rows,
        )

    def _compared(self, episode: int, recorded: RecordedFrames, camera: str) -> Iterator[_Row]:
        timestamps = self.dataset.timestamps(episode)
        if not np.isfinite(timestamps).all():
            file = self.dataset.parquet_path(episode).relative_to(self.dataset.directory)
            problem = f"{file}: some timestamps are not finite numbers."
            raise DatasetError(self.dataset.name, problem, ["record or repair them first"])
        reference: DecodedEpisode | None = None
        for row in self._rows(len(timestamps), episode):
            timestamp = float(timestamps[row])
            if self.backend is not None:
                assert isinstance(recorded, VideoFrames)
                image = self.backend(recorded.path, timestamp + recorded.start)
            else:
                assert self.cache is not None
                image = self.cache.frame(episode, camera, timestamp)
            if reference is None:
                reference = DecodedEpisode(recorded)
                nearest = nearest_rows(reference.times, timestamps)
            expected, own = int(nearest[row]), min(row, len(reference.times) - 1)
            by_time = by_index = reference.find(image, near=expected)
            if own != expected:
                by_index = reference.find(image, near=own)
            yield _Row(expected, own, by_time, by_index)

    def _rows(self, length: int, episode: int) -> Sequence[int]:
        if self.all_rows or length <= SAMPLES:
            return range(length)
        borders = pairwise(np.linspace(0, length, SAMPLES + 1).astype(int))
        random = np.random.default_rng(episode)
        return [int(random.integers(start, end)) for start, end in borders]


def _is_decodable(recorded: RecordedFrames) -> bool:
    try:
        return all(True for _ in recorded.decode(()))
    except VideoError:
        return False


def _remedy(verdict: Verdict, backend: str, isaac_commit: str | None) -> str:
    """One line that says what to do."""
    if backend == "frame_cache":
        if verdict == "unchecked":
            return "materialise frame_cache"
        return "delete the dataset's frame cache and materialise frame_cache again"
    if verdict == "unchecked":
        return f"install {backend} here to have it checked; {_UNAFFECTED}"
    if verdict == "unreadable":
        return f"encode the videos as H.264; {_UNAFFECTED}"
    advice = f"set video_backend: {'torchcodec' if backend == 'decord' else 'decord'} in the sweep"
    if known_backend_fault(backend, isaac_commit):
        advice += f", or train with a commit of Isaac-GR00T that has {FIX_COMMIT[:7]} (2025-09-18)"
    elif verdict == "shifted" and backend != "decord":
        advice += f", which takes the nearest frame: {backend} takes the last one that is not "
        advice += "after the timestamp"
    return f"{advice}; {_UNAFFECTED}"
