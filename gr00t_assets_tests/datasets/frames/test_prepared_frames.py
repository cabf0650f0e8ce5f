"""Frames that are cropped and resized once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.fit.modality_configs import resolve_modality_config
from gr00t_assets.datasets.frames import frame_cache
from gr00t_assets.datasets.frames.frame_cache import FrameCache, PreparedFrames
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.frames.frame_index import frame_cache_info
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.modality.camera_images import ImageRecipe
from gr00t_assets.modality.config import ModalityConfig
from gr00t_assets_tests.modality.image_reference import prepare_image

Made = tuple[LeRobotDataset, ModalityConfig, Path]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    fields = {"episodes": 2, "min_frames": 40, "max_frames": 44, "width": 80, "height": 64}
    generate(SyntheticSource.model_validate(fields), tmp_path / "source")
    dataset = LeRobotDataset.open(tmp_path / "source")
    config = resolve_modality_config(dataset, "small", "v1", "fourier_gr1_arms_only", "gr1")
    directory = tmp_path / "small" / "v1"
    build_frame_cache(dataset, dataset.cameras, directory)
    return dataset, config, directory


def made_anew(directory: Path, config: ModalityConfig, size: int) -> bool:
    """Whether opening the prepared frames writes a folder."""
    before = {path.stat().st_mtime_ns for path in directory.glob(".prepared-*")}
    PreparedFrames.open(directory, config, ImageRecipe(size))
    return {path.stat().st_mtime_ns for path in directory.glob(".prepared-*")} != before


def test_they_are_the_caches_frames_prepared(made: Made) -> None:
    dataset, config, directory = made
    prepared = PreparedFrames.open(directory, config, ImageRecipe(28))
    cache, camera = FrameCache.open(directory), dataset.cameras[0]
    rows = np.random.default_rng(0).integers(0, dataset.frame_count, 60)
    expected = prepare_image(cache.frames(camera, rows), 28, config.crop_scale)
    np.testing.assert_array_equal(prepared.frames(camera, rows), expected)
    times = dataset.timestamps(1)
    np.testing.assert_array_equal(prepared.rows(1, camera, times), cache.rows(1, camera, times))


def test_they_are_made_once_for_each_size_and_crop(made: Made) -> None:
    _, config, directory = made
    before = frame_cache_info(directory)
    assert made_anew(directory, config, 28)
    assert not made_anew(directory, config, 28)
    assert made_anew(directory, config, 32)
    assert made_anew(directory, config.model_copy(update={"crop_scale": 0.8}), 28)
    assert frame_cache_info(directory) == before, "the frame cache does not count them"


@pytest.mark.parametrize("kind", [FrameCache, PreparedFrames])
def test_a_camera_that_the_frame_cache_lacks_is_to_be_decoded(kind: type, made: Made) -> None:
    dataset, config, directory = made
    other = config.video[0].model_copy(update={"original_key": "observation.images.wrist"})
    with pytest.raises(DatasetError) as caught:
        if kind is PreparedFrames:
            both = config.model_copy(update={"video": (*config.video, other)})
            PreparedFrames.open(directory, both, ImageRecipe(28))
        FrameCache.open(directory).rows(0, other.original_key, dataset.timestamps(0))
    assert "has no camera observation.images.wrist" in str(caught.value)
    assert "--select frame_cache --partition small" in str(caught.value)


def test_a_frame_cache_with_another_index_is_prepared_anew(made: Made) -> None:
    dataset, config, directory = made
    PreparedFrames.open(directory, config, ImageRecipe(28))
    index = directory / dataset.cameras[0] / "index.json"
    index.with_name("checksums.json").unlink()
    index.write_text(index.read_text() + "\n")
    assert made_anew(directory, config, 28)


def test_damaged_ones_are_made_anew(made: Made) -> None:
    dataset, config, directory = made
    camera, rows = dataset.cameras[0], np.arange(dataset.frame_count)
    sound = PreparedFrames.open(directory, config, ImageRecipe(28)).frames(camera, rows)
    file = next(directory.glob(f".prepared-*/{camera}.npy"))
    content = file.read_bytes()
    file.write_bytes(content[:-5000] + bytes(5000))
    anew = PreparedFrames.open(directory, config, ImageRecipe(28))
    assert file.read_bytes() == content
    np.testing.assert_array_equal(anew.frames(camera, rows), sound)
    with file.open("r+b") as opened:
        opened.seek(len(content) - 5000)
        opened.write(bytes(5000))
    np.testing.assert_array_equal(anew.frames(camera, rows), sound)
    file.with_suffix(".json").unlink()
    assert made_anew(directory, config, 28), "those of older versions have no checksums"


def test_damaged_ones_are_made_anew_once_by_several_processes(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, config, directory = made
    camera, rows = dataset.cameras[0], np.arange(dataset.frame_count)
    sound = PreparedFrames.open(directory, config, ImageRecipe(28)).frames(camera, rows)
    file = next(directory.glob(f".prepared-*/{camera}.npy"))
    file.write_bytes(file.read_bytes()[:-5000] + bytes(5000))
    both, look = threading.Barrier(2), frame_cache.damaged_prepared
    looks: list[bool] = []

    def look_at_once(*arguments: Any) -> bool:
        damaged = look(*arguments)
        looks.append(damaged)
        if len(looks) <= 2:
            both.wait(60)
        return damaged

    monkeypatch.setattr(frame_cache, "damaged_prepared", look_at_once)
    with ThreadPoolExecutor() as pool:
        opening = [
            pool.submit(PreparedFrames.open, directory, config, ImageRecipe(28)) for _ in range(2)
        ]
        for opened in opening:
            np.testing.assert_array_equal(opened.result().frames(camera, rows), sound)
    assert looks == [True, True, True, False]


def test_a_failure_leaves_nothing(made: Made) -> None:
    dataset, config, directory = made
    array = directory / dataset.cameras[0] / "frames.npy"
    with array.open("r+b") as opened:
        opened.seek(-100, 2)
        opened.write(bytes(range(100)))
    with pytest.raises(DatasetError, match="is not as it was decoded"):
        PreparedFrames.open(directory, config, ImageRecipe(28))
    assert not list(directory.glob(".*prepared*"))
