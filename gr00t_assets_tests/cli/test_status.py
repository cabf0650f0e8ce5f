"""``gr00t-assets status`` of a project without a daemon; with one it is in ``test_sweep_run``."""

import json
import shutil
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import PageError, TrainingError
from gr00t_assets.core.project import Store
from gr00t_assets.defs.failures import ExplainedFailureError
from gr00t_assets.defs.status import project_status
from gr00t_assets.gpu.slots import machine_status
from gr00t_assets.runs.manifest import save_manifest
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets_tests.defs.dagster_dev import free_port
from gr00t_assets_tests.defs.died import failed, made
from gr00t_assets_tests.defs.noop_project import noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.defs.specs import a_manifest, a_spec

COMMAND = [sys.executable, "-m", "gr00t_assets.cli.main", "status"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    sweep = noop_sweep("first", "second", "third", steps=4)
    return noop_project(tmp_path, {"demo": sweep}, {"COLUMNS": "120"})


def found(project: Project) -> dict:
    done = project.run(*COMMAND, "--json")
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout[done.stdout.index("{") :])


def test_a_new_project_has_nothing_to_show(project: Project):
    done = project.run(*COMMAND)
    assert done.returncode == 0, done.stdout
    assert "no daemon takes runs from the queue: start it with `make dev`" in done.stdout
    for line in ("training: 0", "waiting in the queue: 0", "failed in the last 3 days: 0"):
        assert line in done.stdout
    everything = found(project)
    assert everything["engines"] == [
        {"name": "local", "kind": "local", "training": 0, "waiting": 0, "problem": None}
    ]
    assert 0 < everything["free_bytes"] < everything["total_bytes"]


def test_what_failed_is_told_until_it_is_repeated(project: Project):
    problem = TrainingError("first", "the loss is not a finite number.", ["lower learning_rate"])
    spec = a_spec(project.store.root, name="third")
    with project.instance() as instance:
        failed(instance, ExplainedFailureError(problem), "first")
        failed(instance, ExplainedFailureError(problem), "second")
        made(instance, "second", dg.DagsterRunStatus.NOT_STARTED, {"sweep": "demo"})
        spec.run_directory.mkdir(parents=True)
        place_spec(spec)
        save_manifest(a_manifest(spec), spec.run_directory)
        tags = {"gr00t/config_hash": spec.config_hash}
        made(instance, "third", dg.DagsterRunStatus.SUCCESS, tags)
    everything = found(project)
    (run,) = everything["failed"]
    assert (run["name"], run["made"]) == ("first", "checkpoint")
    assert run["reason"] == "TrainingError: first: the loss is not a finite number."
    (run,) = everything["finished"]
    assert (run["name"], run["progress"]["loss"]) == ("third", 0.5)
    shown = project.run(*COMMAND).stdout
    assert "the loss is not a finite number." in shown and "final loss 0.5000" in shown


def test_an_engine_that_does_not_answer_or_is_wrong_is_said_so(project: Project):
    engines = {
        "away": {"kind": "ray", "address": "http://127.0.0.1:9"},
        "odd": {"kind": "slurm", "partition": "gpu", "time_limit": "soon"},
    }
    file = project.root / "data" / "engines.yaml"
    file.write_text(yaml.safe_dump({"engines": engines}))
    with project.instance() as instance:
        made(instance, "first", dg.DagsterRunStatus.NOT_STARTED, {"engine": "away"})
    began = time.monotonic()
    everything = {engine["name"]: engine for engine in found(project)["engines"]}
    assert time.monotonic() - began < 20
    assert everything["local"]["problem"] is None
    assert "answer" in everything["away"]["problem"] and everything["away"]["waiting"] == 1
    assert "time_limit" in everything["odd"]["problem"]


@pytest.mark.parametrize("fault", ["damaged", "no YAML", "not installed", "nowhere"])
def test_a_dagster_that_cannot_be_opened_is_told_by_every_command(
    project: Project, monkeypatch: pytest.MonkeyPatch, fault: str
):
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(project.root))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(project.store.root))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    history = project.root / "data" / "dagster" / "history"
    if fault == "damaged":
        history.mkdir(parents=True)
        (history / "runs.db").write_bytes(bytes(range(256)) * 32)
    elif fault == "no YAML":
        (project.root / "dagster.yaml").write_text("storage: [")
    elif fault == "not installed":
        storage = {"custom": {"module": "nowhere", "class": "Storage"}}
        (project.root / "dagster.yaml").write_text(yaml.safe_dump({"storage": storage}))
    else:
        monkeypatch.setenv("DAGSTER_HOME", str(project.root / "nowhere"))
    port = str(free_port())
    for command in ("status", "sweep run demo", "store rematerialize", f"dev --port {port}"):
        result = CliRunner().invoke(app, command.split())
        assert isinstance(result.exception, PageError), (command, result.exception)
        assert "Dagster's database cannot be opened" in str(result.exception)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="another disk than that of /")
def test_the_disk_is_that_of_a_store_that_is_yet_to_be_made(project: Project):
    store = Store(Path("/dev/shm/not/there"))
    with project.instance() as instance:
        told = project_status(instance, machine_status(store), store)
    assert told.total_bytes == shutil.disk_usage("/dev/shm").total
