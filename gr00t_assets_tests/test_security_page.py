"""The page is for this machine alone unless it is told otherwise."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gr00t_assets_tests.defs.project import CHECKOUT, Project, make_project

README = CHECKOUT / "README.md"

LOOPBACK = {"0100007F", "00000000000000000000000001000000"}
"""127.0.0.1 and ::1 as ``/proc/net/tcp`` writes them."""


def dev_command() -> list[str]:
    """What ``make dev`` runs."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    said = subprocess.check_output(["make", "-n", "dev"], cwd=CHECKOUT, text=True)
    (line,) = (line for line in said.splitlines() if " dev " in line and "dagster" in line)
    words = shlex.split(line)
    return words[next(place for place, word in enumerate(words) if word.endswith("dagster")) :]


def test_make_dev_binds_loopback() -> None:
    command = dev_command()
    assert command[command.index("-h") + 1] == "127.0.0.1"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def group(leader: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) == leader:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


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


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path)
    (tmp_path / "workspace.yaml").write_text(
        "load_from:\n  - python_module: gr00t_assets.definitions\n"
    )
    return project


@pytest.fixture
def page(project: Project) -> Iterator[tuple[int, int]]:
    """The page as ``make dev`` starts it, on another port: port and session."""
    port = free_port()
    command = [word if word != "3000" else str(port) for word in dev_command()]
    starter = (
        "import os, signal, sys\n"
        "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_DFL)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'dagster', *sys.argv[1:]])\n"
    )
    log = (project.root / "page.log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", starter, *command[1:]],
        cwd=project.root,
        env=project.environment() | {"DAGSTER_HOME": str(project.root)},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5).read()
                break
            except OSError:
                assert process.poll() is None, (project.root / "page.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.3)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(240)
        for left in group(process.pid):
            os.kill(left, signal.SIGKILL)
        process.wait(60)
        log.close()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_nothing_of_the_page_listens_beyond_loopback(page: tuple[int, int]) -> None:
    _, session = page
    found = listening(group(session))
    assert found and found <= LOOPBACK


def proxy_from_readme() -> str:
    """The server block of nginx in README.md."""
    blocks = re.findall(r"```nginx\n(.*?)```", README.read_text(), re.DOTALL)
    if not blocks:
        pytest.skip("README.md has no nginx block")
    return blocks[0]


def test_the_proxy_of_the_readme_asks_for_a_password(page: tuple[int, int], tmp_path: Path) -> None:
    nginx, openssl = shutil.which("nginx"), shutil.which("openssl")
    if nginx is None or openssl is None:
        pytest.skip("nginx and openssl are not installed")
    port, _ = page
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
    server = proxy_from_readme()
    server = re.sub(r"listen \S+ ssl", f"listen 127.0.0.1:{outer} ssl", server)
    server = re.sub(r"(ssl_certificate) \S+;", rf"\1 {tmp_path}/cert.pem;", server)
    server = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {tmp_path}/key.pem;", server)
    server = re.sub(r"(auth_basic_user_file) \S+;", rf"\1 {tmp_path}/users;", server)
    server = server.replace("127.0.0.1:3000", f"127.0.0.1:{port}")
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; user root; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {server} }}\n"
    )
    process = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf")])
    try:
        address = f"https://127.0.0.1:{outer}/graphql?query=%7Bversion%7D"
        curl = ["curl", "-sk", "--retry", "20", "--retry-connrefused", "--retry-delay", "1"]
        without = subprocess.check_output(
            [*curl, "-o", "/dev/null", "-w", "%{http_code}", address], text=True
        )
        assert without == "401"
        said = subprocess.check_output([*curl, "-u", "anna:secret", address], text=True)
        assert '"version"' in said
        upgrade = [
            *("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "--http1.1", "-i"),
            *(
                "-H",
                "Sec-WebSocket-Version: 13",
                "-H",
                "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==",
            ),
            *("-H", "Sec-WebSocket-Protocol: graphql-ws", "--max-time", "3"),
        ]
        socket_said = subprocess.run(
            [*curl, "-u", "anna:secret", *upgrade, f"https://127.0.0.1:{outer}/graphql"],
            capture_output=True,
            check=False,
        )
        assert b"101 Switching Protocols" in socket_said.stdout
    finally:
        process.terminate()
        process.wait(120)
