"""A real HTTP server that speaks as much of the Hub's API as one dataset needs."""

import hashlib
import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from gr00t_assets.datasets.content_hash import content_hash
from gr00t_assets.datasets.ingest import ingest_dataset
from gr00t_assets.errors import DatasetError
from gr00t_assets.project import Store
from gr00t_assets_tests.datasets.conftest import entry_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "owner/small"


class Hub(ThreadingHTTPServer):
    """Serves one folder as the only dataset; remembers what was asked."""

    def __init__(self, directory: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.directory = directory
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append(path)
        files = f"/datasets/{REPOSITORY}/resolve/{COMMIT}/"
        if path in [f"/api/datasets/{REPOSITORY}/revision/{name}" for name in ("main", COMMIT)]:
            self._send(
                json.dumps(self._info()).encode(), {"Content-Type": "application/json"}, body
            )
        elif path == f"/api/datasets/{REPOSITORY}/tree/{COMMIT}":
            self._send(
                json.dumps(self._tree()).encode(), {"Content-Type": "application/json"}, body
            )
        elif path.startswith(f"/api/datasets/{REPOSITORY}/"):
            self._refuse("RevisionNotFound")
        elif path.startswith(files) and (self.server.directory / path[len(files) :]).is_file():
            content = (self.server.directory / path[len(files) :]).read_bytes()
            etag = hashlib.sha1(content).hexdigest()
            self._send(content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT}, body)
        else:
            self._refuse("RepoNotFound")

    def _info(self) -> dict[str, object]:
        return {"id": REPOSITORY, "sha": COMMIT, "private": False, "tags": []}

    def _tree(self) -> list[dict[str, object]]:
        directory = self.server.directory
        return [
            {
                "type": "file",
                "path": path.relative_to(directory).as_posix(),
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in directory.rglob("*")
            if path.is_file()
        ]

    def _send(self, content: bytes, headers: dict[str, str], body: bool) -> None:
        self.send_response(200)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def hub(spoilt: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    (spoilt / "README.md").write_text("a card")
    (spoilt / ".gitattributes").write_text("*.mp4 filter=lfs")
    (spoilt / "meta" / "modality.json").unlink()
    server = Hub(spoilt)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield server
    server.shutdown()
    server.server_close()


def _entry(**source: str):
    return entry_of({"kind": "hub", "repo_id": REPOSITORY, "modality": "gr1_arms"} | source)


def test_a_dataset_is_downloaded_once_with_its_modality_put_in_place(
    hub: Hub, store: Store, small_dataset: Path
) -> None:
    record = ingest_dataset(_entry(), store)
    assert record.revision == COMMIT
    assert record.version == content_hash(small_dataset)
    assert record.source == f"https://huggingface.co/datasets/{REPOSITORY} at {COMMIT}"
    names = {path.name for path in record.directory(store).iterdir()}
    assert names == {"meta", "data", "videos"}
    assert not any("README" in path for path in hub.asked)
    hub.asked.clear()
    assert ingest_dataset(_entry(), store) == record
    asked = [path for path in hub.asked if REPOSITORY in path]
    assert asked == [f"/api/datasets/{REPOSITORY}/revision/main"]


def test_a_revision_or_repository_that_is_not_there(hub: Hub, store: Store) -> None:
    with pytest.raises(DatasetError, match="has no revision v9"):
        ingest_dataset(_entry(revision="v9"), store)
    with pytest.raises(DatasetError, match="has no dataset owner/other, or it is private"):
        ingest_dataset(_entry(repo_id="owner/other"), store)
    assert not list(store.root.rglob("*.*"))


def test_without_the_hub_the_way_out_is_named_and_no_token(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(DatasetError, match="cannot be downloaded from") as caught:
        ingest_dataset(_entry(), store)
    assert "GR00T_ASSETS_DATASETS" in str(caught.value)
    assert os.environ["HF_TOKEN"] not in str(caught.value)
