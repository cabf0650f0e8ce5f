"""A small synthetic dataset that tests may copy and spoil."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.source_kinds import SyntheticSource
from gr00t_assets.datasets.synthetic.generator import generate
from gr00t_assets_tests.datasets.sources.hub_server import COMMIT, LATER, Hub, serving

SMALL = SyntheticSource(episodes=2, min_frames=40, max_frames=44, width=96, height=96)


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


@pytest.fixture
def hub(spoilt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A server with two commits of a dataset, of which ``main`` is the first."""
    (spoilt / "README.md").write_text("a card")
    (spoilt / ".gitattributes").write_text("*.mp4 filter=lfs")
    later = Path(shutil.copytree(spoilt, tmp_path / "later"))
    tasks = later / "meta" / "tasks.jsonl"
    tasks.write_text(tasks.read_text().replace("pick", "take"))
    with serving(Hub({COMMIT: spoilt, LATER: later}, {"main": COMMIT, "v1": COMMIT})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        yield server


def entry_of(source: object, name: str = "demo") -> CatalogEntry:
    return CatalogEntry.model_validate(
        {
            "name": name,
            "description": "a test",
            "source": source,
            "data_config": "fourier_gr1_arms_only",
        }
    )
