"""A real Ray on this machine: a head with GPUs that are not there, and further nodes to kill.

Every process of a node carries the node's mark in its environment, what a job starts included, so
that killing a node is killing all that runs on it.
"""

import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

MARK = "RAY_TEST_NODE"
HEAD = "127.0.0.2"
"""Of the head; Ray takes the machine's own address in place of 127.0.0.1."""

START_SECONDS, ATTEMPTS = 120.0, 3
"""A node waits half a minute at most for its head, which a busy machine may not keep."""

OBJECT_STORE = 100_000_000
"""Bytes; nothing is kept in it."""

_QUICK = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # A node that is gone is noticed after 2 s instead of 15.
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "4",
}


def ray_lacks() -> str | None:
    """Why no Ray can be started here; None where one can.

    Its dashboard takes the jobs.
    """
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("aiohttp_cors") is None:
        return "Ray is not installed; install the extra: pip install -e '.[ray]'"
    return None


@dataclass
class Node:
    """Processes of one node.

    Attributes:
        mark: In the environment of all of them.
        ip: Loopback, one for each node.
    """

    ip: str
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def processes(self) -> list[psutil.Process]:
        """All that run, jobs included."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def kill(self) -> None:
        """Kill all of them with -9, as a power cut does, and wait until they are gone."""
        deadline = time.monotonic() + 20
        while (found := self.processes()) and time.monotonic() < deadline:
            for process in found:
                with suppress(psutil.Error):
                    process.send_signal(signal.SIGKILL)
            time.sleep(0.05)


class Cluster:
    """A head, and nodes that join it.

    Args:
        folder: For Ray's own files; its path is short, since sockets are in it.
        variables: Environment of every job.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self.nodes: list[Node] = []
        self.port, self.dashboard = free_port(), free_port()

    @property
    def address(self) -> str:
        """Of the dashboard, which takes jobs."""
        return f"http://127.0.0.1:{self.dashboard}"

    def start_head(self, **resources: float) -> Node:
        """Start the head, and wait until it takes jobs."""
        options = [
            "--head", f"--port={self.port}", "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.dashboard}", f"--temp-dir={self.folder}",
            f"--ray-client-server-port={free_port()}", "--no-monitor",
        ]  # fmt: skip
        return self._start(HEAD, options, resources)

    def add_node(self, **resources: float) -> Node:
        """Start a further node, and wait until it has joined."""
        ip = f"127.0.0.{len(self.nodes) + 2}"
        return self._start(ip, [f"--address={HEAD}:{self.port}"], resources)

    def jobs(self) -> list[dict[str, Any]]:
        """All that it has had."""
        with urllib.request.urlopen(f"{self.address}/api/jobs/", timeout=20) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """Kill all nodes, and remove Ray's files."""
        for node in reversed(self.nodes):
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, ip: str, options: list[str], resources: Mapping[str, float]) -> Node:
        node = Node(ip)
        self.nodes.append(node)
        named = {"gpus": 2, "cpus": 4, **resources}
        gpus, cpus = named.pop("gpus"), named.pop("cpus")
        command = [
            str(Path(sys.executable).with_name("ray")), "start", *options,
            f"--node-ip-address={ip}", f"--num-gpus={gpus:.0f}", f"--num-cpus={cpus:.0f}",
            f"--resources={json.dumps(named)}", f"--memory={4 * 10**9}",
            f"--object-store-memory={OBJECT_STORE}", "--min-worker-port=0", "--max-worker-port=0",
            f"--dashboard-agent-listen-port={free_port()}", "--include-log-monitor=false",
            f"--dashboard-agent-grpc-port={free_port()}", f"--runtime-env-agent-port={free_port()}",
            f"--metrics-export-port={free_port()}", "--disable-usage-stats",
        ]  # fmt: skip
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        environment = {**kept, **_QUICK, **self.variables, MARK: node.mark}
        for _ in range(ATTEMPTS):
            started = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=START_SECONDS
            )
            if started.returncode == 0:
                return node
            node.kill()
        raise AssertionError(started.stdout + started.stderr)


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def ray_cluster(variables: Mapping[str, str], **head: float) -> Iterator[Cluster]:
    """A cluster with a head, of which nothing is left afterwards."""
    if lacks := ray_lacks():
        pytest.skip(lacks)
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp")), variables)
    try:
        cluster.start_head(**head)
        yield cluster
    finally:
        cluster.stop()
