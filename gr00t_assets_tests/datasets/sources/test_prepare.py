"""Where a dataset is brought into the form that is read: in a copy, before it is opened."""

import hashlib
import json
from pathlib import Path

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets_tests.datasets.conftest import entry_of
from gr00t_assets_tests.datasets.lerobot.v3.v30 import convert_to_v30
from gr00t_assets_tests.datasets.sources.hub_server import COMMIT, REPOSITORY, Hub


def folder_entry(path: Path) -> CatalogEntry:
    return entry_of({"kind": "folder", "path": str(path)})


def file_hashes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_folder_in_v30_is_converted_in_a_copy_once(
    store: Store, small_dataset: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in-v30"
    convert_to_v30(small_dataset, source)
    before = file_hashes(source)

    record = ingest_dataset(folder_entry(source), store)

    assert record.codebase_version == "v2.1"
    assert file_hashes(source) == before
    original, converted = (
        LeRobotDataset.open(path) for path in (small_dataset, record.directory(store))
    )
    assert converted.frame_count == original.frame_count
    for episode in original.episodes:
        for column in ("action", "observation.state"):
            expected = original.vector(episode.index, column)
            assert (converted.vector(episode.index, column) == expected).all()
    modified = (record.directory(store) / "meta" / "info.json").stat().st_mtime_ns
    assert ingest_dataset(folder_entry(source), store) == record
    assert (record.directory(store) / "meta" / "info.json").stat().st_mtime_ns == modified


def test_a_v30_dataset_that_cannot_be_converted_leaves_nothing(
    store: Store, small_dataset: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in-v30"
    convert_to_v30(small_dataset, source)
    next(source.glob("data/*/*.parquet")).unlink()
    with pytest.raises(DatasetError, match="parquet"):
        ingest_dataset(folder_entry(source), store)
    left = [path.name for path in (store.root / "datasets" / "demo").iterdir()]
    assert [name for name in left if not name.startswith(".")] == []


def test_a_file_that_was_accepted_in_version_0_2_stands_in(store: Store, spoilt: Path) -> None:
    """It lies in the store, and is taken for as long as the source and the project have none."""
    own = spoilt / "meta" / "modality.json"
    content = json.loads(own.read_text())
    own.unlink()
    entry = folder_entry(spoilt)
    first = ingest_dataset(entry, store)
    with pytest.raises(DatasetError) as caught:
        build_modality_config(entry, store)
    assert "gr00t-assets dataset add demo" in str(caught.value)

    accepted = store.dataset_record("demo").with_name("modality.accepted.json")
    accepted.write_text(json.dumps(content))
    second = ingest_dataset(entry, store)
    assert second.version != first.version
    stored = second.directory(store) / "meta" / "modality.json"
    assert json.loads(stored.read_text()) == content
    assert not own.exists()
    assert ingest_dataset(entry, store) == second


def test_the_projects_file_comes_before_the_sources(
    store: Store, spoilt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    file = tmp_path / "data" / "datasets" / "demo" / "modality.json"
    first = ingest_dataset(folder_entry(spoilt), store)
    file.parent.mkdir(parents=True)
    content = json.loads((spoilt / "meta" / "modality.json").read_text())
    file.write_text(json.dumps(content | {"annotation": {}}))
    second = ingest_dataset(folder_entry(spoilt), store)
    stored = second.directory(store) / "meta" / "modality.json"
    assert stored.read_text() == file.read_text() and second.version != first.version
    file.unlink()
    assert ingest_dataset(folder_entry(spoilt), store).version == first.version


def test_a_download_in_v30_is_kept_until_it_is_converted(hub: Hub, store: Store) -> None:
    served = hub.commits[COMMIT]
    source = served.with_name("in-v30")
    convert_to_v30(served, source)
    hub.commits[COMMIT] = source
    entry = entry_of({"kind": "hub", "repo_id": REPOSITORY})
    rows = next(source.glob("data/*/*.parquet"))
    whole = rows.read_bytes()
    rows.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError):
        ingest_dataset(entry, store)
    rows.write_bytes(whole)
    hub.asked.clear()
    record = ingest_dataset(entry, store)
    assert record.codebase_version == "v2.1"
    assert hub.files_asked() == [str(rows.relative_to(source))]
