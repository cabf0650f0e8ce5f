"""What passes the guard of the page and what does not, without Dagster behind it."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from graphql import parse
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gr00t_assets.core.errors import PageError
from gr00t_assets.defs.page import serve
from gr00t_assets.defs.page_guard import LOOPBACK, PageGuard, only_reads, page_hosts, refuse
from gr00t_assets_tests.defs.dagster_dev import free_port
from gr00t_assets_tests.defs.project import make_project

QUERY, MUTATION = "query A { version }", "mutation B { launchRun { x } }"
JSON = {"content-type": "application/json"}
OWN = {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
FRAME = LINK | {"sec-fetch-dest": "iframe"}
IMAGE = LINK | {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}
DATA = ["/logs/a/b.out", "/download_debug/x", "/notebook?path=a", "/dagit/notebook", "/graphql"]
REPORT = "/report_asset_materialization/checkpoint?partition=a"


async def dagster(scope: Scope, receive: Receive, send: Send) -> None:
    """In the place of Dagster's application."""
    if scope["type"] == "websocket":
        socket = WebSocket(scope, receive, send)
        await socket.accept(subprotocol="graphql-ws")
        await socket.send_text("accepted")
        return await socket.close()
    return await PlainTextResponse("reached")(scope, receive, send)


def client(*hosts: str) -> TestClient:
    return TestClient(PageGuard(dagster, hosts), base_url="http://127.0.0.1:3000")


def get(path: str, **headers: str) -> tuple[int, str]:
    answer = client().get(path, headers={key.replace("_", "-"): headers[key] for key in headers})
    return answer.status_code, answer.text


def post(path: str, headers: Mapping[str, str], body: str = "") -> int:
    return client().post(path, headers=dict(headers), content=body).status_code


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:8000", "[::1]:3000", "LOCALHOST"])
def test_a_name_of_this_machine_is_answered(host: str) -> None:
    assert get("/", host=host) == (200, "reached")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:3000", "127.0.0.1.evil.example", "localhost.evil.example"),
        *("evil.example:80@127.0.0.1", "127.0.0.1 evil.example", "0.0.0.0:3000", "", "127.0.0.1:x"),
        *("localhost.", "10.0.0.5", "2130706433", "127.1", "[::ffff:127.0.0.1]"),
    ],
)
def test_any_other_name_is_refused_with_what_to_do(host: str) -> None:
    status, sentence = get("/graphql?query={version}", host=host)
    assert status == 421
    assert "GR00T_ASSETS_PAGE_HOSTS" in sentence and "127.0.0.1" in sentence


def test_what_the_refusal_says_to_do_works() -> None:
    hosts = page_hosts({"GR00T_ASSETS_PAGE_HOSTS": "Page.Example.org,"})
    origin = {"host": "page.example.org", "origin": "https://page.example.org"}
    assert client(*hosts).post("/graphql", headers=origin | JSON).status_code == 200
    assert client(*hosts).get("/", headers={"host": "example.org"}).status_code == 421


@pytest.mark.parametrize("value", ["https://page.example.org", "a:80", "*", "a b"])
def test_what_is_no_name_is_refused(value: str) -> None:
    with pytest.raises(PageError, match="PAGE_HOSTS=page"):
        page_hosts({"GR00T_ASSETS_PAGE_HOSTS": value})


def test_two_hosts_in_one_request_are_none() -> None:
    raw = [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": raw}
    refusal = refuse(scope, LOOPBACK)
    assert refusal is not None and refusal.status_code == 421


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:8888", "http://localhost:3000", ""]
)
def test_another_origin_may_do_nothing(origin: str) -> None:
    assert get("/graphql?query={version}", origin=origin)[0] == 403
    assert post("/graphql", JSON | {"origin": origin}, "{}") == 403
    assert post(REPORT, {"origin": origin}) == 403
    preflight = {"origin": origin, "access-control-request-method": "POST"}
    assert client().options("/graphql", headers=preflight).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_what_the_browser_says_came_from_elsewhere_is_refused(site: str) -> None:
    for path in ("/", "/graphql?query={version}", *DATA):
        assert get(path, sec_fetch_site=site)[0] == 403
        for kind in (FRAME, IMAGE):
            answer = client().get(path, headers=kind | {"sec-fetch-site": site})
            assert answer.status_code == 403
    assert post("/graphql", JSON | {"sec-fetch-site": site}, "{}") == 403


def test_a_link_leads_to_the_pages_and_to_nothing_else() -> None:
    for path in ("/", "/assets/checkpoint?view=partitions", "/runs/x"):
        assert client().get(path, headers=LINK).status_code == 200
    for path in (*DATA, REPORT):
        assert client().get(path, headers=LINK).status_code == 403
    assert client().post("/", headers=LINK | JSON).status_code == 403


def test_typed_into_the_address_bar_everything_opens() -> None:
    for path in ("/", "/logs/a/b.out", "/download_debug/x", "/notebook?path=a.ipynb", "/graphql"):
        assert get(path, sec_fetch_site="none", sec_fetch_mode="navigate")[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        MUTATION,
        f"{QUERY} {MUTATION}",
        f"{MUTATION} {QUERY}&operationName=A",
        "subscription { logs { x } }",
        json.dumps([{"query": QUERY}]),
        f"{QUERY}&query={MUTATION}",
        f"{MUTATION}&query={QUERY}",
        "%6dutation { x }",
        "\ufeff mutation { x }",
        "# query\nmutation { x }",
        "not GraphQL",
        "",
        "{a" * 2_000,
    ],
)
def test_a_get_only_reads(query: str) -> None:
    for path in ("/graphql", "/graphql/"):
        status, sentence = get(f"{path}?query={query.replace(chr(10), '%0A').replace('#', '%23')}")
        assert (status, "POST a mutation as JSON" in sentence) == (405, True), query


def test_queries_by_get_and_its_editor_are_answered() -> None:
    assert get("/graphql?query={version}")[0] == 200
    assert get(f"/graphql?query={QUERY} fragment F on X {{ y }}&operationName=A")[0] == 200
    assert get("/graphql", accept="text/html")[0] == 200


@pytest.mark.parametrize(
    "kind",
    [
        *("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *("text/plain; application/json", "application/jsonx", "application/graphql", ""),
    ],
)
@pytest.mark.parametrize("path", ["/graphql", f"/graphql?query={MUTATION}", REPORT])
def test_a_post_that_a_form_can_send_is_refused(path: str, kind: str) -> None:
    assert post(path, {"content-type": kind}, "{}") == 415
    assert post(path, OWN | {"content-type": kind}, "{}") == 415


def test_curl_and_the_page_itself_can_do_everything() -> None:
    for headers in ({}, OWN):
        for kind in ("application/json", "application/json; charset=utf-8"):
            assert post("/graphql", {"content-type": kind, **headers}, "{}") == 200
        assert post(REPORT, headers) == 200
        assert post(f"/graphql?query={MUTATION}", headers) == 415


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        (OWN, True),
        ({}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://127.0.0.1:8888"}, False),
        ({"host": "evil.example:3000", "origin": "http://evil.example:3000"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        (LINK, False),
    ],
)
def test_a_websocket_is_for_the_page_itself(headers: dict[str, str], accepted: bool) -> None:
    address = "ws://127.0.0.1:3000/graphql"
    try:
        with client().websocket_connect(address, ["graphql-ws"], headers=headers) as socket:
            assert socket.receive_text() == "accepted"
        opened = True
    except WebSocketDisconnect:
        opened = False
    assert opened == accepted


def test_a_port_that_is_taken_is_said_with_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PageError, match=f"another port: --port {port + 1}"):
            serve(port)


def test_without_a_project_it_says_where_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(PageError, match="start in a clone of gr00t-assets"):
        serve(free_port())


def test_the_workspace_is_the_projects_whatever_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(project.root))
    monkeypatch.setenv("DAGSTER_HOME", str(project.root))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PageError, match=f"workspace.yaml: is not in {project.root}"):
        serve(free_port())
    with pytest.raises(PageError, match=f"workspace.yaml: is not in {project.root}/deploy"):
        serve(free_port(), workspace="deploy/workspace.yaml")


def test_no_other_origin_shows_an_answer_in_a_frame() -> None:
    headers = client().get("/").headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE"]),
    kind=st.sampled_from(["http", "websocket"]),
    path=st.sampled_from(["/", "/graphql", "//graphql", "/report_asset_check/a", "/logs/a"]),
    headers=st.dictionaries(
        st.sampled_from(["content-type", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"]),
        st.sampled_from(["application/json", "same-origin", "none", "navigate", "document", "x"]),
    ),
    origin=st.from_regex(r"\A(https?://)?[a-z0-9.:\[\]-]{0,20}\Z"),
)
def test_whatever_else_it_says_another_origin_is_refused(
    method: str, kind: str, path: str, headers: dict[str, str], origin: str
) -> None:
    if origin in ("http://127.0.0.1:3000", "https://127.0.0.1:3000"):
        return
    given = {"host": "127.0.0.1:3000", "origin": origin, **headers}
    raw = [(key.encode(), value.encode()) for key, value in given.items()]
    scope = {"type": kind, "method": method, "path": path, "headers": raw, "query_string": b""}
    refusal = refuse(scope, LOOPBACK)
    assert refusal is not None and refusal.status_code == 403


@given(st.text(max_size=60))
def test_what_cannot_be_read_is_no_query(text: str) -> None:
    if only_reads(text):
        parse(text)
