"""``sweep run`` and ``status`` with a real ``gr00t-assets dev``, daemon and trainers."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets_tests.defs.dagster_dev import Page, dagster_dev, default_signals
from gr00t_assets_tests.defs.noop_project import (
    TWO_GPUS,
    gate,
    noop_events,
    noop_project,
    noop_sweep,
)
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.gpu.test_guard import wait_until

COMMAND = [sys.executable, "-m", "gr00t_assets.cli.main"]
LATER = {"name": "later", "continue_from": "first", "hyperparameters": {"max_steps": 60}}
NIGHT = noop_sweep({"name": "second", "priority": 5}, "first", steps=40)
SWEEPS = {
    "night": NIGHT | {"experiments": [*NIGHT["experiments"], LATER]},
    "held": noop_sweep("gated", steps=200),
    "wrong": noop_sweep("single", {"name": "pair", **TWO_GPUS}, steps=1),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    slots = {"NOOP_STEP_SECONDS": "0.05", "GR00T_ASSETS_CPU_SLOTS": "1"}
    project = noop_project(tmp_path_factory.mktemp("project"), SWEEPS, slots)
    with dagster_dev(project) as served:
        yield served


@pytest.fixture(scope="module")
def night(page: Page) -> subprocess.CompletedProcess[str]:
    """The sweep ``night``, trained to its end: three runs."""
    return run(page.project, "sweep", "run", "night", "--wait")


@pytest.fixture
def held_at(page: Page) -> Iterator[Path]:
    """The gate at which ``gated`` waits while it is there; a test that fails holds up no other."""
    file = gate(page.project, "gated")
    yield file
    file.unlink(missing_ok=True)


def run(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command with its output and its messages apart."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=project.root,
        env=project.environment() | {"DAGSTER_HOME": str(project.root)},
        capture_output=True,
        text=True,
        timeout=600,
    )


def start(project: Project, *arguments: str, stdout: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=project.root,
        env=project.environment() | {"DAGSTER_HOME": str(project.root), "TERM": "xterm"},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_signals,
    )


def test_without_a_daemon_nothing_is_asked_for(tmp_path: Path):
    project = noop_project(tmp_path, {"night": noop_sweep("first")})
    done = project.run(*COMMAND, "sweep", "run", "night")
    assert done.returncode == 1
    assert "no daemon takes runs from the queue: start it with `make dev`" in done.stdout
    with project.instance() as instance:
        assert not instance.get_runs()
    done = project.run(*COMMAND, "sweep", "run", "nigth")
    assert done.returncode == 1 and "night" in done.stdout


def test_what_is_missing_is_asked_for_watched_and_finished(
    page: Page, night: subprocess.CompletedProcess[str]
):
    project, done = page.project, night
    assert done.returncode == 0, done.stdout + done.stderr + page.log()
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"second: asked for, run [0-9a-f]{8}", lines[0])
    assert re.fullmatch(r"first: asked for, run [0-9a-f]{8}", lines[1])
    assert lines[2].startswith("later: not asked for: it goes on from first, which is not trained")
    assert "asked for 2 of 3 experiments" in lines
    seen = "\n".join(line.partition(" ")[2] for line in lines)
    for name in ("first", "second", "later"):
        assert f"{name}: training" in seen and f"{name}: finished" in seen, done.stdout
    assert lines[-1].endswith("3 finished")
    started = [event["experiment"] for event in noop_events(project) if event["event"] == "start"]
    # The daemon starts several at a time: which of the two reaches the slot first is open.
    assert sorted(started[:2]) == ["first", "second"] and started[2:] == ["later"], "each once"
    tags = {item["tags"]["dagster/partition"]: item["tags"] for item in page.trainings()}
    assert tags["second"]["dagster/priority"] == "5"
    assert {tags[name]["sweep"] for name in tags} == {"night"}
    assert all(tag["gr00t/config_hash"] for tag in tags.values())


@pytest.mark.usefixtures("night")
def test_the_table_of_a_terminal_and_nothing_is_trained_twice(page: Page):
    before = len(page.trainings())
    ours, theirs = pty.openpty()
    process = start(page.project, "sweep", "run", "night", "--wait", stdout=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"experiment +state +step +loss +samples/s +left +engine +node", text), text
    assert "later: not asked for: it is trained" in text and "asked for 0 of 3" in text
    assert len(page.trainings()) == before
    assert re.search(r"later +finished +60 of 60 +[0-9.]+ +[0-9.]+ +local", text), text


@pytest.mark.cluster
@pytest.mark.usefixtures("night")
def test_ctrl_c_ends_the_watching_alone_and_status_shows_what_trains(page: Page, held_at: Path):
    project = page.project
    process = start(project, "sweep", "run", "held", "--wait", stdout=subprocess.PIPE)
    metrics = project.store.root / "runs" / "gated"
    assert wait_until(
        lambda: any(file.stat().st_size for file in metrics.glob("*/metrics.jsonl")), 600
    )
    held_at.touch()
    assert process.stdout is not None
    assert any("gated: training" in line for line in process.stdout), "until it says so"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "no longer watched; the runs go on" in errors
    found = status(project)
    (training,) = found["training"]
    assert (training["experiment"], training["sweep"], training["trains"]) == (
        "gated",
        "held",
        True,
    )
    assert training["progress"]["steps"] == 200 and training["engine"] == "local"
    assert found["queue"]["daemon_alive"]
    local = found["engines"][0]
    assert (local["name"], local["training"], local["problem"]) == ("local", 1, None)
    shown = run(project, "status").stdout
    assert re.search(r"gated +\w+ +\d+ of 200 +[0-9.]+", shown), shown
    assert "finished in the last 3 days: 3" in shown and "later" in shown
    again = start(project, "sweep", "run", "held", "--wait", stdout=subprocess.PIPE)
    assert again.stdout is not None
    line = again.stdout.readline()
    assert line.startswith("gated: not asked for: run "), "it trains by the first one's asking"
    held_at.unlink()
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0 and "gated: finished" in output, output


@pytest.mark.cluster
def test_what_cannot_be_trained_is_1_with_the_reason(page: Page):
    done = run(page.project, "sweep", "run", "wrong", "--wait", "--json")
    assert done.returncode == 1, done.stdout
    states = {item["experiment"]: item for item in json.loads(done.stdout)}
    assert states["single"]["state"] == "finished" and states["single"]["progress"]["step"] == 1
    assert states["pair"]["state"] == "failed" and "GPU" in states["pair"]["reason"]
    assert done.stderr.startswith("pair: run ") and "GPU" in done.stderr
    shown = run(page.project, "status").stdout
    assert re.search(r"failed in the last 3 days: \d+\n.*\n *pair .*GPU", shown), shown


@pytest.mark.usefixtures("night")
def test_an_engine_for_these_runs_is_a_tag_and_one_that_is_not_there_is_refused(page: Page):
    refused = run(page.project, "sweep", "run", "night", "--engine", "lcal")
    assert refused.returncode == 1 and "local" in refused.stderr
    refused = run(page.project, "sweep", "run", "night", "--engine", "local", "--array")
    assert refused.returncode == 1 and "slurm" in refused.stderr
    sweep = noop_sweep("fresh", steps=1)
    file = page.project.root / "data" / "sweeps" / "fresh.yaml"
    file.write_text(json.dumps(sweep))
    done = run(page.project, "sweep", "run", "fresh", "--engine", "local", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr + page.log()
    (tags,) = [
        item["tags"] for item in page.trainings() if item["tags"]["dagster/partition"] == "fresh"
    ]
    assert (tags["engine"], tags["sweep"]) == ("local", "fresh")


def status(project: Project) -> dict:
    done = run(project, "status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
