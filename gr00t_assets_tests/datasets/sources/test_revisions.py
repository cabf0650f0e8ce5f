"""What a revision means, today and later, with and without the Hub."""

import json

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.sources.hub_source import HubUnreachableError
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets_tests.datasets.conftest import entry_of
from gr00t_assets_tests.datasets.sources.hub_server import COMMIT, LATER, REPOSITORY, Hub


def _entry(**source: str):
    return entry_of({"kind": "hub", "repo_id": REPOSITORY} | source)


def _origin(store: Store) -> dict[str, str]:
    return json.loads((store.root / "datasets/demo/origin.json").read_text())["origin"]


@pytest.mark.parametrize("name", ["main", "v1"])
def test_a_revision_that_was_moved_is_an_error(hub: Hub, store: Store, name: str) -> None:
    record = ingest_dataset(_entry(revision=name), store)
    hub.refs[name] = LATER
    with pytest.raises(DatasetError, match=f"revision {name} .* was moved") as caught:
        ingest_dataset(_entry(revision=name), store)
    assert f"to take the new one, pin it in data/datasets.yaml: revision: {LATER}" in str(
        caught.value
    )
    assert f"to stay with the old one, pin it there: revision: {COMMIT}" in str(caught.value)
    assert load_record("demo", store) == record
    hub.asked.clear()
    stays = ingest_dataset(_entry(revision=COMMIT), store)
    assert stays.version == record.version
    assert hub.asked == []
    goes = ingest_dataset(_entry(revision=LATER), store)
    assert goes.version != record.version and goes.revision == LATER
    assert record.directory(store).is_dir()


def test_record_and_origin_keep_repository_revision_and_commit(hub: Hub, store: Store) -> None:
    record = ingest_dataset(_entry(revision="v1"), store)
    assert record.revision == COMMIT
    assert all(part in record.source for part in (REPOSITORY, "revision v1", COMMIT))
    origin = _origin(store)
    assert (origin["repository"], origin["asked"], origin["commit"]) == (REPOSITORY, "v1", COMMIT)
    pinned = ingest_dataset(_entry(revision=COMMIT), store)
    assert "revision v1" not in pinned.source
    assert _origin(store)["asked"] == COMMIT
    assert load_record("demo", store) == pinned


def test_a_pinned_commit_never_asks_the_network(hub: Hub, store: Store) -> None:
    record = ingest_dataset(_entry(revision=COMMIT), store)
    assert not [seen for seen in hub.asked if "/revision/" in seen.path]
    hub.asked.clear()
    hub.down = True
    assert ingest_dataset(_entry(revision=COMMIT), store) == record
    assert hub.asked == []
    assert record.warnings == ()


@pytest.mark.parametrize("how", ["no answer", "503"])
def test_without_the_hub_the_version_in_the_store_is_used(
    hub: Hub, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = ingest_dataset(_entry(), store)
    if how == "503":
        hub.down = True
    else:
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    offline = ingest_dataset(_entry(), store)
    assert offline.version == record.version and offline.revision == COMMIT
    assert any("the Hub could not be asked what main means" in line for line in offline.warnings)
    assert ingest_dataset(_entry(), store) == offline == load_record("demo", store)
    with pytest.raises(HubUnreachableError):
        ingest_dataset(_entry(revision="v1"), store)
    hub.down = False
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert ingest_dataset(_entry(), store) == record == load_record("demo", store)


def test_a_repository_that_was_withdrawn_can_be_pinned(hub: Hub, store: Store) -> None:
    record = ingest_dataset(_entry(), store)
    hub.token = "someone"
    with pytest.raises(DatasetError, match=f"or pin what is in the store.*: {COMMIT}"):
        ingest_dataset(_entry(), store)
    assert ingest_dataset(_entry(revision=COMMIT), store).version == record.version


def test_a_damaged_version_is_fetched_again(hub: Hub, store: Store) -> None:
    record = ingest_dataset(_entry(), store)
    lost = next(record.directory(store).rglob("*.mp4"))
    lost.write_bytes(lost.read_bytes()[:50])
    hub.asked.clear()
    assert ingest_dataset(_entry(), store) == record
    assert lost.stat().st_size > 50
    assert hub.files_asked()
