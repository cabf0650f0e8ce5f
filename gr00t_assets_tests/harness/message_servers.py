"""Real servers that take messages: a webhook over HTTP, and mail over SMTP."""

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_string
from typing import Any

SECRET = "tokenCANARYtoken"
"""In the address of every server: a path, a user's password."""


class Webhook(http.server.ThreadingHTTPServer):
    """Takes JSON; ``status`` is its answer, and while ``hangs`` is set it gives none.

    ``asked`` are the messages of all requests, ``taken`` those that it answered with 200.
    """

    daemon_threads = True
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.asked: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.hangs = False
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"json://anna:{SECRET}@127.0.0.1:{self.server_port}/{SECRET}/"

    @property
    def titles(self) -> list[str]:
        """Of the messages that were taken."""
        return [str(message["title"]) for message in self.taken]


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Webhook)
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.asked.append(message)
        if server.hangs:
            # A byte now and then, so that no time limit of a single read ends it.
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not server.released.wait(0.5):
                    self.wfile.write(b"x")
            return
        if server.status == 200:
            server.taken.append(message)
        self.send_response(server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as it takes to be sent mails, which are in ``mails``."""

    allow_reuse_address = daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.mails: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        port = self.server_address[1]
        return f"mailto://127.0.0.1:{port}?from=lab@example.org&to=anna@example.org&mode=insecure"


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, MailServer)
        self.wfile.write(b"220 test\r\n")
        for line in self.rfile:
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                mail = message_from_string(b"".join(lines).decode())
                parts = [part for part in mail.walk() if part.get_content_type() == "text/plain"]
                body = parts[0].get_payload(decode=True)
                assert isinstance(body, bytes)
                server.mails.append((str(mail["Subject"]), body.decode()))
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                return


@contextmanager
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
