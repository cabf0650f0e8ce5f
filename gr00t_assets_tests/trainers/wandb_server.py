"""As much of a W&B server as the wandb package needs to believe that it is online."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer(ThreadingHTTPServer):
    """Answers on a port of this machine, and keeps what it was sent."""

    daemon_threads = True

    def __init__(self, answers: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.runs: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.exit_codes: dict[str, int] = {}
        self.gone = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def wandb_server(answers: bool = True) -> Iterator[WandbServer]:
    """A server for the block; one that does not answer takes requests and leaves them."""
    with WandbServer(answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.gone.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WandbServer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_HEAD(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def do_POST(self) -> None:
        content = json.loads(self._body())
        if not self.server.answers:
            self.server.gone.wait(600)
        elif self.path == "/graphql":
            self._answer({"data": self._data(content["query"], content["variables"])})
        else:
            self._take_stream(self.path.split("/")[-2], content)
            self._answer({"exitcode": None, "limits": {}})

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket" in query:
            known = self.server.runs.setdefault(variables["name"], {})
            known.update({key: value for key, value in variables.items() if value is not None})
            entity = {"id": "entity", "name": "lab"}
            project = {"id": "project", "name": variables["project"], "entity": entity}
            bucket = {"id": "bucket", "name": variables["name"], "project": project}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        if "createRunFiles" in query:
            files = [{"name": n, "uploadUrl": f"{self.server.url}/{n}"} for n in variables["files"]]
            return {"createRunFiles": {"runID": "bucket", "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            return {"viewer": {"id": "viewer", "entity": "lab", "flags": "{}", "username": "one"}}
        return {"serverInfo": None, "model": None}

    def _take_stream(self, run: str, content: dict[str, Any]) -> None:
        history = (content.get("files") or {}).get("wandb-history.jsonl")
        if history:
            rows = self.server.rows.setdefault(run, [])
            rows += [json.loads(line) for line in history["content"]]
        if content.get("complete"):
            self.server.exit_codes[run] = content["exitcode"]

    def _body(self) -> bytes:
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        return gzip.decompress(content) if self.headers["Content-Encoding"] == "gzip" else content

    def _answer(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
