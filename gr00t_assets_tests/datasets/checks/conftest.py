"""A good dataset of three episodes, and copies of it to spoil."""

import shutil
from pathlib import Path

import pytest

from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("checks") / "good"
    spec = SyntheticSource(episodes=3, min_frames=40, max_frames=44, width=96, height=96)
    generate(spec, directory)
    return directory


@pytest.fixture
def spoilt(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy in a project of its own."""
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    return Path(shutil.copytree(good, tmp_path / "spoilt"))
