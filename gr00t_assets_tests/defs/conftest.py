"""A store with a modality config, and a Dagster instance, of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.modality.config import save_modality_config
from gr00t_assets_tests.defs.specs import a_modality_config


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    save_modality_config(a_modality_config(), store)
    return store


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance
