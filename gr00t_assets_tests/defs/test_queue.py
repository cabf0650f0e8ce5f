"""The run queue of the checked-in ``dagster.yaml``."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from gr00t_assets.defs.queue import GpuTaggingRunCoordinator
from gr00t_assets_tests.defs.dagster_dev import LAUNCH, change_settings
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


@contextmanager
def daemon(project: Project, **environment: str) -> Iterator[None]:
    """Dagster's daemon, which takes runs from the queue, for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON, "run", "-m", MODULE],
        cwd=project.root,
        env=project.environment() | {"DAGSTER_HOME": str(project.root)} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(240)


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


def test_dagster_yaml_names_our_queue_and_its_limits(tmp_path: Path):
    with make_project(tmp_path).instance() as instance:
        assert isinstance(instance.run_coordinator, GpuTaggingRunCoordinator)
        limits = instance.get_concurrency_config()
        assert limits.pool_config.pool_granularity is not None
        assert limits.pool_config.pool_granularity.value == "op"
        assert limits.pool_config.default_pool_limit == 1
        assert limits.run_queue_config is not None
        assert list(limits.run_queue_config.tag_concurrency_limits) == [{"key": "gpu", "limit": 3}]
        assert limits.run_queue_config.max_concurrent_runs == 11
        assert limits.run_queue_config.op_concurrency_slot_buffer == 1
        assert limits.run_queue_config.should_block_op_concurrency_limited_runs
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        monitoring = instance.get_settings("run_monitoring")
        assert monitoring["free_slots_after_run_end_seconds"] == 10
    assert (tmp_path / "data" / "dagster" / "history").is_dir()


def test_one_number_changes_every_limit(tmp_path: Path):
    project = make_project(tmp_path)
    change_settings(project, default_limit=4)
    with project.instance() as instance:
        limits = instance.get_concurrency_config()
    assert limits.pool_config.default_pool_limit == 4
    assert limits.run_queue_config is not None
    assert list(limits.run_queue_config.tag_concurrency_limits) == [{"key": "gpu", "limit": 9}]
    assert limits.run_queue_config.max_concurrent_runs == 17


def test_a_run_that_trains_is_tagged_and_queued(tmp_path: Path):
    run = launched(make_project(tmp_path), "trained")
    assert run.status == dg.DagsterRunStatus.QUEUED
    assert run.tags["gpu"] == "true"


def test_a_run_that_trains_nothing_has_no_tag(tmp_path: Path):
    run = launched(make_project(tmp_path), "compared")
    assert run.status == dg.DagsterRunStatus.QUEUED
    assert "gpu" not in run.tags


def test_the_daemon_trains_one_at_a_time(tmp_path: Path):
    project = make_project(tmp_path)
    times = a_spec(project.store.root).run_directory / "times"
    for _ in range(2):
        launched(project, "trained")
    with daemon(project, TRAINER=TRAINER, GR00T_ASSETS_CPU_SLOTS="2"):
        both = wait_until(lambda: times.is_file() and times.read_text().count("end") == 2, 360)
    assert both, times.read_text() if times.is_file() else "no run was started"
    order = [line.split()[1] for line in sorted(times.read_text().splitlines())]
    assert order == ["begin", "end", "begin", "end"]
