"""A real HTTP server that speaks as much of the Hub's API as one dataset needs.

Files of Git LFS are answered by a redirect to another origin, as the Hub does with its CDN.
"""

import contextlib
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import unquote

REPOSITORY = "owner/small"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = "89abcdef0123456789abcdef0123456789abcdef"
LFS = (".mp4", ".parquet", ".bin")


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    range: str | None
    authorization: str | None
    cdn: bool


@dataclass
class Hub:
    """What is served and how; tests change it while it runs.

    Attributes:
        commits: Folder by commit.
        refs: Commit by branch or tag.
        token: What must be sent to see the repository; None for a public one.
        refusal: Status where the token is not sent.
        breaks: Bytes after which the connection is cut, once, by path.
        falls: Whether the server is down after it cut a connection.
        stalls: Bytes after which nothing more comes until ``released``, once, by path.
        corrupt: Paths that are sent with a wrong byte.
        listed: Further entries of the tree.
        down: Every request is answered 503.
    """

    commits: dict[str, Path]
    refs: dict[str, str]
    token: str | None = None
    refusal: int = 401
    breaks: dict[str, int] = field(default_factory=dict)
    falls: bool = False
    stalls: dict[str, int] = field(default_factory=dict)
    corrupt: set[str] = field(default_factory=set)
    listed: list[dict[str, object]] = field(default_factory=list)
    down: bool = False
    asked: list[Asked] = field(default_factory=list)
    stalled: Event = field(default_factory=Event)
    released: Event = field(default_factory=Event)
    endpoint: str = ""
    cdn: str = ""

    def content(self, commit: str, path: str) -> bytes:
        return (self.commits[commit] / path).read_bytes()

    def tree(self, commit: str) -> list[dict[str, object]]:
        entries: list[dict[str, object]] = []
        for file in sorted(self.commits[commit].rglob("*")):
            path = file.relative_to(self.commits[commit]).as_posix()
            if file.is_dir():
                entries.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
                continue
            content = file.read_bytes()
            entry: dict[str, object] = {"type": "file", "path": path, "size": len(content)}
            if path.endswith(LFS):
                sha = hashlib.sha256(content).hexdigest()
                entry |= {"oid": "1" * 40}
                entry |= {"lfs": {"oid": sha, "size": len(content), "pointerSize": 130}}
            else:
                blob = hashlib.sha1(b"blob %d\0" % len(content) + content)
                entry |= {"oid": blob.hexdigest()}
            entries.append(entry)
        return [*entries, *self.listed]

    def files_asked(self) -> list[str]:
        """Paths of the files whose bytes were asked for, once for each request."""
        paths = [
            match[1]
            for seen in self.asked
            if seen.method == "GET" and (match := re.search(r"/\w{40}/(.*)", seen.path))
            if seen.cdn or ("/resolve/" in seen.path and not match[1].endswith(LFS))
        ]
        return sorted(paths)


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve until the block ends."""
    servers = []
    for cdn in (False, True):
        handler = type("Handler", (_Handler,), {"hub": hub, "cdn": cdn})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
    hub.endpoint, hub.cdn = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield hub
    finally:
        hub.released.set()
        for server in servers:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    cdn: bool

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(self.path.split("?")[0])
        hub, headers = self.hub, self.headers
        seen = (headers.get("Range"), headers.get("Authorization"))
        hub.asked.append(Asked(self.command, path, *seen, cdn=self.cdn))
        if hub.down:
            return self._send(503)
        if self.cdn:
            commit, file = path.removeprefix("/").split("/", 1)
            return self._file(commit, file)
        if f"/{REPOSITORY}/" not in path:
            return self._send(404, {"X-Error-Code": "RepoNotFound"})
        if hub.token is not None and seen[1] != f"Bearer {hub.token}":
            return self._send(hub.refusal)
        kind, _, rest = path.split(f"/{REPOSITORY}/", 1)[1].partition("/")
        revision, _, file = rest.partition("/")
        commit = hub.refs.get(revision, revision)
        if commit not in hub.commits:
            return self._send(404, {"X-Error-Code": "RevisionNotFound"})
        if kind == "revision":
            return self._json({"id": REPOSITORY, "sha": commit, "private": False, "tags": []})
        if kind == "tree":
            return self._json(hub.tree(commit))
        if not (hub.commits[commit] / file).is_file():
            return self._send(404, {"X-Error-Code": "EntryNotFound"})
        if file.endswith(LFS):
            content = hub.content(commit, file)
            linked = {
                "Location": f"{hub.cdn}/{commit}/{file}",
                "X-Repo-Commit": commit,
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
            }
            return self._send(302, linked)
        return self._file(commit, file)

    def _json(self, value: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _file(self, commit: str, path: str) -> None:
        content = self.hub.content(commit, path)
        headers = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": commit}
        if path in self.hub.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start, status = 0, 200
        if asked := self.headers.get("Range"):
            start, status = int(asked.removeprefix("bytes=").split("-")[0]), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        cut = self.hub.breaks.pop(path, None)
        stall = self.hub.stalls.pop(path, None)
        self._send(status, headers, content[start:], cut, stall)

    def _send(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        content: bytes = b"",
        cut: int | None = None,
        stall: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            if cut is not None:
                self.wfile.write(content[:cut])
                self.wfile.flush()
                self._wait_for_the_other_end()
                self.hub.down = self.hub.falls
                self.close_connection = True
            elif stall is not None:
                self.wfile.write(content[:stall])
                self.wfile.flush()
                self.hub.stalled.set()
                self.hub.released.wait(30)
                self.close_connection = True
            else:
                self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _wait_for_the_other_end(self) -> None:
        """Say that nothing more comes, and wait until the client has read all and hung up."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(10)
        with contextlib.suppress(OSError):
            self.connection.recv(1)
