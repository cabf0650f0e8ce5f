"""The page, the daemon and the code server as ``make dev`` starts them, and GraphQL as the page."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from gr00t_assets_tests.defs.noop_project import MODULE
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.gpu.test_guard import wait_until

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
BACKFILL = """
mutation Backfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
RUNS = """
query Runs($statuses: [RunStatus!], $limit: Int) {
  runsOrError(filter: {statuses: $statuses}, limit: $limit) {
    ... on Runs {
      count
      results { runId status startTime endTime tags { key value } }
    }
  }
}
"""
TERMINATE = """
mutation Terminate($run: String!) {
  terminateRun(runId: $run) { __typename }
}
"""
STATUS = "query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True)
class Page:
    """A running ``gr00t-assets dev``.

    Attributes:
        address: ``http://127.0.0.1:PORT``.
        process: Its process, the leader of a session.
        module: The definitions that it serves.
        project: The project that it serves them of.
    """

    address: str
    process: subprocess.Popen[bytes]
    module: str
    project: Project

    def ask(self, query: str, timeout: float = 480, **variables: Any) -> dict[str, Any]:
        """The ``data`` of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            answer = json.load(response)
        assert not answer.get("errors"), answer["errors"]
        return answer["data"]

    def launch(
        self, partition: str, tags: Mapping[str, str] | None = None, asset: str = "checkpoint"
    ) -> str:
        """Materialise one partition as the page's dialog does; the id of the run."""
        selector = {
            "repositoryLocationName": self.module,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [asset]}],
        }
        given = {"dagster/partition": partition, **(tags or {})}
        listed = [{"key": key, "value": value} for key, value in given.items()]
        params = {"selector": selector, "executionMetadata": {"tags": listed}}
        answer = self.ask(LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def backfill(self, partitions: Sequence[str], tags: Mapping[str, str] | None = None) -> str:
        """Start an asset backfill of ``checkpoint``; its id."""
        params = {
            "assetSelection": [{"path": ["checkpoint"]}],
            "partitionNames": list(partitions),
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        }
        answer = self.ask(BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def runs(self, *statuses: str, limit: int = 1000) -> list[dict[str, Any]]:
        """Runs of these statuses, all where none is given, the newest first."""
        answer = self.ask(RUNS, statuses=list(statuses) or None, limit=limit)["runsOrError"]
        return [
            {**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}}
            for run in answer["results"]
        ]

    def trainings(self, *statuses: str, limit: int = 1000) -> list[dict[str, Any]]:
        """Runs of a partition: not those of a comparison, which automation asks for meanwhile."""
        return [
            run for run in self.runs(*statuses, limit=limit) if "dagster/partition" in run["tags"]
        ]

    def cancel(self, run: str) -> None:
        """Ask a run to stop, as the page's button does."""
        answer = self.ask(TERMINATE, run=run)["terminateRun"]
        assert answer["__typename"] == "TerminateRunSuccess", answer

    def status(self, run: str) -> str:
        """Of a run."""
        return self.ask(STATUS, run=run)["runOrError"]["status"]

    def ends(self, run: str) -> str:
        """Wait for the end of a run; its status."""
        assert wait_until(lambda: self.status(run) in OVER, 900), self.status(run) + self.log()
        return self.status(run)

    def log(self) -> str:
        """The end of what Dagster printed."""
        return (self.project.root / "dev.log").read_text()[-4000:]


@contextmanager
def dagster_dev(project: Project, module: str = MODULE) -> Iterator[Page]:
    """``gr00t-assets dev``, as ``make dev`` has it, for as long as the block lasts.

    Nothing of its session is left after it.
    """
    port = free_port()
    workspace = {"load_from": [{"python_module": module}]}
    (project.root / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    command = [sys.executable, "-m", "gr00t_assets.cli.main", "dev", "--port", str(port)]
    with in_session(project, command, 240) as process:
        page = Page(f"http://127.0.0.1:{port}", process, module, project)
        up = wait_until(lambda: _answers(page.address) or process.poll() is not None, 720)
        assert up and process.poll() is None, page.log()
        yield page


@contextmanager
def in_session(
    project: Project, command: Sequence[str], leftovers: float, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dagster, the leader of a session, of which nothing is left after the block.

    A code server has a session of its own; that a process belongs to the project its environment
    says.

    Args:
        project: Whose instance it uses; its output goes to ``dev.log`` there.
        command: Program and arguments.
        leftovers: Seconds after SIGINT in which all of the session is to end by itself.
        environment: Further variables.
    """
    with (project.root / "dev.log").open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=project.root,
            env=project.environment() | {"DAGSTER_HOME": str(project.root)} | environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=default_signals,
        )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(240)
        wait_until(lambda: not session(process.pid), leftovers)
    finally:
        for pid in {*session(process.pid), *_of_project(project)}:
            _kill(pid)
        process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def default_signals() -> None:
    """Whoever runs the tests may ignore SIGINT, and a child would inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def session(leader: int) -> list[int]:
    """Processes of a session that still run."""
    listing = subprocess.run(
        ["ps", "-s", str(leader), "-o", "pid=,stat="], capture_output=True, text=True
    )
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [int(pid) for pid, state in rows if not state.startswith("Z")]


def change_settings(project: Project, section: str, **changes: Any) -> None:
    """Change values below ``run_coordinator.config`` or another section of ``dagster.yaml``.

    Args:
        project: Whose file is changed.
        section: Keys with dots between them; made where it is missing.
        changes: Values by key.
    """
    path = Path(project.root / "dagster.yaml")
    settings = yaml.safe_load(path.read_text())
    values = settings
    for key in section.split("."):
        values = values.setdefault(key, {})
    values.update(changes)
    path.write_text(yaml.safe_dump(settings))


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/server_info", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        time.sleep(0.3)
        return False


def _of_project(project: Project) -> list[int]:
    """Processes with the project's folder in their environment."""
    root = str(project.root)
    return [
        process.pid
        for process in psutil.process_iter(["environ"])
        if process.pid != os.getpid()
        and (process.info["environ"] or {}).get("GR00T_ASSETS_ROOT") == root
    ]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
