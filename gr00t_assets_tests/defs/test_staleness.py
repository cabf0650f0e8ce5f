"""A changed sweep file makes the checkpoints stale of what it changes, and nothing else."""

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from gr00t_assets_tests.defs.noop_project import MODULE, noop_events, noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project

ROUND = f"""
import json
import sys
import warnings
warnings.simplefilter("ignore")
import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from {MODULE} import defs
from gr00t_assets.core.project import Store
from gr00t_assets.defs.sensors import observe_experiments
from gr00t_assets.defs.partitions import EXPERIMENTS

key = dg.AssetKey("checkpoint")
with dg.DagsterInstance.from_config(".") as instance:
    def train(names):
        job = defs.resolve_implicit_global_asset_job_def()
        for name in names:
            job.execute_in_process(instance=instance, partition_key=name, asset_selection=[key])
    def tick(cursor=None):
        store = Store.from_environment()
        context = dg.build_sensor_context(instance, cursor, resources={{"store": store}})
        result = observe_experiments.evaluate_tick(context)
        for event in result.asset_events:
            instance.report_runless_asset_event(event)
        return sorted(event.partition for event in result.asset_events), result.cursor
    def look():
        graph = defs.resolve_asset_graph()
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        return {{name: [resolver.get_status(key, name).value,
                       *(cause.reason for cause in resolver.get_stale_causes(key, name))]
                for name in EXPERIMENTS}}
    train(sys.argv[2:])
    observed, cursor = tick()
    before, again = look(), tick(cursor)[0]
    if sys.argv[1] == "missing-or-stale":
        train(name for name, (status, *_) in before.items() if status != "FRESH")
    tags = [{{name: run.tags.get(name) for name in ("user", "sweep", "engine")}}
            for run in instance.get_runs()]
    print(json.dumps([observed, again, before, look(), tags]))
"""


class Round(NamedTuple):
    """What one load of the definitions does: it trains, observes, and looks at each checkpoint."""

    observed: list[str]
    again: list[str]
    status: dict[str, list[str]]
    after: dict[str, list[str]]
    tags: list[dict[str, str]]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    sweeps = {"rates": noop_sweep("a", "b", "c")}
    return noop_project(tmp_path, sweeps, {"GR00T_ASSETS_USER": "ana"})


def look(project: Project, *trained_before: str, then: str = "nothing") -> Round:
    """Train experiments, have one tick of the sensor, and ask Dagster for status and causes.

    ``then`` may be ``missing-or-stale``: to train what is, before looking again.
    """
    result = project.run(sys.executable, "-c", ROUND, then, *trained_before)
    assert result.returncode == 0, result.stdout
    found = Round(*json.loads(result.stdout.splitlines()[-1]))
    assert found.again == [], "the same files are observed once"
    return found


def change(project: Project, name: str, learning_rate: float = 1e-4, **fields: object) -> None:
    """Edit one experiment in the sweep's file."""
    file = project.root / "data" / "sweeps" / "rates.yaml"
    content = yaml.safe_load(file.read_text())
    (entry,) = (entry for entry in content["experiments"] if entry["name"] == name)
    entry["hyperparameters"]["learning_rate"] = learning_rate
    entry |= fields
    file.write_text(yaml.safe_dump(content))


def trained(project: Project) -> list[str]:
    return [event["experiment"] for event in noop_events(project) if event["event"] == "start"]


def test_what_a_sweep_file_changes_is_stale_and_the_rest_is_not(project: Project) -> None:
    first = look(project, "a", "b")
    assert first.observed == ["c"], "the runs have said which versions they train"
    assert first.status == {"a": ["FRESH"], "b": ["FRESH"], "c": ["MISSING"]}
    assert first.tags == [{"user": "ana", "sweep": "rates", "engine": "local"}] * 2

    change(project, "b", learning_rate=5e-5)
    second = look(project, then="missing-or-stale")
    assert second.observed == ["b"]
    reason = "has a new dependency data version"
    assert second.status == {"a": ["FRESH"], "b": ["STALE", reason], "c": ["MISSING"]}
    assert trained(project) == ["a", "b", "b", "c"]
    assert second.after == {"a": ["FRESH"], "b": ["FRESH"], "c": ["FRESH"]}

    # Words and priorities train nothing; a run that is ahead of the sensor is up to date.
    change(project, "a", hypothesis="It falls.", priority=3)
    change(project, "c", learning_rate=5e-5)
    third = look(project, "c")
    assert third.observed == []
    assert third.status == {"a": ["FRESH"], "b": ["FRESH"], "c": ["FRESH"]}


def test_before_its_data_is_there_an_experiment_has_a_version_of_its_settings(
    project: Project,
) -> None:
    config = project.store.modality_config("demo")
    content = config.read_bytes()
    config.unlink()
    assert look(project).observed == ["a", "b", "c"]
    change(project, "c", learning_rate=5e-5)
    config.write_bytes(content)
    assert look(project).observed == ["a", "b", "c"], "the config hash needs the data"
