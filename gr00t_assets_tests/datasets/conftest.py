"""A small synthetic dataset that tests may copy and spoil."""

import shutil
from pathlib import Path

import pytest

from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets.datasets.synthetic.spec import SyntheticSpec
from gr00t_assets.project import Store

SMALL = SyntheticSpec(episodes=2, min_frames=40, max_frames=44, width=96, height=96)


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("datasets") / "small"
    generate(SMALL, directory)
    return directory


@pytest.fixture
def spoilt(small_dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_dataset, tmp_path / "spoilt"))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("GR00T_ASSETS_DATASETS", raising=False)
    return Store(tmp_path / "store")


def entry_of(source: object, name: str = "demo") -> CatalogEntry:
    return CatalogEntry.model_validate(
        {
            "name": name,
            "description": "a test",
            "source": source,
            "data_config": "fourier_gr1_arms_only",
        }
    )
