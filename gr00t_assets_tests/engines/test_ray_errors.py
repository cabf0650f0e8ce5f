"""What is said where no Ray answers at an engine's address, or one that cannot be used."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gr00t_assets.engines.job import EngineSilentError
from gr00t_assets.engines.job_record import unfinished_job
from gr00t_assets_tests.engines.ray_cluster import free_port
from gr00t_assets_tests.engines.runs_on_engine import Follower, fault_spec, write_engines


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setattr("gr00t_assets.engines.job.PATIENCE", 1.0)
    monkeypatch.setattr("gr00t_assets.engines.job._ASK_AGAIN", 0.5)
    return tmp_path / "store"


@contextmanager
def server(status: int, text: str, submitted: int = 200) -> Iterator[str]:
    """An HTTP server of this machine that answers everything in one way; its address.

    But for submissions, which it answers with the status ``submitted``.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.tokens.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
            self.send_response(status if self.command == "GET" else submitted)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        running.tokens = []  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def refused(store: Path, address: str) -> str:
    """What a run is told; nothing of it is left."""
    write_engines(store.parent, ray={"kind": "ray", "address": address})
    follower = Follower(fault_spec(store, "refused")).ended(15)
    assert follower.error is not None and not (follower.spec.run_directory / "job.json").exists()
    text = str(follower.error)
    assert text.startswith(address)
    return text


def test_an_address_where_nobody_is(store: Path):
    text = refused(store, f"http://127.0.0.1:{free_port()}")
    assert "nobody answers" in text and "mend address in data/engines.yaml" in text


def test_an_address_that_takes_connections_and_answers_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gr00t_assets.engines.ray_engine._ANSWER", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = refused(store, f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert "does not answer in time" in text


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (200, json.dumps({"ray_version": "2.3.0"}), "Ray 2.3.0 runs there; 2.8 is the oldest"),
        (200, "<html>a router</html>", "what answers there is no Ray"),
        (404, "not found", "what answers there is no Ray"),
        (200, "[]", "what answers there is no Ray"),
        (401, "who are you", "set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"),
        (403, "another", "set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"),
        (503, "", "its head node cannot answer (HTTP 503)"),
    ],
)
def test_what_is_no_ray_that_can_be_used(store: Path, status: int, answer: str, expected: str):
    with server(status, answer) as address:
        assert expected in refused(store, address)


def test_the_token_is_sent_and_never_shown(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "token").write_text("hush-hush\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with server(403, "hush-hush is none of mine") as address:
        assert "hush" not in refused(store, address)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "missing"))
    assert "missing" in refused(store, address)


def test_a_submission_whose_answer_a_proxy_lost_is_looked_for_by_its_name(store: Path):
    with server(200, json.dumps({"ray_version": "2.40.0"}), submitted=504) as address:
        settings = {"kind": "ray", "address": address, "autoscaling": True}
        write_engines(store.parent, ray=settings)
        follower = Follower(fault_spec(store, "lost")).ended(15)
    assert isinstance(follower.error, EngineSilentError)
    job = unfinished_job(follower.spec.run_directory)
    assert job is not None and job.id is None
