from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.finding import Collector
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.dataset_check import check_stored_dataset
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.lerobot.features import Camera, Feature, parse_features
from gr00t_assets.datasets.lerobot.folder import FAULTS
from gr00t_assets.datasets.sources.versions import (
    DatasetRecord,
    content_hash,
    load_record,
    save_record,
)
from gr00t_assets.modality.config import load_modality_config
from gr00t_assets.modality.data_config import data_configs, is_built_in

NAME = "robot_sim.PickNPlace"


def _entry(data_config: str) -> CatalogEntry:
    return CatalogEntry.model_construct(name=NAME, data_config=data_config, embodiment_tag="gr1")


@pytest.fixture
def store(demo_dataset: Path, tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    version = content_hash(demo_dataset)
    target = store.dataset_directory(NAME, version)
    target.parent.mkdir(parents=True)
    target.symlink_to(demo_dataset)
    camera = Camera(
        original_key="observation.images.ego_view", height=256, width=256, fps=20.0, codec="h264"
    )
    save_record(
        DatasetRecord(
            name=NAME,
            version=version,
            source="a folder",
            revision=None,
            codebase_version="v2.0",
            robot_type="GR1ArmsOnly",
            episodes=5,
            frames=2096,
            fps=20.0,
            cameras=(camera,),
            tasks=(),
            size_bytes=1,
        ),
        store,
    )
    return store


def test_a_valid_config_is_kept_and_read_back(store: Store) -> None:
    config = build_modality_config(_entry("fourier_gr1_arms_only"), store)
    assert load_modality_config(NAME, store) == config
    assert config.dataset_version == load_record(NAME, store).version
    late = [line for line in config.warnings if "the first row is at 0.05 s" in line]
    assert len(late) == 5 and "row i gets frame i+1" in late[0]


def test_the_other_eleven_are_refused_with_the_one_that_fits(store: Store) -> None:
    record = load_record(NAME, store)
    others = [name for name in data_configs() if is_built_in(name)]
    others.remove("fourier_gr1_arms_only")
    assert len(others) == 11
    for name in others:
        missing = check_stored_dataset(record, store, name, "gr1").errors[0]
        assert missing.code == "config-key"
        assert missing.remedy == "choose a data config that fits: fourier_gr1_arms_only"


def test_a_failure_removes_the_config_of_before(store: Store) -> None:
    build_modality_config(_entry("fourier_gr1_arms_only"), store)
    with pytest.raises(DatasetError, match="camera 'front' is not in this dataset"):
        build_modality_config(_entry("so100_dualcam"), store)
    with pytest.raises(DatasetError, match="no validated modality config"):
        load_modality_config(NAME, store)


def test_a_dataset_that_is_not_in_the_store(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not in the store"):
        build_modality_config(_entry("fourier_gr1_arms_only"), Store(tmp_path))


def feature(**declaration: Any) -> Feature:
    return parse_features(Collector(FAULTS), {"front": {"dtype": "video", **declaration}})["front"]


def test_the_order_of_names_is_followed() -> None:
    camera = Camera.declared(
        feature(
            shape=[3, 480, 640],
            names=["channels", "height", "width"],
            info={"video.fps": 30.0, "video.codec": "av1"},
        ),
        20.0,
    )
    assert (camera.height, camera.width, camera.fps, camera.codec) == (480, 640, 30.0, "av1")


def test_without_names_the_shape_is_height_width_channels() -> None:
    camera = Camera.declared(feature(shape=[480, 640, 3], names=None), 20.0)
    assert (camera.height, camera.width, camera.fps, camera.codec) == (480, 640, 20.0, "unknown")
