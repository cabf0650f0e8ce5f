"""The run queue of the checked-in ``dagster.yaml``."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from gr00t_assets.core.errors import user_name
from gr00t_assets.defs.queue import GpuTaggingRunCoordinator
from gr00t_assets_tests.defs.dagster_dev import LAUNCH, change_settings, in_session
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.gpu.test_guard import wait_until

MODULE = "gr00t_assets_tests.defs.training_definitions"

TRAINER = """
import sys, time
from pathlib import Path
with open(Path(sys.argv[1]) / "times", "a") as file:
    file.write(f"{time.time()} begin\\n")
    file.flush()
    time.sleep(1.5)
    file.write(f"{time.time()} end\\n")
"""
DAEMON = "from dagster._daemon.cli import main; main()"
BY_ANA = {"GR00T_ASSETS_USER": "ana"}


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give this machine so many slots, on its CPU."""

    def set_to(number: int) -> None:
        monkeypatch.setenv("GR00T_ASSETS_GPUS", "")
        monkeypatch.setenv("GR00T_ASSETS_CPU_SLOTS", str(number))

    return set_to


def launched(project: Project, asset: str) -> dg.DagsterRun:
    """Launch an asset as the page does: the same GraphQL, a code server, no tag of a job."""
    params = {
        "selector": {
            "repositoryLocationName": MODULE,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": [asset]}],
        },
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "lr1e-3"}]},
    }
    command = [sys.executable, "-c", "from dagster_graphql.cli import main; main()"]
    arguments = ["-m", MODULE, "-t", LAUNCH, "-v", json.dumps({"params": params})]
    result = project.run(*command, *arguments, DAGSTER_HOME=str(project.root))
    assert "LaunchRunSuccess" in result.stdout, result.stdout
    with project.instance() as instance:
        return instance.get_runs(limit=1)[0]


def queue_limits(project: Project) -> tuple[list[Mapping[str, Any]], int]:
    """Limits on tags, and on runs at all."""
    with project.instance() as instance:
        limits = instance.get_concurrency_config().run_queue_config
    assert limits is not None
    return list(limits.tag_concurrency_limits), limits.max_concurrent_runs


def started_limit(runs: int) -> dict[str, Any]:
    return {"key": "gr00t/slot", "value": "wanted", "limit": runs}


def test_dagster_yaml_names_our_queue_and_no_number(tmp_path: Path, slots: Callable[[int], None]):
    slots(1)
    project = make_project(tmp_path)
    with project.instance() as instance:
        assert isinstance(instance.run_coordinator, GpuTaggingRunCoordinator)
        assert not instance.get_settings("concurrency")
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
    assert queue_limits(project) == ([started_limit(2)], 12)
    assert (tmp_path / "data" / "dagster" / "history").is_dir()


def test_the_slots_are_the_one_number(tmp_path: Path, slots: Callable[[int], None]):
    slots(4)
    assert queue_limits(make_project(tmp_path)) == ([started_limit(8)], 24)


def test_a_limit_of_ones_own_is_kept(tmp_path: Path, slots: Callable[[int], None]):
    slots(4)
    project = make_project(tmp_path)
    own = [{"key": "gpu", "limit": 3}, {"key": "robot", "limit": 1}]
    change_settings(project, "run_coordinator.config", tag_concurrency_limits=own)
    assert queue_limits(project)[0] == own


def test_a_dagster_yaml_of_version_0_1_still_holds_the_queue_back(
    tmp_path: Path, slots: Callable[[int], None]
):
    slots(4)
    project = make_project(tmp_path)
    change_settings(project, "concurrency.pools", granularity="op", default_limit=2)
    assert queue_limits(project)[0] == [started_limit(2)]
    command = [sys.executable, "-m", "gr00t_assets.cli.main", "gpu", "status"]
    shown = " ".join(project.run(*command).stdout.split())
    assert "dagster.yaml still has concurrency.pools.default_limit: 2." in shown
    change_settings(project, "concurrency.pools", default_limit=9)
    assert queue_limits(project)[0] == [started_limit(8)], "the slots are fewer"


def test_a_run_that_trains_is_tagged_and_queued(tmp_path: Path):
    run = launched(replace(make_project(tmp_path), variables=BY_ANA), "checkpoint")
    assert run.status == dg.DagsterRunStatus.QUEUED
    assert (run.tags["gpu"], run.tags["user"]) == ("true", "ana")


def test_a_run_that_trains_nothing_has_no_tag_but_who_launched_it(tmp_path: Path):
    run = launched(make_project(tmp_path), "compared")
    assert run.status == dg.DagsterRunStatus.QUEUED
    assert "gpu" not in run.tags and run.tags["user"] == user_name()


def test_the_daemon_trains_one_at_a_time(tmp_path: Path):
    project = make_project(tmp_path)
    times = a_spec(project.store.root).run_directory / "times"
    for _ in range(2):
        launched(project, "checkpoint")
    daemon = [sys.executable, "-c", DAEMON, "run", "-m", MODULE]
    with in_session(project, daemon, 0, TRAINER=TRAINER, GR00T_ASSETS_CPU_SLOTS="1"):
        both = wait_until(lambda: times.is_file() and times.read_text().count("end") == 2, 360)
    assert both, times.read_text() if times.is_file() else "no run was started"
    order = [line.split()[1] for line in sorted(times.read_text().splitlines())]
    assert order == ["begin", "end", "begin", "end"]
