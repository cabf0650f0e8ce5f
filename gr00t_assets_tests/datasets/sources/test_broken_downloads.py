"""Downloads that break, end by a signal, bring wrong bytes, or do not fit."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from gr00t_assets.core.errors import DatasetError, StoreError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.sources.hub_source import HubUnreachableError
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import content_files, content_hash
from gr00t_assets_tests.datasets.conftest import entry_of
from gr00t_assets_tests.datasets.sources.hub_server import COMMIT, REPOSITORY, Hub

MB = 1 << 20
ENTRY = entry_of({"kind": "hub", "repo_id": REPOSITORY})
PIECE = 10 * MB
"""What the client writes at once."""

INGEST = """
import sys
from pathlib import Path
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.core.project import Store
entry = CatalogEntry.model_validate_json(sys.argv[1])
ingest_dataset(entry, Store(Path(sys.argv[2])))
"""


@pytest.fixture
def large(hub: Hub) -> str:
    """A Git LFS file of more pieces than one, for a connection to break inside it."""
    content = np.random.default_rng(0).bytes(25 * MB)
    (hub.commits[COMMIT] / "large.bin").write_bytes(content)
    return "large.bin"


def _start(store: Store) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", INGEST, ENTRY.model_dump_json(), str(store.root)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def _until(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def _download(store: Store) -> Path:
    return store.root / "datasets" / "demo" / f".download-{COMMIT}"


def _visible(store: Store) -> list[str]:
    folder = store.root / "datasets" / "demo"
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_broken_connection_is_continued_in_the_same_call(
    hub: Hub, store: Store, large: str
) -> None:
    hub.breaks[large] = 15 * MB
    record = ingest_dataset(ENTRY, store)
    assert record.version == content_hash(hub.commits[COMMIT])
    assert [seen.range for seen in hub.asked if seen.cdn and large in seen.path] == [
        None,
        f"bytes={PIECE}-",
    ]


def test_the_next_call_continues_where_the_hub_went_away(
    hub: Hub, store: Store, large: str
) -> None:
    hub.breaks[large], hub.falls = 15 * MB, True
    with pytest.raises(HubUnreachableError, match="what is complete is kept"):
        ingest_dataset(ENTRY, store)
    assert _visible(store) == []
    complete = {str(path.relative_to(_download(store))) for path in _download(store).rglob("*.*")}
    hub.down = False
    hub.asked.clear()
    lines: list[str] = []
    record = ingest_dataset(ENTRY, store, lines.append)
    assert record.version == content_hash(hub.commits[COMMIT])
    assert hub.files_asked() == [large], "what was complete is not brought again"
    assert large not in complete
    assert any("are here from an earlier try" in line for line in lines)
    assert not _download(store).exists()


def test_a_killed_download_leaves_nothing_visible_and_is_continued(
    hub: Hub, store: Store, large: str
) -> None:
    hub.stalls[large] = 15 * MB
    process = _start(store)
    others = len(content_files(hub.commits[COMMIT])) - 1

    def ready() -> bool:
        with suppress(FileNotFoundError):
            unfinished = [path.stat().st_size for path in _download(store).rglob("*.incomplete")]
            return len(content_files(_download(store))) == others and unfinished == [PIECE]
        return False

    _until(ready, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hub.released.set()
    assert _visible(store) == []
    hub.asked.clear()
    record = ingest_dataset(ENTRY, store)
    assert record.version == content_hash(hub.commits[COMMIT])
    assert hub.files_asked() == [large]
    names = {path.name for path in (store.root / "datasets" / "demo").iterdir()}
    beside = (f"{record.version}.{kind}.json" for kind in ("scan", "files"))
    kept = {"dataset.json", "origin.json", *beside}
    assert names == {".lock", record.version, *kept}


def test_killed_after_the_download_nothing_is_downloaded_again(hub: Hub, store: Store) -> None:
    """Where the process was quicker than the signal it is done again in an empty store."""
    laid_out = "datasets/demo/.fetch.partial-*/dataset/meta/info.json"
    for _ in range(10):
        process = _start(store)
        while process.poll() is None and not any(store.root.glob(laid_out)):
            time.sleep(0.002)
        process.kill()
        if process.wait() == -signal.SIGKILL and _visible(store) == []:
            break
        shutil.rmtree(store.root)
    assert any(store.root.glob("datasets/demo/.fetch.partial-*"))
    hub.asked.clear()
    record = ingest_dataset(ENTRY, store)
    assert record.version == content_hash(hub.commits[COMMIT])
    assert hub.files_asked() == []
    assert not list(store.root.rglob("*.partial-*"))


def test_two_at_once_download_once(hub: Hub, store: Store, large: str) -> None:
    hub.stalls[large] = 15 * MB
    first = _start(store)
    _until(hub.stalled.is_set, first)
    lines: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(ingest_dataset, ENTRY, store, lines.append)
        _until(lambda: bool(lines), first)
        said = "waiting for the dataset demo, being brought into the store; held by process "
        assert lines[0].startswith(f"{said}{first.pid}, since 20")
        hub.released.set()
        assert first.wait(240) == 0
        assert second.result().version == content_hash(hub.commits[COMMIT])
    files = hub.files_asked()
    assert all(files.count(path) == 1 for path in files if path != large)
    assert {seen.range for seen in hub.asked if seen.cdn and large in seen.path} == {
        None,
        f"bytes={PIECE}-",
    }


def test_wrong_bytes_are_named_removed_and_fetched_again(
    hub: Hub, store: Store, large: str
) -> None:
    wrong = ["large.bin", "meta/info.json"]
    hub.corrupt = set(wrong)
    with pytest.raises(DatasetError, match=r"2 file\(s\) came with other bytes") as caught:
        ingest_dataset(ENTRY, store)
    assert list(caught.value.details[:2]) == wrong
    assert not (_download(store) / "large.bin").exists()
    assert not list(_download(store).rglob("*.incomplete"))
    hub.corrupt = set()
    hub.asked.clear()
    record = ingest_dataset(ENTRY, store)
    assert hub.files_asked() == wrong
    assert record.version == content_hash(hub.commits[COMMIT])


def test_bytes_that_were_damaged_on_disk_are_fetched_again(hub: Hub, store: Store) -> None:
    hub.corrupt = {"meta/info.json"}
    with pytest.raises(DatasetError):
        ingest_dataset(ENTRY, store)
    hub.corrupt = set()
    kept = next(_download(store).rglob("*.parquet"))
    damaged = bytearray(kept.read_bytes())
    damaged[100] ^= 1
    kept.write_bytes(damaged)
    hub.asked.clear()
    record = ingest_dataset(ENTRY, store)
    path = kept.relative_to(_download(store)).as_posix()
    assert hub.files_asked() == sorted([path, "meta/info.json"])
    assert record.version == content_hash(hub.commits[COMMIT])


def test_what_cannot_fit_is_refused_before_it_is_downloaded(hub: Hub, store: Store) -> None:
    lfs = {"oid": "2" * 64, "size": 10**18, "pointerSize": 130}
    hub.listed = [
        {"type": "file", "path": "data/huge.parquet", "oid": "1" * 40, "size": 10**18, "lfs": lfs}
    ]
    with pytest.raises(StoreError, match=r"needs 1000000\.0 TB more, and .* are free"):
        ingest_dataset(ENTRY, store)
    assert hub.files_asked() == []


@pytest.mark.parametrize("path", ["../outside.txt", "meta/../../outside.txt", "/outside.txt"])
def test_listed_paths_that_leave_the_folder_are_refused(hub: Hub, store: Store, path: str) -> None:
    hub.listed = [{"type": "file", "path": path, "oid": "1" * 40, "size": 1}]
    with pytest.raises(DatasetError, match="leave the dataset's folder") as caught:
        ingest_dataset(ENTRY, store)
    assert path in str(caught.value)
    assert hub.files_asked() == []
    assert not list(store.root.parent.rglob("outside.txt"))


def test_a_dataset_that_is_wrong_stays_downloaded_until_it_is_mended(
    hub: Hub, store: Store
) -> None:
    episodes = hub.commits[COMMIT] / "meta" / "episodes.jsonl"
    first, *others = episodes.read_text().splitlines()
    entry = json.loads(first)
    episodes.write_text("\n".join([json.dumps(entry | {"length": 1}), *others]))
    with pytest.raises(DatasetError, match="rows"):
        ingest_dataset(ENTRY, store)
    assert _visible(store) == []
    hub.asked.clear()
    with pytest.raises(DatasetError, match="rows"):
        ingest_dataset(ENTRY, store)
    assert hub.files_asked() == []
