"""Keys of the environment reach no file, log, metadata or process list, whatever happens."""

import base64
import http.server
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.datasets.source_kinds import GitSource
from gr00t_assets.datasets.sources.git_source import fetch_git
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.small_dataset import small_dataset

CANARIES = {
    "WANDB_API_KEY": "0canary0" * 5,
    "HF_TOKEN": "hf_canaryCANARYcanaryCANARY",
    "HUGGING_FACE_HUB_TOKEN": "hf_olderCANARYolderCANARY",
    "AWS_SECRET_ACCESS_KEY": "awsCANARYawsCANARYawsCANARY",
}
PASSWORD = "gitCANARYpassword"
DATASETS = {
    "small": small_dataset(2),
    "private": {
        "description": "A repository that cannot be had",
        "source": {
            "kind": "git",
            "repository": f"http://anna:{PASSWORD}@127.0.0.1:9/none.git",
            "revision": "0" * 40,
            "path": "data",
        },
        "data_config": "fourier_gr1_arms_only",
    },
}
TINY = {"batch_size": 2, "max_steps": 2, "save_steps": 1, "logging_steps": 1}
SWEEP = {
    "defaults": {"dataset": "small", "hyperparameters": TINY},
    "experiments": [
        {"name": "good", "hyperparameters": {"augmentation": "none"}},
        {"name": "offline", "hyperparameters": {"learning_rate": 2e-4}},
        {"name": "bad", "base_model": "./no/such/model"},
    ],
}


@contextmanager
def process_list(seen: set[bytes]) -> Iterator[None]:
    """Put every command line of this machine into ``seen`` while the block lasts."""
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue
            time.sleep(0.01)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def where(content: bytes, what: str) -> list[str]:
    secrets = [*CANARIES.values(), PASSWORD]
    return [f"{secret} in {what}" for secret in secrets if secret.encode() in content]


def leaks(project: Project) -> list[str]:
    """Every file of the project but its own catalog, and each row of every SQLite database."""
    found = []
    for path in sorted(project.root.rglob("*")):
        if not path.is_file() or path == project.root / "data" / "datasets.yaml":
            continue
        found += where(path.read_bytes(), str(path.relative_to(project.root)))
        if path.suffix == ".db":
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                for line in database.iterdump():
                    found += where(line.encode(), f"rows of {path.name}")
    return sorted(set(found))


def planted(root: Path, **more: str) -> Project:
    project = make_project(root, DATASETS, {"tiny": SWEEP})
    return Project(project.root, {**CANARIES, "WANDB_MODE": "disabled", **more})


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs Linux's /proc")
def test_no_key_is_left_anywhere_by_a_whole_chain(tmp_path: Path) -> None:
    project = planted(tmp_path)
    said, commands = b"", set[bytes]()
    with process_list(commands):
        for asset, partition, code in (
            ("dataset", "small", 0),
            ("dataset", "private", 1),
            ("modality_config", "small", 0),
            ("frame_cache", "small", 0),
            ("checkpoint", "good", 0),
            ("checkpoint", "bad", 1),
            ("open_loop_evaluation", "good", 0),
            ("promoted_model", "good", 1),
            ("promoted by hand", "good", 0),
            ("promoted_model", "good", 0),
            ("loss_comparison", None, 0),
            ("research_journal", None, 0),
        ):
            if asset == "promoted by hand":
                command = (
                    "gr00t_assets.cli.main",
                    "model",
                    "promote",
                    "good",
                    "--because",
                    "a test",
                )
                result = project.run(sys.executable, "-m", *command)
            else:
                result = project.materialize(asset, partition, timeout=600)
            assert result.returncode == code, result.stdout
            said += result.stdout.encode()
        offline = Project(project.root, {**project.variables, "WANDB_MODE": "offline"})
        result = offline.materialize("checkpoint", "offline", timeout=600)
        assert result.returncode == 0, result.stdout
        said += result.stdout.encode()
    for report in ("loss_comparison.html", "research_journal.md"):
        assert (project.store.root / "reports" / report).is_file()
    assert list((project.store.root / "runs" / "offline").glob("*/wandb/*"))
    assert any(b"gr00t_assets.trainers.native" in command for command in commands)
    assert leaks(project) == []
    assert where(said, "what the commands print") == []
    assert [leak for command in commands for leak in where(command, repr(command))] == []


def test_git_gets_the_password_of_an_address_and_nobody_sees_it(tmp_path: Path) -> None:
    asked: list[str | None] = []
    commands: set[bytes] = set()

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            until(lambda: any(b"remote-http" in line for line in set(commands)), lambda: commands)
            asked.append(self.headers.get("Authorization"))
            self.send_response(404 if asked[-1] else 401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://anna:{PASSWORD}@127.0.0.1:{server.server_port}/none.git"
    source = GitSource(kind="git", repository=address, revision="0" * 40, path="data")
    try:
        with process_list(commands), pytest.raises(DatasetError) as caught:
            fetch_git(source, tmp_path / "download", "private", lambda line: None)
    finally:
        server.shutdown()
    assert f"Basic {base64.b64encode(f'anna:{PASSWORD}'.encode()).decode()}" in asked
    assert PASSWORD not in str(caught.value)
    assert any(b"remote-http" in command for command in commands)
    assert [leak for command in commands for leak in where(command, repr(command))] == []


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    project = planted(tmp_path)
    (tmp_path / "data" / "log.txt").write_text(f"key {CANARIES['HF_TOKEN']}\n")
    database = sqlite3.connect(tmp_path / "data" / "x.db")
    with database:
        database.execute("create table t (a text)")
        database.execute("insert into t values (?)", (CANARIES["WANDB_API_KEY"],))
    database.close()
    found = leaks(project)
    assert any("data/log.txt" in leak for leak in found)
    assert any("rows of x.db" in leak for leak in found)
