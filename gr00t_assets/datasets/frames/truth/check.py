"""Whether a video backend gives each row of a dataset the frame of its timestamp.

The truth is every frame decoded in order and the nearest one to the timestamp: what the frame cache
holds. The backend is asked for one timestamp at a time, as Isaac-GR00T's loader asks it.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frames import VideoError
from gr00t_assets.datasets.frames.truth.backends import (
    BACKENDS,
    Backend,
    backend_missing,
    video_backend,
)
from gr00t_assets.datasets.frames.truth.episode_frames import (
    CachedEpisode,
    DecodedEpisode,
    EpisodeFrames,
)
from gr00t_assets.datasets.frames.truth.remedies import remedy
from gr00t_assets.datasets.frames.truth.result import CameraTruth, FrameTruth, Verdict
from gr00t_assets.datasets.lerobot.lerobot import Episode, LeRobotDataset

SAMPLES = 8
"""Rows of an episode that a sampled check decodes."""

MOST_EPISODES = 16
"""Episodes that a sampled check looks at, evenly spread over the dataset."""


def check_frames(
    dataset: LeRobotDataset,
    cache: FrameCache | None,
    cameras: Sequence[str],
    backend: str = "frame_cache",
    samples_per_episode: int | None = SAMPLES,
    most_episodes: int | None = MOST_EPISODES,
    isaac_commit: str | None = None,
    checkout: Path | None = None,
) -> FrameTruth:
    """Decode rows with a backend and compare them with the frames that they should get.

    Args:
        dataset: The dataset.
        cache: Its frame cache. Without one the episodes are decoded in order here.
        cameras: Feature names of cameras.
        backend: One of :data:`BACKENDS`. ``frame_cache`` is compared with a decoding of its own.
        samples_per_episode: Rows of an episode, one drawn from each of as many equal parts of it,
            the same ones every time; None for all.
        most_episodes: Episodes, evenly spread; None for all.
        isaac_commit: Commit of Isaac-GR00T that trains, which decides what ``torchvision_av``
            does; one that is not known is taken to have the fault of June.
        checkout: Clone of Isaac-GR00T that has the commit.

    Raises:
        DatasetError: The backend's name is unknown, or the dataset's rows cannot be read.
    """
    if backend not in BACKENDS:
        hint = did_you_mean(backend, BACKENDS)
        raise DatasetError(dataset.name, f"there is no video backend '{backend}'.", [hint])
    episodes = _spread(dataset.episodes, most_episodes)
    if backend == "frame_cache" and cache is None:
        missing = "there is no frame cache yet"
    else:
        package = backend_missing(backend)
        missing = f"{package} is not installed here" if package else None
    if missing:
        found = [CameraTruth(camera=key, verdict="unchecked", problem=missing) for key in cameras]
    else:
        check = _Check(dataset, cache, backend, samples_per_episode)
        if backend != "frame_cache":
            check.backend = video_backend(backend, isaac_commit, checkout)
        found = [check.camera(camera, episodes) for camera in cameras]
    truth = FrameTruth(
        dataset=dataset.name,
        backend=backend,
        isaac_commit=isaac_commit if backend != "frame_cache" else None,
        episodes=len(episodes),
        all_rows=samples_per_episode is None and len(episodes) == len(dataset.episodes),
        cameras=tuple(found),
    )
    action = None if truth.verified else remedy(truth.verdict, backend, isaac_commit, checkout)
    return truth.model_copy(update={"remedy": action})


@dataclass
class _Tally:
    """Counts of one camera."""

    rows: int = 0
    wrong_by_timestamp: int = 0
    wrong_by_index: int = 0
    unidentified: int = 0
    lateness: list[int] = field(default_factory=list)
    moves: Counter[int] = field(default_factory=Counter)

    def result(self, camera: str, problem: str | None) -> CameraTruth:
        late = np.abs(self.lateness) if self.lateness else np.zeros(1)
        verdict: Verdict = "exact"
        if problem:
            verdict = "unreadable"
        elif self.wrong_by_timestamp:
            verdict = "wrong" if self.unidentified or late.max() > 1 else "shifted"
        return CameraTruth(
            camera=camera,
            rows=self.rows,
            wrong_by_timestamp=self.wrong_by_timestamp,
            wrong_by_index=self.wrong_by_index,
            unidentified=self.unidentified,
            mean_lateness=float(late.mean()),
            max_lateness=int(late.max()),
            moved_rows=self.moves.total(),
            move=self.moves.most_common(1)[0][0] if self.moves else 0,
            verdict=verdict,
            problem=problem,
        )


@dataclass
class _Check:
    dataset: LeRobotDataset
    cache: FrameCache | None
    name: str
    samples: int | None
    backend: Backend | None = None

    def camera(self, camera: str, episodes: Sequence[Episode]) -> CameraTruth:
        """Compare until the first row that the backend cannot read: a trainer stops there too."""
        tally = _Tally()
        for episode in episodes:
            path = self.dataset.video_path(episode.index, camera)
            try:
                self._episode(tally, episode, camera, path)
            except VideoError as error:
                shown = path.relative_to(self.dataset.directory)
                return tally.result(camera, f"{shown}: {error}")
        return tally.result(camera, None)

    def _episode(self, tally: _Tally, episode: Episode, camera: str, path: Path) -> None:
        timestamps = self.dataset.timestamps(episode.index)
        if not np.isfinite(timestamps).all():
            shown = self.dataset.parquet_path(episode.index).relative_to(self.dataset.directory)
            problem = f"{shown}: some timestamps are not finite numbers."
            raise DatasetError(self.dataset.name, problem, ["record or repair them first"])
        truth: EpisodeFrames | None = None
        for row in self._rows(len(timestamps), episode.index):
            image = self._image(episode.index, camera, path, timestamps[[row]])
            if truth is None:
                truth = self._truth(episode.index, camera, path, image)
                expected = truth.positions(timestamps)
            self._compare(tally, truth, image, int(expected[row]), min(row, truth.count - 1))

    def _rows(self, length: int, episode: int) -> Iterator[int]:
        if self.samples is None or self.samples >= length:
            yield from range(length)
            return
        borders = np.linspace(0, length, self.samples + 1).astype(int)
        random = np.random.default_rng(episode)
        for start, end in pairwise(borders):
            yield int(random.integers(start, end))

    def _image(self, episode: int, camera: str, path: Path, timestamp: np.ndarray) -> np.ndarray:
        if self.backend is not None:
            return self.backend(path, timestamp)[0]
        assert self.cache is not None
        return self.cache.frame(episode, camera, float(timestamp[0]))

    def _truth(self, episode: int, camera: str, path: Path, image: np.ndarray) -> EpisodeFrames:
        """The cache's frames where they are of the image's size; else a decoding in order."""
        if self.cache is not None and self.cache.size is None and self.backend is not None:
            cached = CachedEpisode(self.cache, episode, camera)
            if cached.frame(0).shape == image.shape:
                return cached
        return DecodedEpisode(path)

    @staticmethod
    def _compare(
        tally: _Tally, truth: EpisodeFrames, image: np.ndarray, expected: int, own: int
    ) -> None:
        tally.rows += 1
        if expected != own:
            tally.moves[expected - own] += 1
        if truth.is_frame(image, expected):
            tally.wrong_by_index += expected != own and not truth.is_frame(image, own)
            return
        found = truth.find(image, near=expected)
        if found is None:
            tally.unidentified += 1
            tally.wrong_by_timestamp += 1
            tally.wrong_by_index += 1
            return
        if found != expected:
            tally.wrong_by_timestamp += 1
            tally.lateness.append(expected - found)
        if found != own:
            tally.wrong_by_index += truth.find(image, near=own) != own


def _spread(episodes: Sequence[Episode], most: int | None) -> list[Episode]:
    if most is None or most >= len(episodes):
        return list(episodes)
    chosen = np.linspace(0, len(episodes) - 1, most).round().astype(int)
    return [episodes[index] for index in dict.fromkeys(chosen.tolist())]
