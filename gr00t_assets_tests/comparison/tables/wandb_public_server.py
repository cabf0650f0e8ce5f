"""As much of a W&B server as ``wandb.Api`` needs to read runs, their histories and metadata."""

import base64
import gzip
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pandas as pd

KEY = "0123456789abcdef" * 2 + "01234567"


@dataclass
class HostedRun:
    """One run as the server has it.

    Attributes:
        rows: Of the history, without ``_step``, which is a row's place.
        parquet: Whether the history was exported to a parquet file, as it is of ended runs; else
            it is answered row by row.
    """

    run_id: str
    name: str
    config: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    state: str = "finished"
    tags: tuple[str, ...] = ("gr00t-overfit",)
    created_at: str = "2025-06-15T01:11:00Z"
    notes: str | None = None
    metadata: dict[str, Any] | None = None
    parquet: bool = False

    @property
    def history(self) -> list[dict[str, Any]]:
        return [{"_step": step, **row} for step, row in enumerate(self.rows)]

    def node(self) -> dict[str, Any]:
        return {
            "id": base64.b64encode(f"Run:v1:{self.run_id}".encode()).decode(),
            "projectId": "1",
            "tags": list(self.tags),
            "name": self.run_id,
            "displayName": self.name,
            "sweepName": None,
            "state": self.state,
            "config": json.dumps({name: {"value": v} for name, v in self.config.items()}),
            "group": None,
            "jobType": None,
            "commit": None,
            "readOnly": False,
            "createdAt": self.created_at,
            "heartbeatAt": self.created_at,
            "description": None,
            "notes": self.notes,
            "systemMetrics": "{}",
            "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": len(self.rows),
            "user": {"name": "one", "username": "one"},
            "historyKeys": self.history_keys(),
        }

    def history_keys(self) -> dict[str, Any]:
        names = {name for row in self.history for name in row}
        return {
            "lastStep": len(self.rows) - 1,
            "keys": {name: {"typeCounts": [{"type": "number"}]} for name in names},
        }


class WandbPublicServer(ThreadingHTTPServer):
    """Answers on a port of this machine; ``page`` runs at a time."""

    daemon_threads = True

    def __init__(self, runs: list[HostedRun], page: int = 2) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs = {run.run_id: run for run in runs}
        self.page = page
        self.queries: list[tuple[str, dict[str, Any]]] = []
        self.refuses_key = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def wandb_public_server(runs: list[HostedRun]) -> Iterator[WandbPublicServer]:
    """A server for the block."""
    with WandbPublicServer(runs) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WandbPublicServer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        kind, run_id = self.path.strip("/").split("/")[:2]
        run = self.server.runs[run_id]
        if kind == "metadata":
            content = json.dumps(run.metadata).encode()
        else:
            file = io.BytesIO()
            pd.DataFrame(run.history).to_parquet(file, index=False)
            content = file.getvalue()
        self._part(content)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        if self.path != "/graphql":
            self._send(200, b"{}")
            return
        if self.server.refuses_key:
            self._send(401, b'{"errors": [{"message": "invalid api key"}]}')
            return
        asked = json.loads(body)
        query, variables = asked["query"], asked.get("variables") or {}
        self.server.queries.append((query, variables))
        self._send(200, json.dumps({"data": self._data(query, variables)}).encode())

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "viewer" in query:
            viewer = {"id": "v", "entity": "lab", "username": "one", "email": "", "flags": "{}"}
            return {"viewer": viewer | {"teams": {"edges": []}}}
        if "query Runs(" in query:
            return {"project": self._runs(variables)}
        run = self.server.runs[
            variables.get("name") or variables.get("runName") or variables["run"]
        ]
        if "RunHistoryKeys" in query:
            return {"project": {"run": {"historyKeys": run.history_keys()}}}
        if "RunParquetHistory" in query:
            urls = [f"{self.server.url}/history/{run.run_id}"] if run.parquet else []
            live = {"parquetUrls": urls, "liveData": []}
            return {"project": {"run": {"parquetHistory": live}}}
        if "SampledHistoryPage" in query:
            return {"project": {"run": {"sampledHistory": [self._sampled(run, variables)]}}}
        if "RunFiles" in query:
            return {"project": {"internalId": "1", "run": self._files(run)}}
        raise AssertionError(f"a query that this server does not know: {query}")

    def _runs(self, variables: dict[str, Any]) -> dict[str, Any] | None:
        if variables["project"] != "pippa":
            return None
        wanted = json.loads(variables.get("filters") or "{}").get("tags", {}).get("$in")
        found = [
            run for run in self.server.runs.values() if not wanted or set(wanted) & set(run.tags)
        ]
        start = int(variables["cursor"] or 0)
        chosen = found[start : start + self.server.page]
        end = start + len(chosen)
        return {
            "internalId": "1",
            "runCount": len(found),
            "readOnly": False,
            "runs": {
                "edges": [{"node": run.node(), "cursor": str(end)} for run in chosen],
                "pageInfo": {"endCursor": str(end), "hasNextPage": end < len(found)},
            },
        }

    def _sampled(self, run: HostedRun, variables: dict[str, Any]) -> list[dict[str, Any]]:
        spec = json.loads(variables["spec"])
        keys = set(spec["keys"])
        rows = [row for row in run.history if spec["minStep"] <= row["_step"] <= spec["maxStep"]]
        return [{key: row[key] for key in keys} for row in rows if keys <= row.keys()]

    def _files(self, run: HostedRun) -> dict[str, Any]:
        url = f"{self.server.url}/metadata/{run.run_id}"
        node = {
            "id": "f",
            "name": "wandb-metadata.json",
            "url": url,
            "directUrl": url,
            "sizeBytes": str(len(json.dumps(run.metadata))),
            "mimetype": "application/json",
            "updatedAt": run.created_at,
            "md5": "",
        }
        edges = [{"node": node, "cursor": "1"}] if run.metadata is not None else []
        pages = {"endCursor": "1", "hasNextPage": False}
        return {"fileCount": len(edges), "files": {"edges": edges, "pageInfo": pages}}

    def _part(self, content: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)?", self.headers.get("Range", ""))
        if not asked:
            self._send(200, content)
            return
        start = int(asked[1])
        end = min(int(asked[2]) if asked[2] else len(content) - 1, len(content) - 1)
        where = f"bytes {start}-{end}/{len(content)}"
        self._send(206, content[start : end + 1], {"Content-Range": where})

    def _send(self, code: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
