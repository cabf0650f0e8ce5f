"""The store's reports, as the page serves them behind its guard."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from gr00t_assets.core.project import Store
from gr00t_assets.defs.metadata import REPORTS
from gr00t_assets.defs.page import Reports
from gr00t_assets.defs.page_guard import PageGuard


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def client(store: Store) -> TestClient:
    page = Starlette(routes=[Mount(REPORTS, Reports(store))])
    return TestClient(PageGuard(page), base_url="http://127.0.0.1:3000")


def test_a_report_opens_in_a_sandbox_once_it_is_there(store: Store, client: TestClient) -> None:
    address = f"{REPORTS}/loss_comparison.html"
    assert client.get(address).status_code == 404
    store.reports.mkdir(parents=True)
    (store.reports / "loss_comparison.html").write_text("<title>best</title>")
    answer = client.get(address)
    assert (answer.status_code, answer.text) == (200, "<title>best</title>")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"].split()
    assert policy[0] == "sandbox" and "allow-same-origin" not in policy
    again = client.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "../dataset.json", "..%2fdataset.json", "%2e%2e/dataset.json", "..%5cdataset.json",
        "a/../../dataset.json", "/etc/hostname", "%2fetc%2fhostname", "%00", "out", "sibling/x", "",
    ],
)  # fmt: skip
def test_nothing_else_of_the_machine_is_served(
    store: Store, client: TestClient, path: str, tmp_path: Path
) -> None:
    store.reports.mkdir(parents=True)
    (store.root / "dataset.json").write_text("secret")
    beside = Path(f"{store.reports}-sibling")
    beside.mkdir()
    (beside / "x").write_text("secret")
    (store.reports / "out").symlink_to(store.root / "dataset.json")
    (store.reports / "sibling").symlink_to(beside)
    answer = client.get(f"{REPORTS}/{path}")
    assert answer.status_code in (404, 405, 421) and "secret" not in answer.text


def test_it_is_only_read_and_only_for_this_machine(store: Store, client: TestClient) -> None:
    store.reports.mkdir(parents=True)
    (store.reports / "a.html").write_text("secret")
    address = f"{REPORTS}/a.html"
    assert client.put(address).status_code == 405
    assert client.delete(address).status_code == 405
    assert (store.reports / "a.html").read_text() == "secret"
    other = client.get(address, headers={"host": "evil.example"})
    assert other.status_code == 421 and "secret" not in other.text
    frame = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get(address, headers=frame | {"sec-fetch-dest": "iframe"}).status_code == 403
