import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.frames.frame_check import check_frames
from gr00t_assets.datasets.frames.video_backends import (
    backend_missing,
    known_backend_fault,
    video_backend,
)
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.recorded_frames import DecodedEpisode, VideoFrames
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.videos import decode, write_video
from gr00t_assets.modality.frame_check_result import load_frame_check, save_frame_check
from gr00t_assets_tests.datasets.videos import encode

JUNE = "5e3ef5ef9a89b647f11490d749b0049ae2796b94"
OCTOBER = "a86e9159a7e6acf771479007a79d4aeaa408c4c0"
Cached = tuple[LeRobotDataset, FrameCache]
EGO = "observation.images.ego_view"


def cached(directory: Path, folder: Path) -> Cached:
    dataset = LeRobotDataset.open(directory)
    build_frame_cache(dataset, dataset.cameras, folder, workers=1)
    return dataset, FrameCache.open(folder)


@pytest.fixture(scope="module")
def demo(demo_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Cached:
    return cached(demo_dataset, tmp_path_factory.mktemp("demo") / "cache")


@pytest.fixture
def small(small_dataset: Path, tmp_path: Path) -> Cached:
    return cached(small_dataset, tmp_path / "small" / "cache")


def test_june_feeds_the_demo_key_frames(demo: Cached) -> None:
    dataset, cache = demo
    result = check_frames(dataset, cache, [EGO], "torchvision_av", all_rows=True, isaac_commit=JUNE)
    assert (result.rows, result.all_rows) == (2096, True)
    assert (result.cameras[0].wrong_by_timestamp, result.cameras[0].wrong_by_index) == (2091, 2086)
    assert round(result.cameras[0].mean_lateness) == 112
    assert result.cameras[0].max_lateness == 249
    assert (result.verdict, result.verified) == ("wrong", False)
    assert "gives 2091 of 2096 rows a wrong frame by timestamp" in result.sentence()
    assert "video_backend: decord" in result.warnings()[0]
    assert "cdf6d6e" in (result.remedy or "")


def test_the_demo_has_its_timestamps_one_frame_late(demo: Cached) -> None:
    result = check_frames(*demo, [EGO], all_rows=True)
    assert result.verified
    assert (result.cameras[0].wrong_by_timestamp, result.cameras[0].wrong_by_index) == (0, 2091)
    (warning,) = result.warnings()
    assert "timestamps of 2091 of 2096 rows" in warning
    assert "row i has the time of frame i+1" in warning


def test_october_takes_the_frame_before_a_rounded_timestamp(demo: Cached) -> None:
    result = check_frames(*demo, [EGO], "torchvision_av", isaac_commit=OCTOBER)
    assert (result.verdict, result.cameras[0].wrong_by_index, result.cameras[0].max_lateness) == (
        "shifted",
        0,
        1,
    )
    assert result.cameras[0].wrong_by_timestamp == result.rows == 40
    assert "the last one that is not after the timestamp" in (result.remedy or "")


def test_october_is_exact_on_exact_timestamps(small: Cached) -> None:
    result = check_frames(*small, [EGO], "torchvision_av", True, isaac_commit=OCTOBER)
    assert (result.verdict, result.all_rows, result.cameras[0].wrong_by_index) == ("exact", True, 0)
    assert result.warnings() == []
    assert result.remedy is None


def test_float32_timestamps_are_caught(tmp_path: Path) -> None:
    spec = SyntheticSource(
        robot="so101", episodes=1, min_frames=40, max_frames=40, width=64, height=64
    )
    generate(spec, tmp_path / "so101")
    dataset = LeRobotDataset.open(tmp_path / "so101")
    cameras = dataset.cameras
    result = check_frames(dataset, None, cameras, "torchvision_av", True, isaac_commit=OCTOBER)
    assert result.verdict == "shifted"
    assert len(result.cameras) == 2
    assert 0 < sum(camera.wrong_by_timestamp for camera in result.cameras) < result.rows == 80


def test_the_cache_is_not_needed(small_dataset: Path, small: Cached) -> None:
    with_cache = check_frames(*small, [EGO], "torchvision_av", isaac_commit=JUNE)
    dataset = LeRobotDataset.open(small_dataset)
    without = check_frames(dataset, None, [EGO], "torchvision_av", isaac_commit=JUNE)
    assert with_cache == without
    assert with_cache.verdict == "wrong"


def test_a_commit_that_is_not_known_is_taken_for_june(small: Cached) -> None:
    result = check_frames(*small, [EGO], "torchvision_av")
    assert result.verdict == "wrong"
    assert known_backend_fault("torchvision_av", None) is not None
    assert known_backend_fault("decord", None) is None


def test_frames_that_changed_in_the_cache(small: Cached, tmp_path: Path) -> None:
    dataset, _ = small
    frames = next((tmp_path / "small").rglob("frames.npy"))
    frames.with_name("checksums.json").unlink()
    stored = np.load(frames, mmap_mode="r+")
    stored[10], stored[20] = stored[20].copy(), stored[10].copy()
    stored.flush()
    cache = FrameCache.open(tmp_path / "small" / "cache")
    result = check_frames(dataset, cache, [EGO], all_rows=True)
    assert (
        result.verdict,
        result.cameras[0].wrong_by_timestamp,
        result.cameras[0].max_lateness,
    ) == ("wrong", 2, 10)
    assert "materialise frame_cache again" in (result.remedy or "")
    stored[10] = np.random.default_rng(0).integers(0, 255, stored[10].shape, dtype=np.uint8)
    stored.flush()
    result = check_frames(dataset, cache, [EGO], all_rows=True)
    assert result.cameras[0].unidentified == 1
    assert "1 are no frame of their episode" in result.sentence()


def test_a_resized_cache(small_dataset: Path, tmp_path: Path) -> None:
    dataset = LeRobotDataset.open(small_dataset)
    build_frame_cache(dataset, [EGO], tmp_path / "cache", size=(48, 48), workers=1)
    cache = FrameCache.open(tmp_path / "cache", size=(48, 48))
    assert check_frames(dataset, cache, [EGO]).verdict == "exact"
    june = check_frames(dataset, cache, [EGO], "torchvision_av", isaac_commit=JUNE)
    assert june.verdict == "wrong"


def test_a_damaged_video_is_copied_again(spoilt: Path) -> None:
    dataset = LeRobotDataset.open(spoilt)
    path = dataset.video_path(1, EGO)
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    result = check_frames(dataset, None, [EGO], "torchvision_av", isaac_commit=OCTOBER)
    assert (result.verdict, result.verified) == ("unreadable", False)
    assert str(path.relative_to(spoilt)) in result.sentence()
    assert result.remedy == "the video is truncated or damaged: copy or download it again"
    path.write_bytes(whole)
    assert check_frames(dataset, None, [EGO], "torchvision_av", isaac_commit=OCTOBER).verified


def test_a_codec_that_a_backend_lacks_is_encoded_as_h264(spoilt: Path) -> None:
    pytest.importorskip("decord")
    dataset = LeRobotDataset.open(spoilt)
    path = dataset.video_path(1, EGO)
    frames = [frame for _, frame in decode(path) if frame is not None]
    encode(path, iter(frames), "av1")
    result = check_frames(dataset, None, [EGO], "decord")
    assert result.verdict == "unreadable"
    assert (result.remedy or "").startswith("encode the videos as H.264;")
    write_video(path, iter(frames), dataset.fps)
    assert check_frames(dataset, None, [EGO], "decord").verdict != "unreadable"


def test_identical_frames_are_not_told_apart(spoilt: Path) -> None:
    dataset = LeRobotDataset.open(spoilt)
    for episode in dataset.episodes:
        still = np.full((96, 96, 3), 90, dtype=np.uint8)
        write_video(dataset.video_path(episode.index, EGO), iter([still] * episode.length), 20)
    result = check_frames(dataset, None, [EGO], "torchvision_av", isaac_commit=JUNE)
    assert result.verdict == "exact"


def test_frames_in_the_colours_of_another_decoder(small: Cached) -> None:
    path = small[0].video_path(0, EGO)
    episode = DecodedEpisode(VideoFrames(path))
    frames = [frame for _, frame in decode(path) if frame is not None]
    assert len(episode.times) == len(frames)
    for position in (0, 25, len(frames) - 1):
        other = np.clip(frames[position].astype(int) + 3, 0, 255).astype(np.uint8)
        assert episode.find(other, near=position) == position
    assert episode.find(frames[0] // 4, near=0) is None


def test_june_gives_the_key_frame_and_october_the_frame_before(small_dataset: Path) -> None:
    path = LeRobotDataset.open(small_dataset).video_path(0, EGO)
    frames = [frame for _, frame in decode(path) if frame is not None]
    for commit, timestamps in ((JUNE, {1.02: 0, 1.05: 0}), (OCTOBER, {1.02: 20, 1.06: 21})):
        backend = video_backend("torchvision_av", commit)
        for timestamp, position in timestamps.items():
            assert np.array_equal(backend(path, timestamp), frames[position])


def test_a_backend_that_is_not_installed(small: Cached) -> None:
    name = next((name for name in ("decord", "torchcodec") if backend_missing(name)), None)
    if name is None:
        pytest.skip("decord and torchcodec are installed")
    result = check_frames(*small, [EGO], name)
    assert (result.verdict, result.verified, result.rows) == ("unchecked", False, 0)
    assert f"{name} is not installed here" in result.warnings()[0]


def test_no_cache_to_check(small_dataset: Path) -> None:
    result = check_frames(LeRobotDataset.open(small_dataset), None, [EGO])
    assert (result.verdict, result.remedy) == ("unchecked", "materialise frame_cache")


def test_an_unknown_backend(small: Cached) -> None:
    with pytest.raises(DatasetError, match="decord"):
        check_frames(*small, [EGO], "decor")


def test_the_sample_is_spread_and_always_the_same(small: Cached) -> None:
    first = check_frames(*small, [EGO])
    assert first == check_frames(*small, [EGO])
    count = len(small[0].episodes)
    assert (first.rows, first.episodes, first.all_rows) == (8 * count, count, False)


def test_results_are_kept(small: Cached, tmp_path: Path) -> None:
    result = check_frames(*small, [EGO], "torchvision_av", isaac_commit=JUNE)
    path = tmp_path / "frames" / "result.json"
    assert load_frame_check(path) is None
    save_frame_check(result, path)
    assert load_frame_check(path) == result
    path.write_text("{}")
    with pytest.raises(DatasetError, match="not the result of a frame check"):
        load_frame_check(path)


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_source_of_a_checkout_decides(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(text: str) -> str:
        file = tmp_path / "gr00t" / "utils" / "video.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        git("add", ".")
        git("commit", "-qm", "x")
        return git("rev-parse", "HEAD")

    git("init", "-q")
    faulty = commit("            if len(loaded_frames) >= len(timestamps):\n")
    mended = commit("pass\n")
    assert known_backend_fault("torchvision_av", mended, tmp_path) is None
    assert "this commit is" in (known_backend_fault("torchvision_av", faulty, tmp_path) or "")
    assert "could not be placed" in (known_backend_fault("torchvision_av", mended) or "")
    assert "could not be placed" in (known_backend_fault("torchvision_av", "--all", tmp_path) or "")
