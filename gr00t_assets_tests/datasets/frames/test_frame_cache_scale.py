"""The frame cache with the codecs, cameras, sizes and growth of real datasets."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gr00t_assets.core.errors import DatasetError, StoreError
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache, earlier_caches
from gr00t_assets.datasets.videos import decode
from gr00t_assets_tests.datasets.videos import (
    ENCODERS,
    FPS,
    codec_of,
    content,
    encode,
    encoded_dataset,
    moving,
    video_dataset,
)

TWO_CAMERAS = {"front": (640, 480), "wrist": (1280, 720)}
ONE_CAMERA = {"front": (160, 120)}


@pytest.mark.parametrize("codec", ENCODERS)
def test_every_codec_is_cached_frame_by_frame(codec: str, tmp_path: Path) -> None:
    dataset = encoded_dataset(tmp_path / "data", [9, 5], TWO_CAMERAS, codec)
    assert codec_of(dataset.video_path(0, "wrist")) == codec
    info = build_frame_cache(dataset, dataset.cameras, tmp_path / "cache" / "version")
    assert info.cameras == {"front": (14, 480, 640), "wrist": (14, 720, 1280)}
    assert info.decoded == 4
    cache = FrameCache.open(tmp_path / "cache" / "version")
    for camera in dataset.cameras:
        for episode in dataset.episodes:
            pictures = moving(episode.length, TWO_CAMERAS[camera], _seed(camera, episode.index))
            shown = cache.timestamps(episode.index, camera)
            np.testing.assert_allclose(shown, np.arange(episode.length) / FPS, atol=1e-4)
            for (_, frame), drawn, time in zip(
                decode(dataset.video_path(episode.index, camera)), pictures, shown, strict=True
            ):
                assert frame is not None
                np.testing.assert_array_equal(cache.frame(episode.index, camera, time), frame)
                assert np.abs(frame.astype(int) - drawn).mean() < 25


def _seed(camera: str, episode: int) -> int:
    return 1000 * list(TWO_CAMERAS).index(camera) + episode


def test_workers_change_nothing_in_the_files(tmp_path: Path) -> None:
    dataset = encoded_dataset(tmp_path / "data", [31, 5, 17, 2, 40, 9, 3, 12], ONE_CAMERA)
    for workers in (1, 2, 5):
        directory = tmp_path / f"cache{workers}" / "version"
        build_frame_cache(dataset, dataset.cameras, directory, workers=workers)
    assert content(tmp_path / "cache2/version") == content(tmp_path / "cache1/version")
    assert content(tmp_path / "cache5/version") == content(tmp_path / "cache1/version")


def test_a_chosen_size_has_frames_of_its_own(tmp_path: Path) -> None:
    dataset, directory = encoded_dataset(tmp_path / "data", [4, 3], ONE_CAMERA), tmp_path / "c/v"
    build_frame_cache(dataset, ["front"], directory, size=(64, 48))
    with pytest.raises(DatasetError, match="has no frame cache"):
        FrameCache.open(directory)
    build_frame_cache(dataset, ["front"], directory)
    small, whole = FrameCache.open(directory, (64, 48)), FrameCache.open(directory)
    assert (small.size, whole.size) == ((64, 48), None)
    one, other = small.frame(1, "front", 2 / FPS), whole.frame(1, "front", 2 / FPS)
    assert (one.shape, other.shape) == ((48, 64, 3), (120, 160, 3))
    pixels = torch.from_numpy(other).permute(2, 0, 1)[None].float()
    wanted = torch.nn.functional.interpolate(pixels, (48, 64), mode="bilinear", antialias=True)
    difference = wanted[0].permute(1, 2, 0).numpy() - one
    assert np.abs(difference).max() <= 1


def test_frames_of_unchanged_videos_are_copied_when_a_dataset_grows(tmp_path: Path) -> None:
    old = encoded_dataset(tmp_path / "old", [20, 30, 10], ONE_CAMERA)
    new = video_dataset(tmp_path / "new", [25, 20, 30, 10, 15], ONE_CAMERA)
    for index in (0, 4):
        images = moving(new.episodes[index].length, ONE_CAMERA["front"], seed=70 + index)
        encode(new.video_path(index, "front"), images)
    for index in range(3):
        shutil.copy(old.video_path(index, "front"), new.video_path(index + 1, "front"))
    caches = tmp_path / "frame_caches" / "demo"
    build_frame_cache(old, ["front"], caches / "v1")
    assert earlier_caches(caches / "v2") == [caches / "v1"]
    info = build_frame_cache(new, ["front"], caches / "v2", previous=earlier_caches(caches / "v2"))
    assert (info.decoded, info.reused, info.kept) == (2, 3, 0)
    anew = build_frame_cache(new, ["front"], tmp_path / "anew" / "v2")
    assert (anew.decoded, anew.reused) == (5, 0)
    assert content(caches / "v2") == content(tmp_path / "anew" / "v2")
    sized = build_frame_cache(
        new, ["front"], caches / "v2", size=(32, 32), previous=[caches / "v1"]
    )
    assert sized.reused == 0


def test_frames_of_the_same_name_and_other_content_are_decoded(tmp_path: Path) -> None:
    old = encoded_dataset(tmp_path / "old", [6, 6], ONE_CAMERA)
    new = encoded_dataset(tmp_path / "new", [6, 6], ONE_CAMERA)
    encode(new.video_path(1, "front"), moving(6, ONE_CAMERA["front"], seed=9))
    build_frame_cache(old, ["front"], tmp_path / "demo" / "v1")
    info = build_frame_cache(
        new, ["front"], tmp_path / "demo" / "v2", previous=[tmp_path / "demo" / "v1"]
    )
    assert (info.decoded, info.reused) == (1, 1)
    frames = np.load(tmp_path / "demo" / "v2" / "front" / "frames.npy")
    for row, (_, frame) in enumerate(decode(new.video_path(1, "front"))):
        np.testing.assert_array_equal(frames[6 + row], frame)


def test_a_cache_that_no_disk_holds_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = encoded_dataset(tmp_path / "data", [5], ONE_CAMERA)
    vast = video_dataset(data.directory, [100_000_000_000], ONE_CAMERA)
    told: list[str] = []
    for name, size in (("whole", None), ("small", (16, 12))):
        build_frame_cache(data, ["front"], tmp_path / name / "v", size=size, log=told.append)
    assert told == [f"its frame cache takes {size}" for size in ("1.3 MB", "1.1 MB")]
    with pytest.raises(StoreError) as caught:
        build_frame_cache(vast, ["front"], tmp_path / "caches" / "demo" / "version")
    assert "its frame cache needs 5760.8 TB more, and the disk of" in str(caught.value)
    assert "front: 100000000000 frames of 160 x 120 x 3 bytes" in str(caught.value)
    assert "GR00T_ASSETS_STORE" in str(caught.value)
    assert not (tmp_path / "caches").exists()


def test_a_small_disk_is_refused_and_holds_what_fits(
    small_disk: Callable[[int], Path], tmp_path: Path
) -> None:
    disk = small_disk(6)
    large = encoded_dataset(tmp_path / "large", [60, 60], ONE_CAMERA)
    with pytest.raises(
        StoreError, match=r"needs 8\.0 MB more, and the disk of .* has 6\.3 MB free"
    ):
        build_frame_cache(large, ["front"], disk / "demo" / "version")
    assert not any(disk.iterdir())
    build_frame_cache(large, ["front"], disk / "demo" / "version", size=(80, 60))
    assert FrameCache.open(disk / "demo" / "version", (80, 60)).size == (80, 60)


MEASURED = """
import re, sys
from pathlib import Path
import numpy as np
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets_tests.datasets.videos import video_dataset
lengths, folder = [int(part) for part in sys.argv[1].split(",")], Path(sys.argv[2])
dataset = video_dataset(folder / "data", lengths, {"front": (1280, 720)})
info = build_frame_cache(dataset, ["front"], folder / "cache" / "version", workers=2)
cache = FrameCache.open(folder / "cache" / "version")
for row in np.random.default_rng(0).permutation(info.frames):
    cache.frames("front", np.array([row]))
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) // 1024, info.decoded, info.frames)
"""


def test_memory_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    short = encoded_dataset(tmp_path / "data", [60], {"front": (1280, 720)})
    for index in range(1, 8):
        copied = short.directory / str(short.info.own_file(index, "front"))
        shutil.copy(short.video_path(0, "front"), copied)
    peaks = []
    for episodes in (2, 8):
        command = [sys.executable, "-c", MEASURED, ",".join(["60"] * episodes), str(tmp_path)]
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        peak, decoded, frames = map(int, subprocess.check_output(command, text=True).split())
        assert (decoded, frames) == (episodes, 60 * episodes)
        peaks.append(peak)
    assert max(peaks) < 600
    assert peaks[1] < peaks[0] + 60
