"""Where a dataset is brought into the form that is read: in a copy, before it is opened."""

import hashlib
from pathlib import Path

import pytest

from gr00t_assets.datasets import ingest, source_origin
from gr00t_assets.datasets.ingest import ingest_dataset
from gr00t_assets.errors import DatasetError
from gr00t_assets.project import Store
from gr00t_assets_tests.datasets.conftest import entry_of
from gr00t_assets_tests.datasets.hub_server import COMMIT, REPOSITORY, Hub


@pytest.fixture
def preparing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A preparation that puts info.json back under its name, in place of the project's own."""
    done: list[str] = []

    def needs(directory: Path, name: str, store: Store) -> bool:
        return (directory / "meta" / "v3.json").exists()

    def prepare(directory: Path, name: str, store: Store) -> list[str]:
        if not needs(directory, name, store):
            return []
        done.append(name)
        (directory / "meta" / "v3.json").rename(directory / "meta" / "info.json")
        return ["converted"]

    monkeypatch.setattr(ingest, "needs_preparing", needs)
    monkeypatch.setattr(ingest, "prepare_dataset", prepare)
    return done


def _bytes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_folder_is_prepared_in_a_copy_once(
    store: Store, spoilt: Path, preparing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (spoilt / "meta" / "info.json").rename(spoilt / "meta" / "v3.json")
    before = _bytes(spoilt)
    entry = entry_of({"kind": "folder", "path": str(spoilt)})
    record = ingest_dataset(entry, store)
    assert record.warnings == ("converted",)
    assert _bytes(spoilt) == before
    assert ingest_dataset(entry, store) == record
    assert preparing == ["demo"]
    monkeypatch.setattr(source_origin, "preparation_key", lambda name, store: "accepted")
    assert ingest_dataset(entry, store) == record
    assert preparing == ["demo", "demo"]


def test_a_download_is_prepared_in_a_copy(hub: Hub, store: Store, preparing: list[str]) -> None:
    meta = hub.commits[COMMIT] / "meta"
    (meta / "info.json").rename(meta / "v3.json")
    stats = meta / "tasks.jsonl"
    good = stats.read_text()
    stats.write_text("{")
    entry = entry_of({"kind": "hub", "repo_id": REPOSITORY})
    with pytest.raises(DatasetError):
        ingest_dataset(entry, store)
    download = store.root / "datasets" / "demo" / f".download-{COMMIT}"
    assert (download / "meta" / "v3.json").is_file()
    stats.write_text(good)
    hub.asked.clear()
    record = ingest_dataset(entry, store)
    assert hub.files_asked() == ["meta/tasks.jsonl"]
    assert record.warnings == ("converted",)
    assert (record.directory(store) / "meta" / "info.json").is_file()
