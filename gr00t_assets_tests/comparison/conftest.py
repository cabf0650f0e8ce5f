from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets_tests.comparison.run_factory import store_with_data


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with the validated modality config of the dataset ``demo`` and no run."""
    return store_with_data(tmp_path / "store", "demo")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
