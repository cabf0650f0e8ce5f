"""Runs of a real Dagster whose trainings are jobs of a real Slurm."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets_tests.defs import faults
from gr00t_assets_tests.defs.dagster_dev import Page
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.defs.noop_project import noop_project, noop_sweep
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.engines.conftest import LAB
from gr00t_assets_tests.engines.runs_on_engine import write_engines
from gr00t_assets_tests.engines.slurm_cluster import SlurmCluster

STEPS, LONG = 120, 400
SETTINGS = {"max_steps": STEPS, "batch_size": 1, "save_steps": 4}


def make(root: Path, cluster: SlurmCluster, names: list[str], **engine: int) -> Project:
    """A project whose default engine is the cluster."""
    long = {"whole": {"max_steps": LONG}}
    entries = [{"name": name, "hyperparameters": SETTINGS | long.get(name, {})} for name in names]
    variables = {
        "NOOP_STEP_SECONDS": "0.1",
        "FAULT_FAST_AGAIN": "1",
        "GR00T_ASSETS_STOP_GRACE": "5",
        **cluster.variables,
    }
    project = noop_project(root, {"slurm": noop_sweep(*entries)}, variables)
    write_engines(project.root, lab=LAB | engine)
    faults.watch_often(project)
    return project


@pytest.fixture(scope="module")
def page(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    project = make(tmp_path_factory.mktemp("project"), cluster, ["worker", "cancelled", "whole"])
    with faults.dev(project) as found:
        yield found


def train(page: Page, name: str) -> str:
    """Launch an experiment and wait until its job has written a checkpoint; its run."""
    run = page.launch(name)
    until(lambda: faults.steps_saved(page.project, name) >= 4, page.log, 90)
    return run


def own_jobs(cluster: SlurmCluster, name: str) -> list[dict[str, str]]:
    return [job for job in cluster.jobs() if job["comment"].split()[0] == name]


def run_worker(project: Project, run: str) -> list[faults.Process]:
    """The process that carries out a run: it holds its lock."""
    (lock,) = (project.store.root / "run_workers").glob(f"*/{run}.lock")
    process = int(lock.read_text().split()[1])
    return [each for each in faults.processes(project) if each.pid == process]


def test_a_killed_run_worker_leaves_the_job_which_the_next_run_attaches_to(
    page: Page, cluster: SlurmCluster
):
    run = train(page, "worker")
    tags = page.runs("STARTED")[0]["tags"]
    assert (tags["engine"], tags["gpu"], tags["gr00t/slot"]) == ("lab", "true", "engine lab")
    faults.kill(run_worker(page.project, run))
    again = page.launch("worker")
    assert page.ends(again) == "SUCCESS", page.log()
    assert len(own_jobs(cluster, "worker")) == 1
    faults.finished_without_a_trace(page.project, "worker", STEPS, 0)
    assert page.ends(run) == "FAILURE"


def test_cancelled_on_the_page_the_job_is_cancelled_with_a_checkpoint(
    page: Page, cluster: SlurmCluster
):
    run = train(page, "cancelled")
    page.cancel(run)
    assert page.ends(run) == "CANCELED"
    step = faults.is_resumable(page.project, "cancelled")
    until(lambda: not cluster.jobs("pending,running,completing"), lambda: cluster.jobs(), 20)
    assert page.ends(page.launch("cancelled")) == "SUCCESS", page.log()
    log = (faults.run_directory(page.project, "cancelled") / "log.txt").read_text()
    assert f"from step {step} of {STEPS}" in log
    faults.finished_without_a_trace(page.project, "cancelled", STEPS, 1)


@pytest.mark.cluster
def test_dagster_is_stopped_and_the_job_is_found_again(page: Page, cluster: SlurmCluster):
    """Last of the module: it takes Dagster down as a service manager does, and starts it again."""
    project = page.project
    run = train(page, "whole")
    page.process.terminate()
    page.process.wait(120)
    until(lambda: faults.instance_status(project, run).value == "FAILURE", page.log, 60)
    with faults.dev(project) as back:
        assert back.ends(back.launch("whole")) == "SUCCESS", back.log()
    assert len(own_jobs(cluster, "whole")) == 1
    faults.finished_without_a_trace(project, "whole", LONG, 2)
