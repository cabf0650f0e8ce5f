"""A dataset of v3.0 made by hand, and a copy to spoil."""

import shutil
from pathlib import Path

import pytest

from gr00t_assets_tests.datasets.lerobot.v3.hand_made import write_hand_made


@pytest.fixture(scope="session", name="good")
def good_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hand_made(tmp_path_factory.mktemp("v30") / "good")


@pytest.fixture
def spoilt(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "spoilt"))
