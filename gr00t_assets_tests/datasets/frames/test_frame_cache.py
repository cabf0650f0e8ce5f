import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.videos import decode, nearest_rows, write_video

EGO = "observation.images.ego_view"


@pytest.fixture(scope="module")
def demo_cache(demo_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("cache") / "demo" / "version"
    build_frame_cache(LeRobotDataset.open(demo_dataset), [EGO], directory)
    return directory


def test_frames_are_those_that_nvidia_finds(
    parity_dataset: Path, parity_data: Path, tmp_path: Path
) -> None:
    dataset = LeRobotDataset.open(parity_dataset)
    build_frame_cache(dataset, [EGO], tmp_path / "parity" / "v1")
    cache = FrameCache.open(tmp_path / "parity" / "v1")
    samples = json.loads((parity_data / "samples.json").read_text())
    for sample in samples:
        episode = sample["episode_index"]
        timestamp = float(dataset.timestamps(episode)[sample["frame_index"]])
        frame = cache.frame(episode, EGO, timestamp)
        digest = hashlib.sha256(frame.tobytes()).hexdigest()
        assert digest == sample["frame_sha256"]["video.ego_view"]
    assert len(samples) in (3, 20)


def test_rows_of_the_demonstrations_get_the_frame_after_their_own(
    demo_dataset: Path, demo_cache: Path
) -> None:
    dataset, cache = LeRobotDataset.open(demo_dataset), FrameCache.open(demo_cache)
    first = 0
    for episode in dataset.episodes:
        rows = cache.rows(episode.index, EGO, dataset.timestamps(episode.index))
        expected = np.minimum(np.arange(episode.length) + 1, episode.length - 1)
        np.testing.assert_array_equal(rows, first + expected)
        first += episode.length


def test_the_nearest_time_is_found_as_by_comparing_all() -> None:
    random = np.random.default_rng(0)
    shown = np.arange(300) / 30
    asked = np.concatenate([random.uniform(-1, 12, 2000), shown, shown + 0.5 / 32])
    quarters = np.arange(200) / 4
    for times, wanted in ((shown, asked), (quarters, quarters + 0.125), (shown[:1], asked)):
        expected = np.abs(times[None, :] - wanted[:, None]).argmin(axis=1)
        np.testing.assert_array_equal(nearest_rows(times, wanted), expected)


def test_a_cache_that_is_there_is_not_made_again(small_dataset: Path, tmp_path: Path) -> None:
    dataset, directory = LeRobotDataset.open(small_dataset), tmp_path / "small" / "version"
    told: list[tuple[int, int]] = []
    info = build_frame_cache(dataset, [EGO], directory, lambda *done: told.append(done))
    assert told[-1] == (dataset.frame_count, dataset.frame_count)
    assert info.cameras == {EGO: (dataset.frame_count, 96, 96)}
    assert info.size_bytes == dataset.frame_count * 96 * 96 * 3
    told.clear()
    assert build_frame_cache(dataset, [EGO], directory, lambda *done: told.append(done)) == info
    assert told == []
    mapped = np.load(directory / EGO / "frames.npy", mmap_mode="r")
    _, second = list(decode(dataset.video_path(0, EGO)))[1]
    np.testing.assert_array_equal(mapped[1], second)


def test_a_damaged_cache_is_named_and_made_again(small_dataset: Path, tmp_path: Path) -> None:
    dataset, directory = LeRobotDataset.open(small_dataset), tmp_path / "small" / "version"
    build_frame_cache(dataset, [EGO], directory)
    frames = directory / EGO / "frames.npy"
    frames.write_bytes(frames.read_bytes()[:-1000])
    with pytest.raises(DatasetError, match="frame cache is damaged"):
        FrameCache.open(directory)
    build_frame_cache(dataset, [EGO], directory)
    assert FrameCache.open(directory).frame(1, EGO, 0.0).shape == (96, 96, 3)


def test_videos_that_do_not_fit_are_all_listed_and_leave_nothing(
    spoilt: Path, tmp_path: Path
) -> None:
    dataset, directory = LeRobotDataset.open(spoilt), tmp_path / "cache" / "version"
    grey = (np.full((96, 96, 3), level, np.uint8) for level in range(30))
    write_video(dataset.video_path(0, EGO), grey, 20)
    path = dataset.video_path(1, EGO)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DatasetError) as caught:
        build_frame_cache(dataset, [EGO], directory)
    first, second = caught.value.details
    assert "episode_000000.mp4: has 30 frames, episode 0 has" in first
    assert "episode_000001.mp4: " in second
    assert not any(directory.iterdir())
    with pytest.raises(DatasetError, match="no frame cache"):
        FrameCache.open(directory)


def test_frames_of_different_sizes_are_refused(spoilt: Path, tmp_path: Path) -> None:
    dataset = LeRobotDataset.open(spoilt)
    length = dataset.episodes[1].length
    wide = (np.zeros((96, 128, 3), np.uint8) for _ in range(length))
    write_video(dataset.video_path(1, EGO), wide, 20)
    with pytest.raises(DatasetError, match=r"frame 0 is 128 x 96, others of .* are 96 x 96"):
        build_frame_cache(dataset, [EGO], tmp_path / "cache" / "version")


def test_a_camera_or_episode_that_is_not_there(small_dataset: Path, tmp_path: Path) -> None:
    dataset, directory = LeRobotDataset.open(small_dataset), tmp_path / "small" / "version"
    with pytest.raises(DatasetError, match=r"no frames of observation\.images\.wrist"):
        build_frame_cache(dataset, ["observation.images.wrist"], directory)
    build_frame_cache(dataset, [EGO], directory)
    with pytest.raises(DatasetError, match="no episode 7 of camera"):
        FrameCache.open(directory).rows(7, EGO, np.array([0.0]))


def test_a_changed_frame_is_refused_and_its_camera_made_again(
    small_dataset: Path, tmp_path: Path
) -> None:
    dataset, directory = LeRobotDataset.open(small_dataset), tmp_path / "small" / "version"
    build_frame_cache(dataset, [EGO], directory)
    frames = directory / EGO / "frames.npy"
    sound = frames.read_bytes()
    stored = np.load(frames, mmap_mode="r+")
    stored[45] += 1
    stored.flush()
    cache = FrameCache.open(directory)
    assert (cache.frames(EGO, np.array([44])) == np.load(frames, mmap_mode="r")[44]).all()
    row = 45 - dataset.episodes[0].length
    with pytest.raises(DatasetError, match=f"frame {row} of episode 1 is not as it was decoded"):
        cache.frames(EGO, np.array([44, 45]))
    with pytest.raises(DatasetError, match="frame cache is damaged"):
        cache.sample(10)
    assert build_frame_cache(dataset, [EGO], directory).decoded == 2
    assert frames.read_bytes() == sound
    assert FrameCache.open(directory).sample(10) == []


def test_a_cache_without_checksums_is_read_as_it_is(small_dataset: Path, tmp_path: Path) -> None:
    dataset, directory = LeRobotDataset.open(small_dataset), tmp_path / "small" / "version"
    build_frame_cache(dataset, [EGO], directory)
    (directory / EGO / "checksums.json").unlink()
    assert build_frame_cache(dataset, [EGO], directory).decoded == 0
    cache = FrameCache.open(directory)
    assert cache.frames(EGO, np.arange(3)).shape == (3, 96, 96, 3)
    assert cache.sample(1) == [EGO]


def test_damaged_frames_of_another_version_are_not_copied(
    small_dataset: Path, tmp_path: Path
) -> None:
    dataset, caches = LeRobotDataset.open(small_dataset), tmp_path / "small"
    build_frame_cache(dataset, [EGO], caches / "v1")
    stored = np.load(caches / "v1" / EGO / "frames.npy", mmap_mode="r+")
    sound = np.array(stored)
    stored[45] += 1
    stored.flush()
    info = build_frame_cache(dataset, [EGO], caches / "v2", previous=[caches / "v1"])
    assert (info.decoded, info.reused) == (1, 1)
    assert (np.load(caches / "v2" / EGO / "frames.npy") == sound).all()
