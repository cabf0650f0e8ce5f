"""The page is for this machine alone, and for no web page of somebody else."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser, sync_playwright

from gr00t_assets_tests.defs.dagster_dev import LAUNCH, Page, free_port
from gr00t_assets_tests.defs.hostile_page import (
    EVIL,
    FORGED,
    RUN,
    TAG,
    attacks,
    hostile_page,
    launch_variables,
)
from gr00t_assets_tests.defs.project import CHECKOUT, MODULE, Project, make_project
from gr00t_assets_tests.defs.recovery_project import powered, processes
from gr00t_assets_tests.defs.test_page import BROWSERS
from gr00t_assets_tests.gpu.test_guard import wait_until

NAME = "page.example.org"
DEPLOYMENT = CHECKOUT / "docs" / "deployment.md"

LOOPBACK = {"0100007F", "00000000000000000000000001000000"}
"""127.0.0.1 and ::1 as ``/proc/net/tcp`` writes them."""


def test_make_dev_starts_the_page_behind_its_guard() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    said = subprocess.check_output(["make", "-n", "dev"], cwd=CHECKOUT, text=True)
    (line,) = (line for line in said.splitlines() if "gr00t-assets dev" in line)
    assert shlex.split(line)[-3:] == ["dev", "--port", "3000"]
    assert "dagster" not in said


def listening(processes: list[int]) -> set[str]:
    """Addresses that processes listen on over TCP, as hexadecimal digits."""
    sockets = set()
    for process in processes:
        try:
            links = [str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir()]
        except OSError:
            continue
        sockets |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                found.add(fields[1].split(":")[0])
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page as ``make dev`` starts it, on another port, and behind a proxy of that name."""
    root = make_project(tmp_path_factory.mktemp("page")).root
    with powered(Project(root, {"GR00T_ASSETS_PAGE_HOSTS": NAME}), MODULE) as page:
        yield page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Which takes this machine for one more name."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on the PATH: no page can be opened")
    arguments = ["--no-sandbox", "--disable-popup-blocking"]
    arguments += [f"--host-resolver-rules=MAP {EVIL} 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_nothing_of_the_page_listens_beyond_loopback(page: Page) -> None:
    found = listening(processes(page.project))
    assert found and found <= LOOPBACK


def attacked(page: Page) -> set[str]:
    """What the runs' tags, and forged reports, say of who got through."""
    launched = {run["tags"][TAG] for run in page.runs() if TAG in run["tags"]}
    with page.project.instance() as instance:
        key = dg.AssetKey(FORGED)
        forged = instance.fetch_materializations(key, limit=9).records
        observed = instance.fetch_observations(key, limit=9).records
    return launched | ({"report"} if forged else set()) | ({"check"} if observed else set())


def test_a_page_of_another_origin_can_do_nothing(page: Page, browser: Browser) -> None:
    ours = page.address.rsplit(":", 1)[1]
    with hostile_page() as port:
        for prefix, start in {
            "": f"http://{EVIL}:{port}/",
            "same-site-": f"http://127.0.0.1:{port}/",
            "localhost-": f"http://localhost:{port}/",
        }.items():
            hostile = browser.new_context().new_page()
            hostile.goto(start)
            given = {"page": page.address, "attacks": attacks(page.module, prefix)}
            assert hostile.evaluate(RUN, given)["opened"] == []
            hostile.context.close()

        # DNS rebinding: the name of the hostile page means this machine, and its port is ours.
        hostile = browser.new_context().new_page()
        answer = hostile.goto(f"http://{EVIL}:{ours}/")
        assert answer is not None and answer.status == 421
        rebound = {"page": f"http://{EVIL}:{ours}", "attacks": attacks(page.module, "rebound-")}
        assert hostile.evaluate(RUN, rebound)["opened"] == []
        hostile.context.close()

        framing = browser.new_context().new_page()
        framing.goto(f"http://{EVIL}:{port}/")
        framing.set_content(f"<iframe src='{page.address}/'></iframe>")
        framing.wait_for_timeout(2000)
        assert "Overview" not in "".join(frame.content() for frame in framing.frames)
        framing.context.close()
    # The last is the control: what the attacks send does launch a run.
    asked = page.ask(LAUNCH, params=launch_variables(page.module, "control")["params"])
    assert asked["launchRun"]["__typename"] == "LaunchRunSuccess", page.log()
    assert attacked(page) == {"control"}
    page.ends(asked["launchRun"]["run"]["runId"])


def test_the_page_itself_works_and_launches_a_run(page: Page, browser: Browser) -> None:
    own = browser.new_context().new_page()
    errors: list[str] = []
    own.on("pageerror", lambda error: errors.append(str(error)))
    own.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    sockets: list[str] = []
    own.on("websocket", lambda socket: sockets.append(socket.url))
    for host in ("127.0.0.1", "localhost"):
        own.goto(page.address.replace("127.0.0.1", host) + "/assets")
        own.get_by_text("research_journal", exact=True).first.wait_for(timeout=120_000)
    assert sockets and not errors
    request = {"query": LAUNCH, "variables": launch_variables(page.module, "own")}
    send = """body => fetch('/graphql', {method: 'POST', body: JSON.stringify(body),
              headers: {'Content-Type': 'application/json'}}).then(answer => answer.json())"""
    answer = own.evaluate(send, request)["data"]["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess"
    assert page.ends(answer["run"]["runId"])
    own.context.close()


def test_who_mutates_by_get_is_told_how_to(page: Page) -> None:
    with pytest.raises(urllib.error.HTTPError, match="405") as refused:
        urllib.request.urlopen(f"{page.address}/graphql?query=mutation%7Bx%7D", timeout=60)
    assert "POST a mutation as JSON" in refused.value.read().decode()


def proxy_of_the_deployment() -> str:
    """The blocks of nginx in docs/deployment.md."""
    (block,) = re.findall(r"```nginx\n(.*?)```", DEPLOYMENT.read_text(), re.DOTALL)
    return block


@pytest.fixture
def proxy(page: Page, tmp_path: Path) -> Iterator[int]:
    """nginx as docs/deployment.md has it, before the page: its port."""
    nginx, openssl = shutil.which("nginx"), shutil.which("openssl")
    if nginx is None or openssl is None:
        pytest.skip("nginx and openssl are not installed")
    outer = free_port()
    hashed = subprocess.check_output([openssl, "passwd", "-apr1", "secret"], text=True)
    (tmp_path / "users").write_text(f"anna:{hashed}")
    certificate = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    subprocess.run(
        [*certificate, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    server = proxy_of_the_deployment()
    server = server.replace("listen 443 ssl", f"listen 127.0.0.1:{outer} ssl")
    server = re.sub(r"(ssl_certificate) \S+;", rf"\1 {tmp_path}/cert.pem;", server)
    server = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {tmp_path}/key.pem;", server)
    server = re.sub(r"(auth_basic_user_file) \S+;", rf"\1 {tmp_path}/users;", server)
    server = server.replace("127.0.0.1:3000", page.address.removeprefix("http://"))
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; user root; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {folders} {server} }}\n"
    )
    process = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf")])
    try:
        yield outer
    finally:
        process.terminate()
        process.wait(120)


def test_the_proxy_of_the_deployment_refuses_the_same_and_asks_for_a_password(
    page: Page, proxy: int
) -> None:
    curl = ["curl", "-sk", "--http1.1", "--resolve", f"{NAME}:{proxy}:127.0.0.1"]
    code = ["-o", "/dev/null", "-w", "%{http_code}"]

    def status(*arguments: str, host: str = NAME, path: str = "/server_info", user: str = "secret"):
        # The browser leaves the port 443 out; here it is another one.
        given = [*curl, *code, "-H", f"Host: {host}", *arguments]
        given += ["-u", f"anna:{user}"] if user else []
        said = subprocess.run(
            [*given, f"https://{NAME}:{proxy}{path}"], capture_output=True, text=True, check=False
        )
        return said.stdout

    own = ["-H", f"Origin: https://{NAME}"]
    body = ["-H", "Content-Type: application/json", "-d", json.dumps({"query": "{version}"})]
    upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "--max-time", "1"]
    upgrade += ["-H", "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Protocol: graphql-ws"]
    upgrade += ["-H", "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ=="]

    assert wait_until(lambda: status() == "200", 30)
    assert status(user="") == "401" and status(user="wrong") == "401"
    assert status(path="/assets") == "200"
    assert status(*own, *body, path="/graphql") == "200"
    assert status(*own, *upgrade, path="/graphql") == "101"

    assert status(host=EVIL) == "421"
    for foreign in (f"http://{EVIL}", "null", f"https://{NAME}:8443", f"https://{NAME}.{EVIL}"):
        assert status("-H", f"Origin: {foreign}", *body, path="/graphql") == "403"
        assert status("-H", f"Origin: {foreign}", *upgrade, path="/graphql") == "403"
    assert status(path="/graphql?query=mutation%7Bx%7D") == "405"
    assert status(path="/graphql?query=%6dutation%7Bx%7D") == "405"
    assert status("-H", "Sec-Fetch-Site: cross-site") == "403"
    assert status("-H", "Sec-Fetch-Site: same-origin") == "200"
    forged = urllib.request.Request(f"{page.address}/", headers={"Host": EVIL})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(forged, timeout=60)


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("victim", ["page", "daemon"])
def test_page_and_daemon_end_with_each_other(tmp_path: Path, victim: str) -> None:
    project = make_project(tmp_path)
    with powered(project, MODULE) as page:

        def daemon() -> list[int]:
            return [pid for pid in processes(project) if b"dagster._daemon" in command_line(pid)]

        assert wait_until(lambda: len(daemon()) == 1, 60)
        os.kill(page.process.pid if victim == "page" else daemon()[0], signal.SIGKILL)
        assert page.process.wait(120) != 0
        assert wait_until(lambda: not daemon(), 30)
        with pytest.raises(OSError):
            urllib.request.urlopen(f"{page.address}/server_info", timeout=5)
        if victim == "daemon":
            assert "dagster-daemon: it ended by itself" in page.log()
