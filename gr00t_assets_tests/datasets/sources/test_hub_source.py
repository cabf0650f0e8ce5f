"""Downloads with the real client from a real server."""

import logging
import traceback
from pathlib import Path

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.sources import hub_source
from gr00t_assets.datasets.sources.hub_source import HubUnreachableError, without_token
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import content_hash
from gr00t_assets_tests.datasets.conftest import entry_of
from gr00t_assets_tests.datasets.sources.hub_server import COMMIT, REPOSITORY, Hub

CANARY = "hf_canaryCANARYcanary0123456789abcd"


def _entry(**source: str):
    return entry_of({"kind": "hub", "repo_id": REPOSITORY} | source)


def _left(store: Store) -> list[str]:
    return [path.name for path in store.root.rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_dataset_is_downloaded_once(hub: Hub, store: Store, small_dataset: Path) -> None:
    lines: list[str] = []
    record = ingest_dataset(_entry(), store, lines.append)
    assert record.revision == COMMIT
    assert record.version == content_hash(small_dataset)
    where = f"https://huggingface.co/datasets/{REPOSITORY}, revision main at {COMMIT}"
    assert record.source == where
    folder = record.directory(store)
    assert {path.name for path in folder.iterdir()} == {"meta", "data", "videos"}
    content = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert hub.files_asked() == content
    assert {path.name for path in folder.parent.iterdir()} == {
        ".lock",
        "dataset.json",
        "origin.json",
        record.version,
        f"{record.version}.files.json",
        f"{record.version}.scan.json",
    }
    assert f"{len(content)} files" in lines[0] and "kB" in lines[0]
    assert any("hashes right" in line and line.endswith(" s") for line in lines)
    hub.asked.clear()
    assert ingest_dataset(_entry(), store) == record
    assert [seen.path for seen in hub.asked] == [f"/api/datasets/{REPOSITORY}/revision/main"]


def test_a_long_download_says_how_far_it_is(
    hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hub_source, "_LOG_SECONDS", 0.0)
    lines: list[str] = []
    ingest_dataset(_entry(), store, lines.append)
    assert any(line.startswith("demo: ") and line.endswith("kB are here") for line in lines)
    assert capfd.readouterr().err == "", "no progress bar of the client"


def test_a_packaged_modality_is_put_in_place(hub: Hub, store: Store, small_dataset: Path) -> None:
    (hub.commits[COMMIT] / "meta" / "modality.json").unlink()
    record = ingest_dataset(_entry(modality="gr1_arms"), store)
    assert record.version == content_hash(small_dataset)
    assert not [path for path in hub.files_asked() if path.endswith("modality.json")]


def test_a_revision_or_repository_that_is_not_there(hub: Hub, store: Store) -> None:
    with pytest.raises(DatasetError, match="has no revision v9"):
        ingest_dataset(_entry(revision="v9"), store)
    with pytest.raises(DatasetError, match="has no revision 77777777"):
        ingest_dataset(_entry(revision="7" * 40), store)
    with pytest.raises(DatasetError, match="has no dataset owner/other, or it is private"):
        ingest_dataset(_entry(repo_id="owner/other"), store)
    assert not _left(store)


def test_without_the_hub_the_way_out_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://me:s3cret@127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", CANARY)
    with pytest.raises(HubUnreachableError, match="cannot be downloaded from") as caught:
        ingest_dataset(_entry(), store)
    assert "GR00T_ASSETS_DATASETS" in str(caught.value)
    assert CANARY not in str(caught.value) and "s3cret" not in str(caught.value)


@pytest.mark.parametrize("refusal", [401, 403])
def test_a_private_dataset_asks_for_a_token(
    hub: Hub, store: Store, refusal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token, hub.refusal = CANARY, refusal
    with pytest.raises(DatasetError, match="set HF_TOKEN") as caught:
        ingest_dataset(_entry(), store)
    assert f"answered {refusal}" in str(caught.value)
    with pytest.raises(DatasetError, match="set HF_TOKEN"):
        ingest_dataset(_entry(revision=COMMIT), store)
    monkeypatch.setenv("HF_TOKEN", CANARY[::-1])
    with pytest.raises(DatasetError, match="the token that is set may not read it") as caught:
        ingest_dataset(_entry(), store)
    assert CANARY[::-1] not in "".join(traceback.format_exception(caught.value))
    assert not _left(store)


def test_the_token_is_sent_to_the_hub_and_stays_there(
    hub: Hub,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also not where it fails in the middle, in the client's own messages, or at the CDN."""
    caplog.set_level(logging.DEBUG)
    hub.token = CANARY
    monkeypatch.setenv("HF_TOKEN", CANARY)
    lines: list[str] = []
    hub.corrupt = {"meta/info.json"}
    video = next(hub.commits[COMMIT].rglob("*.mp4")).relative_to(hub.commits[COMMIT])
    hub.breaks[video.as_posix()] = 100
    with pytest.raises(DatasetError) as caught:
        ingest_dataset(_entry(), store, lines.append)
    hub.corrupt = set()
    record = ingest_dataset(_entry(), store, lines.append)
    sent = {(seen.cdn, seen.authorization) for seen in hub.asked}
    assert sent == {(False, f"Bearer {CANARY}"), (True, None)}
    said = "".join(traceback.format_exception(caught.value)) + "\n".join(lines) + caplog.text
    said += "".join(capfd.readouterr()) + record.model_dump_json()
    assert "Trying to resume" in said
    assert CANARY not in said
    for path in store.root.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()


def test_secrets_are_cut_out_of_what_the_client_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    said = f"403 for 'https://me:pw@cdn.host/a.mp4?Signature=abc&Key=1' with {CANARY}, try again?"
    assert without_token(said) == "403 for 'https://cdn.host/a.mp4' with ***, try again?"
