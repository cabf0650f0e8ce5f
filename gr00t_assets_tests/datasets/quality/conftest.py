"""Good datasets, and copies of them to spoil."""

import shutil
from pathlib import Path

import pytest

from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("quality") / "good"
    generate(
        SyntheticSource(episodes=4, min_frames=130, max_frames=136, width=64, height=64), directory
    )
    return directory


@pytest.fixture
def copied(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "copied"))


@pytest.fixture(scope="session")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six episodes of an SO-101 at 30 rows a second."""
    directory = tmp_path_factory.mktemp("quality") / "six"
    spec = SyntheticSource(
        robot="so101", episodes=6, min_frames=90, max_frames=96, width=64, height=64, fps=30
    )
    generate(spec, directory)
    return directory


@pytest.fixture
def arm(six: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(six, tmp_path / "arm"))
