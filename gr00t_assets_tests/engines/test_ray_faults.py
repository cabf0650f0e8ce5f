"""A real Ray that loses its head or a node, and a study of twelve on it under a real Dagster."""

import json
from pathlib import Path

import pytest

from gr00t_assets_tests.defs import faults
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.defs.noop_project import noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.engines.ray_cluster import Cluster, Node, ray_cluster
from gr00t_assets_tests.engines.runs_on_engine import Follower, fault_spec, starts, write_engines
from gr00t_assets_tests.engines.test_ray import JOB, finished, is_told, jobs, training, variables

pytestmark = pytest.mark.cluster

STEPS = 120
NAMES = [f"night-{index:02d}" for index in range(12)]


def prepare(project: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store of a project whose default engine is the cluster."""
    write_engines(project, ray=JOB | {"address": cluster.address})
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(project))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(project / "data" / "store"))
    monkeypatch.setenv("GR00T_ASSETS_STOP_GRACE", "10")
    return project / "data" / "store"


def test_a_lost_head_takes_its_jobs_along_and_they_go_on_once_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with ray_cluster(variables(tmp_path)) as cluster:
        spec = fault_spec(prepare(tmp_path, cluster, monkeypatch), "headless")
        follower = Follower(spec)
        training(spec, follower)
        cluster.nodes[0].kill()

        def silent() -> bool:
            return any("followed from the store" in line for line in follower.said)

        until(silent, lambda: follower.said, 30)
        cluster.start_head()
        assert finished(follower)
        assert any("knows it no longer" in line for line in follower.said), follower.said
        assert len(jobs(cluster, spec)) == 1 and len(starts(spec)) == 2


def test_a_job_that_ray_would_not_let_wait_any_longer_waits_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Ray fails a job that has waited for so long; that is no lost node."""
    monkeypatch.setattr("gr00t_assets.engines.ray_engine.RayClient.most_lost", 0)
    impatient = {"RAY_JOB_START_TIMEOUT_SECONDS": "20"}
    with ray_cluster(variables(tmp_path) | impatient, gpus=1) as cluster:
        store = prepare(tmp_path, cluster, monkeypatch)
        holder = Follower(fault_spec(store, "holder", max_steps=4000))
        training(holder.spec, holder)
        follower = Follower(fault_spec(store, "waits"))
        is_told(follower)
        until(lambda: len(jobs(cluster, follower.spec)) > 1, lambda: follower.said, 60)
        holder.stopping.set()
        assert finished(follower) and starts(follower.spec) == [0]
        holder.ended(30)


def place(project: Project, name: str, cluster: Cluster) -> str | None:
    """The address of the node that an experiment trains on and has a checkpoint; None else."""
    if faults.steps_saved(project, name) < 4:
        return None
    record = json.loads((faults.run_directory(project, name) / "job.json").read_text())
    running = [job for job in cluster.jobs() if job["submission_id"] == record["name"]]
    ended = not running or running[0]["status"] != "RUNNING"
    return None if ended else running[0]["driver_agent_http_address"]


def test_a_study_of_twelve_with_a_node_killed(tmp_path: Path):
    """Each experiment ends with each step trained once; a new node comes in place of the lost."""
    entries = [
        {"name": name, "hyperparameters": {"max_steps": STEPS, "batch_size": 1, "save_steps": 4}}
        for name in NAMES
    ]
    settings = {faults.SENSORS: "1", "GR00T_ASSETS_STOP_GRACE": "5"}
    project = noop_project(tmp_path / "project", {"ray": noop_sweep(*entries)}, settings)
    faults.watch_often(project)
    with ray_cluster(variables(project.root), gpus=1) as cluster:
        write_engines(project.root, ray=JOB | {"address": cluster.address})
        node: Node = cluster.add_node(gpus=1)
        with faults.dev(project) as page:
            page.backfill(NAMES)

            def on_node() -> bool:
                places = [place(project, name, cluster) for name in NAMES]
                return any(found is not None and f"//{node.ip}:" in found for found in places)

            until(on_node, page.log, 300)
            node.kill()
            cluster.add_node(gpus=1)

            def models() -> bool:
                return len([*(project.store.root / "runs").glob("*/*/model/config.json")]) == 12

            until(models, page.log, 900)
            until(lambda: not page.trainings("QUEUED", "STARTING", "STARTED"), page.log, 120)
    logs = [(faults.run_directory(project, name) / "log.txt").read_text() for name in NAMES]
    assert any(text.count("from step ") > 1 for text in logs), "the lost one went on"
    for seed, name in enumerate(NAMES):
        faults.finished_without_a_trace(project, name, STEPS, seed)
