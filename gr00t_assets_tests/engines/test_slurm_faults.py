"""A sweep of twelve on two GPUs of a real Slurm, through all that a night may bring."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gr00t_assets_tests.defs import faults
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.defs.project import Project
from gr00t_assets_tests.engines.slurm_cluster import NODE, SlurmCluster
from gr00t_assets_tests.engines.test_slurm_dagster import STEPS, make

pytestmark = pytest.mark.cluster

NAMES = [f"night-{index:02d}" for index in range(12)]


def training(cluster: SlurmCluster, project: Project) -> list[str]:
    """Experiments that train now and have a checkpoint."""
    running = [job["comment"].split()[0] for job in cluster.jobs("running")]
    return [name for name in running if faults.steps_saved(project, name) >= 4]


def next_victim(cluster: SlurmCluster, project: Project, hit: list[str]) -> str:
    """An experiment that trains and that nothing has happened to yet."""

    def fresh() -> list[str]:
        return [name for name in training(cluster, project) if name not in hit]

    hit.append(until(fresh, lambda: cluster.jobs(), 300)[0])
    return hit[-1]


def job_of(cluster: SlurmCluster, name: str) -> str:
    return next(job["id"] for job in cluster.jobs("running") if job["comment"].split()[0] == name)


def kill_job(cluster: SlurmCluster, project: Project, name: str) -> None:
    """slurmstepd of a job, and its trainer."""
    job = job_of(cluster, name)
    trainer = int((faults.run_directory(project, name) / ".lock").read_text())
    for process in cluster.steps():
        with suppress(OSError):
            if f"[{job}." in Path(f"/proc/{process}/cmdline").read_bytes().decode():
                os.kill(process, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(trainer, signal.SIGKILL)


def drain(cluster: SlurmCluster, state: str) -> None:
    reason = ["reason=broken fan"] if state == "drain" else []
    cluster.command("scontrol", "update", f"nodename={NODE}", f"state={state}", *reason)


def test_a_night_on_slurm(cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each experiment ends with each step trained once, however often its job was hit."""
    limits = {"time_limit": 60, "checkpoint_before": 50}
    project = make(tmp_path / "project", cluster, NAMES, **limits)
    project.variables[faults.SENSORS] = "1"  # type: ignore[index]
    hit: list[str] = []
    with faults.dev(project) as page:
        page.backfill(NAMES)
        cluster.command("scancel", job_of(cluster, next_victim(cluster, project, hit)))
        kill_job(cluster, project, next_victim(cluster, project, hit))
        drain(cluster, "drain")
        time.sleep(5)
        drain(cluster, "resume")
        next_victim(cluster, project, hit)
        os.killpg(page.process.pid, signal.SIGKILL)
        page.process.wait(120)
    with faults.dev(project) as page:

        def finished() -> bool:
            models = [*(project.store.root / "runs").glob("*/*/model/config.json")]
            return len(models) == len(NAMES)

        until(finished, lambda: (cluster.jobs(), page.log()), 900)
        until(lambda: not page.trainings("QUEUED", "STARTING", "STARTED"), page.log, 120)
    for seed, name in enumerate(NAMES):
        faults.finished_without_a_trace(project, name, STEPS, seed)
    assert not cluster.jobs("pending,running,completing")
