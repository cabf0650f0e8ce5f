"""Folders of real data that tests read; where they are missing the test says which and skips."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("GR00T_ASSETS_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def _folder(relative: str) -> Path:
    path = SHARED / relative
    if not path.is_dir():
        pytest.skip(f"{relative} is not in {SHARED}; set GR00T_ASSETS_SHARED to the folder with it")
    return path


@pytest.fixture(scope="session")
def demo_dataset() -> Path:
    """NVIDIA's ``robot_sim.PickNPlace``, 5 episodes."""
    return _folder("datasets/robot_sim.PickNPlace")


@pytest.fixture(scope="session")
def parity_data() -> Path:
    """20 samples of NVIDIA's data pipeline."""
    return _folder("parity/data")


@pytest.fixture(scope="session")
def parity_model() -> Path:
    """A tiny random model of NVIDIA's class, its inputs and its outputs."""
    return _folder("parity/model")
