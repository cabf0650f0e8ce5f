"""A real HTTP server with as much of the Hub's API as pushing a model needs.

Repositories are made, files of Git LFS are taken by PUT with their hash checked, and a commit puts
the files in place, as the Hub does it.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubApi:
    """What the Hub holds; tests read it, and change how it answers.

    Attributes:
        token: What must be sent.
        files: Content by repository and path.
        private: Of each repository.
        blobs: Uploaded files of Git LFS by SHA-256.
        uploads: Number of PUTs.
        authorizations: Every Authorization header that came.
    """

    token: str
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    uploads: int = 0
    endpoint: str = ""


@contextmanager
def serving(hub: HubApi) -> Iterator[HubApi]:
    """Serve until the block ends."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: HubApi

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def do_PUT(self) -> None:
        content = self._body()
        sha = self.path.rpartition("/")[2]
        assert hashlib.sha256(content).hexdigest() == sha
        self.hub.blobs[sha] = content
        self.hub.uploads += 1
        self._json(200, {})

    def _answer(self, body: bytes) -> None:
        hub, path = self.hub, unquote(self.path.split("?")[0])
        hub.asked.append(f"{self.command} {path}")
        authorization = self.headers.get("Authorization")
        hub.authorizations.append(authorization)
        if path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        if authorization != f"Bearer {hub.token}":
            return self._json(401, {"error": "Invalid credentials in Authorization header"})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path.startswith("/api/models/"):
            return self._model(path.removeprefix("/api/models/"), body)
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        return self._json(404, {"error": f"no such page: {path}"})

    def _create(self, asked: dict) -> None:
        hub = self.hub
        owner = asked.get("organization") or "me"
        name = asked["name"] if "/" in asked["name"] else f"{owner}/{asked['name']}"
        url = f"{hub.endpoint}/{name}"
        if name in hub.files:
            return self._json(409, {"error": "You already created this model repo", "url": url})
        hub.files[name] = {}
        hub.private[name] = bool(asked.get("private") or asked.get("visibility") == "private")
        return self._json(200, {"url": url, "name": name})

    def _model(self, rest: str, body: bytes) -> None:
        hub = self.hub
        owner, name, *verb = rest.split("/")
        repository = f"{owner}/{name}"
        if repository not in hub.files:
            return self._json(404, {"error": "Repository not found"})
        if not verb or verb[0] == "revision":
            siblings = [{"rfilename": path} for path in hub.files[repository]]
            content = {"id": repository, "private": hub.private[repository], "sha": COMMIT}
            return self._json(200, content | {"siblings": siblings})
        if verb[0] == "preupload":
            asked = json.loads(body)["files"]
            lfs = [item["path"].endswith(".safetensors") for item in asked]
            modes = [
                {"path": item["path"], "uploadMode": "lfs" if large else "regular",
                 "shouldIgnore": False}
                for item, large in zip(asked, lfs, strict=True)
            ]  # fmt: skip
            return self._json(200, {"files": modes})
        if verb[0] == "commit":
            return self._commit(repository, body)
        return self._json(404, {"error": f"no such verb: {verb}"})

    def _batch(self, asked: dict) -> None:
        objects = []
        for item in asked["objects"]:
            found = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.blobs:
                href = f"{self.hub.endpoint}/lfs/{item['oid']}"
                found["actions"] = {"upload": {"href": href, "header": {}}}
            objects.append(found)
        self._json(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repository: str, body: bytes) -> None:
        files = self.hub.files[repository]
        for line in body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
        url = f"{self.hub.endpoint}/{repository}/commit/{COMMIT}"
        self._json(200, {"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
