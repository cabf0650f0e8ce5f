"""A web page of somebody else, served from another origin, that tries all it can on ours."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

from gr00t_assets_tests.defs.dagster_dev import LAUNCH

EVIL = "evil.example"
"""A name that the browser of the tests resolves to 127.0.0.1, as DNS rebinding has it."""

TAG = "attack"
FORGED = "forged"
"""An asset of which the attacks report materialisations, in place of launching a run."""

SCRIPTS = {
    "fetch-get": "await fetch(`${page}/graphql?${address}`, {mode: 'no-cors'})",
    "fetch-get-credentials": (
        "await fetch(`${page}/graphql?${address}`, {mode: 'no-cors', credentials: 'include'})"
    ),
    "image": (
        "await new Promise(done => { const image = new Image();"
        " image.onload = image.onerror = done; image.src = `${page}/graphql?${address}` })"
    ),
    "script": (
        "await new Promise(done => { const item = document.createElement('script');"
        " item.onload = item.onerror = done; item.src = `${page}/graphql?${address}`;"
        " document.head.append(item) })"
    ),
    "frame": (
        "await new Promise(done => { const frame = document.createElement('iframe');"
        " frame.onload = done; frame.src = `${page}/graphql?${address}`;"
        " document.body.append(frame) })"
    ),
    "window": "window.open(`${page}/graphql?${address}`)",
    "form": (
        "const form = document.createElement('form'); form.method = 'POST';"
        " form.enctype = 'text/plain'; form.target = '_blank';"
        " form.action = `${page}/graphql?${address}`; document.body.append(form); form.submit()"
    ),
    "form-get": (
        "const form = document.createElement('form'); form.target = '_blank';"
        " form.action = `${page}/graphql`;"
        " for (const [name, value] of new URLSearchParams(address)) {"
        " const field = document.createElement('input'); field.name = name; field.value = value;"
        " form.append(field) } document.body.append(form); form.submit()"
    ),
    "post-text": (
        "await fetch(`${page}/graphql?${address}`, {method: 'POST', mode: 'no-cors', body,"
        " headers: {'Content-Type': 'text/plain'}})"
    ),
    "post-disguised": (
        "await fetch(`${page}/graphql`, {method: 'POST', mode: 'no-cors', body,"
        " headers: {'Content-Type': 'text/plain; application/json'}})"
    ),
    "post-json": (
        "await fetch(`${page}/graphql`, {method: 'POST', body,"
        " headers: {'Content-Type': 'application/json'}})"
    ),
    "post-empty": "await fetch(`${page}/graphql?${address}`, {method: 'POST', mode: 'no-cors'})",
    "beacon": "navigator.sendBeacon(`${page}/graphql?${address}`, body)",
    "socket": (
        "await new Promise((done, fail) => {"
        " const socket = new WebSocket(page.replace('http', 'ws') + '/graphql', 'graphql-ws');"
        " socket.onerror = fail; socket.onopen = () => { opened.push('socket');"
        " socket.send(JSON.stringify({type: 'connection_init'}));"
        " socket.send(JSON.stringify({id: '1', type: 'start', payload: JSON.parse(body)}));"
        " setTimeout(done, 2000) } })"
    ),
    "report": (
        "await fetch(`${page}/report_asset_materialization/forged?description=report`,"
        " {method: 'POST', mode: 'no-cors'})"
    ),
    "check": (
        "await fetch(`${page}/report_asset_observation/forged?description=check`,"
        " {method: 'POST', mode: 'no-cors'})"
    ),
}
"""What each attack runs, with ``page``, ``address`` (a query string) and ``body`` given."""

RUN = """
async ({page, attacks}) => {
  const scripts = {SCRIPTS}, opened = [], failures = {};
  for (const [name, {address, body}] of Object.entries(attacks)) {
    const tooLong = new Promise(done => setTimeout(done, 8000));
    try { await Promise.race([scripts[name](page, address, body, opened), tooLong]) }
    catch (error) { failures[name] = String(error) }
  }
  return {opened, failures};
}
""".replace(
    "SCRIPTS",
    ",".join(
        f"'{name}': async (page, address, body, opened) => {{ {script} }}"
        for name, script in SCRIPTS.items()
    ),
)


def launch_variables(module: str, name: str) -> dict[str, object]:
    """Launch a run whose tag says which attack did it."""
    selector = {
        "repositoryLocationName": module,
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": ["research_journal"]}],
    }
    tags = {"tags": [{"key": TAG, "value": name}]}
    return {"params": {"selector": selector, "executionMetadata": tags}}


def attacks(module: str, prefix: str = "") -> dict[str, dict[str, str]]:
    """Each attack with what it needs, by name."""
    given = {}
    for name in SCRIPTS:
        request = {"query": LAUNCH, "variables": launch_variables(module, prefix + name)}
        address = urlencode({**request, "variables": json.dumps(request["variables"])})
        given[name] = {"address": address, "body": json.dumps(request)}
    return given


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>prizes</title><body>You have won</body>")

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def hostile_page() -> Iterator[int]:
    """Serve it on every name of 127.0.0.1; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
