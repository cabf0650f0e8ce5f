"""The queue with everybody at it: page, backfill and command line, by ``gr00t-assets dev``."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from gr00t_assets.gpu.wait_queue import waiting
from gr00t_assets_tests.defs.dagster_dev import Page, dagster_dev
from gr00t_assets_tests.defs.noop_project import (
    MODULE,
    TWO_GPUS,
    gate,
    most_at_once,
    noop_events,
    noop_log,
    noop_project,
    noop_sweep,
)
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.gpu.test_guard import wait_until

pytestmark = pytest.mark.cluster

PATIENCE = 900.0
COMMAND = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", MODULE]


def materialized(project: Project, experiment: str) -> subprocess.Popen[bytes]:
    """``dagster asset materialize`` of one experiment, started."""
    return subprocess.Popen(
        [*COMMAND, "--select", "checkpoint", "--partition", experiment],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def all_end(page: Page, project: Project, runs: int) -> None:
    """Wait until so many runs are there and none of them is open."""

    def ended() -> bool:
        found = page.trainings()
        return len(found) == runs and all(run["endTime"] for run in found)

    assert wait_until(ended, PATIENCE), (page.trainings(), noop_events(project))


def started(project: Project, experiment: str) -> bool:
    return any(event["experiment"] == experiment for event in noop_events(project))


def order(project: Project) -> list[str]:
    """Experiments in the order in which their trainings began."""
    return [event["experiment"] for event in noop_events(project) if event["event"] == "start"]


def test_page_backfill_and_command_line_keep_one_limit(tmp_path: Path):
    names = [f"run-{number}" for number in range(7)]
    slots = {"GR00T_ASSETS_CPU_SLOTS": "2", "NOOP_STEP_SECONDS": "2"}
    project = noop_project(tmp_path, {"s": noop_sweep(*names)}, slots)
    with dagster_dev(project) as page:
        page.backfill(names[:3])
        shells = [materialized(project, name) for name in names[5:]]
        try:
            for name in names[3:5]:
                page.launch(name)
            all_end(page, project, len(names))
            assert [shell.wait(240) for shell in shells] == [0, 0]
        finally:
            for shell in shells:
                shell.kill()
                shell.wait()
        runs = page.trainings()
    events = noop_events(project)
    assert sorted(order(project)) == names
    assert most_at_once(events) == 2, "the machine has two slots"
    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert {run["tags"].get("gpu") for run in runs} == {"true"}
    assert {run["tags"].get("gr00t/slot") for run in runs} == {"released"}
    assert sorted(run["tags"]["dagster/partition"] for run in runs) == names


def test_a_higher_priority_is_taken_first(tmp_path: Path):
    entries = [{"name": name} for name in ("first", "ready", "low", "tagged")]
    sweep = noop_sweep(*entries, {"name": "high", "priority": 5})
    one = {"GR00T_ASSETS_CPU_SLOTS": "1"}
    project = noop_project(tmp_path, {"s": sweep}, one)
    expected = ["first", "ready", "tagged", "high", "low"]
    for name in expected:
        gate(project, name).touch()
    with dagster_dev(project) as page:
        page.launch("first")
        assert wait_until(lambda: started(project, "first"), PATIENCE)
        page.launch("ready")
        assert wait_until(lambda: slot_waiters(project) == ["ready"], PATIENCE)
        low, high = page.launch("low"), page.launch("high")
        tagged = page.launch("tagged", {"dagster/priority": "9"})
        queued = {run["runId"]: run["tags"] for run in page.trainings("QUEUED")}
        assert set(queued) == {low, high, tagged}
        assert queued[high]["dagster/priority"] == "5", "from the sweep file"
        shown = project.run(sys.executable, "-m", "gr00t_assets.cli.main", "gpu", "status").stdout
        for name, following in pairwise(expected):
            assert wait_until(lambda next=following: slot_waiters(project) == [next], PATIENCE)
            gate(project, name).unlink()
        gate(project, "low").unlink()
        all_end(page, project, 5)
    assert order(project) == expected
    places = [shown.index(f" {name} ") for name in expected]
    assert places == sorted(places), shown
    assert "1 of 1 trainings at once" in shown


def slot_waiters(project: Project) -> list[str]:
    """Experiments whose runs are up and wait for a slot: one, of a machine that has one slot."""
    return [waiter.experiment for waiter in waiting(project.store)]


def test_pairs_and_singles_share_four_devices(tmp_path: Path):
    pairs = [{"name": f"pair-{number}", **TWO_GPUS} for number in range(3)]
    singles = [{"name": f"single-{number}"} for number in range(6)]
    groups = zip(pairs, singles[::2], singles[1::2], strict=True)
    mixed = [entry for group in groups for entry in group]
    slots = {"GR00T_ASSETS_GPUS": "0,1,2,3", "NOOP_STEP_SECONDS": "1"}
    project = noop_project(tmp_path, {"s": noop_sweep(*mixed)}, slots)
    first = [entry["name"] for entry in mixed[:3]]
    for name in first:
        gate(project, name).touch()
    with dagster_dev(project) as page:
        for name in first:
            page.launch(name)
        assert wait_until(lambda: all(started(project, name) for name in first), PATIENCE)
        for entry in mixed[3:]:
            page.launch(entry["name"])
        for name in first:
            gate(project, name).unlink()
        all_end(page, project, len(mixed))
        assert {run["status"] for run in page.trainings()} == {"SUCCESS"}
    events = noop_events(project)
    taken: dict[str, str] = {}
    for event in events:
        devices = event["devices"].split(",")
        assert len(set(devices)) == (2 if event["experiment"].startswith("pair") else 1)
        for device in devices:
            if event["event"] == "start":
                assert device not in taken, f"{event} while {taken} trains"
                taken[device] = event["experiment"]
            else:
                del taken[device]
    assert not taken
    assert {device for event in events for device in event["devices"].split(",")} == set("0123")


def test_who_waits_for_a_slot_in_a_shell_sleeps(tmp_path: Path):
    project = noop_project(tmp_path, {"s": noop_sweep("a", "b")}, {"GR00T_ASSETS_CPU_SLOTS": "1"})
    gate(project, "a").touch()
    first = materialized(project, "a")
    waits = None
    try:
        assert wait_until(lambda: started(project, "a"), PATIENCE)
        waits = materialized(project, "b")
        assert wait_until(lambda: len(waiting(project.store)) == 1, PATIENCE)
        before = processor_seconds(waits.pid)
        assert not wait_until(lambda: not gate(project, "a").exists(), 6)
        spent = processor_seconds(waits.pid) - before
        assert not started(project, "b")
        gate(project, "a").unlink()
        assert (first.wait(PATIENCE), waits.wait(PATIENCE)) == (0, 0)
    finally:
        for shell in filter(None, (first, waits)):
            shell.kill()
            shell.wait()
    assert spent < 2, "of six seconds; one that asks without a pause spends as many as it gets"
    assert noop_log(project).is_file()
    with project.instance() as instance:
        assert [run.tags.get("gpu") for run in instance.get_runs()] == ["true", "true"]


def processor_seconds(pid: int) -> float:
    """Of a process and the children that it has collected."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
