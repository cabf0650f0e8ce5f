"""The run queue of the checked-in ``dagster.yaml``."""

import json
import sys
from pathlib import Path

import dagster as dg

from gr00t_assets.defs.queue import GpuTaggingRunCoordinator
from gr00t_assets_tests.defs.project import Project, make_project


MODULE = "gr00t_assets_tests.defs.training_definitions"

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


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
        (run,) = instance.get_runs()
    return run


def test_dagster_yaml_names_our_queue_and_its_limits(tmp_path: Path):
    with make_project(tmp_path).instance() as instance:
        assert isinstance(instance.run_coordinator, GpuTaggingRunCoordinator)
        limits = instance.get_concurrency_config()
        assert limits.pool_config.pool_granularity is not None
        assert limits.pool_config.pool_granularity.value == "op"
        assert limits.pool_config.default_pool_limit == 1
        assert limits.run_queue_config is not None
        assert list(limits.run_queue_config.tag_concurrency_limits) == [{"key": "gpu", "limit": 8}]
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        monitoring = instance.get_settings("run_monitoring")
        assert monitoring["free_slots_after_run_end_seconds"] == 10
    assert (tmp_path / "data" / "dagster" / "history").is_dir()


def test_a_run_that_trains_is_tagged_and_queued(tmp_path: Path):
    run = launched(make_project(tmp_path), "trained")
    assert run.status == dg.DagsterRunStatus.QUEUED
    assert run.tags["gpu"] == "true"


def test_a_run_that_trains_nothing_has_no_tag(tmp_path: Path):
    run = launched(make_project(tmp_path), "compared")
    assert run.status == dg.DagsterRunStatus.QUEUED
    assert "gpu" not in run.tags
