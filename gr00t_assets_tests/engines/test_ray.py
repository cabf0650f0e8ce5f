"""Trainings as jobs of a real Ray, and every way in which one can end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gr00t_assets.engines.job_record import read_job, read_node, write_job
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.engines.ray_cluster import HEAD, Cluster, ray_cluster
from gr00t_assets_tests.engines.runs_on_engine import (
    Follower,
    fault_spec,
    follow_in_process,
    starts,
    steps_saved,
    trained_once,
    write_engines,
)

JOB = {"kind": "ray", "cpus": 1, "memory_gb": 0.5}


def variables(project: Path) -> dict[str, str]:
    """Environment of the nodes: long enough to be hit, and a second attempt takes no time."""
    return {
        "NOOP_STEP_SECONDS": "0.1",
        "NOOP_LOG": str(project / "noop.jsonl"),
        "FAULT_FAST_AGAIN": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def cluster(project: Path) -> Iterator[Cluster]:
    """A head with two GPUs and one ``spot``."""
    with ray_cluster(variables(project), spot=1) as started:
        yield started


@pytest.fixture(scope="module")
def store(cluster: Cluster, project: Path) -> Iterator[Path]:
    """The store of a project whose default engine is the cluster."""
    job = JOB | {"address": cluster.address}
    on_head = {f"node:{HEAD}": 0.001, "spot": 1}
    others = {
        "spot": {"resources": {"spot": 1}},
        "head": {"resources": on_head},
        "exotic": {"resources": {"h9000": 1}},
        "greedy": {"cpus": 64},
        "bare": {"python": "/opt/nowhere/bin/python"},
    }
    write_engines(project, ray=job, **{name: job | settings for name, settings in others.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR00T_ASSETS_ROOT", str(project))
        patch.setenv("GR00T_ASSETS_STORE", str(project / "data" / "store"))
        patch.setenv("GR00T_ASSETS_STOP_GRACE", "10")
        yield project / "data" / "store"


@pytest.fixture(scope="module")
def early(store: Path) -> dict[str, Follower]:
    """Two that need not be waited for: one takes the head's ``spot``, one finds no Python."""
    return {
        "holder": Follower(fault_spec(store, "holder", "head", max_steps=6000)),
        "bare": Follower(fault_spec(store, "no-python", "bare")),
    }


def jobs(cluster: Cluster, spec: TrainingSpec) -> list[dict[str, Any]]:
    """Ray's jobs of a run."""
    mine = {"experiment": spec.experiment.name, "config_hash": spec.config_hash}
    return [job for job in cluster.jobs() if job["metadata"] == mine]


def training(spec: TrainingSpec, follower: Follower | None = None) -> None:
    """Wait until it has a checkpoint."""

    def state() -> object:
        log = spec.run_directory / "log.txt"
        return follower and (follower.said, follower.error), log.is_file() and log.read_text()

    until(lambda: steps_saved(spec) >= 4 or (follower and follower.error), state, 60)
    assert follower is None or follower.error is None, state()


def is_told(follower: Follower) -> None:
    """Wait until Ray has said what a job waits for."""

    def told() -> bool:
        return any("waits: " in line and "for resources" in line for line in follower.said)

    until(told, lambda: (follower.said, follower.error), 30)


def finished(follower: Follower) -> bool:
    """It ended well, and each step was trained once."""
    follower.ended(120)
    told = (follower.said, follower.error, follower.failure, follower.log)
    assert follower.code == 0 and follower.failure is None, told
    assert trained_once(follower.spec), follower.log
    return True


def test_trained_once_on_a_gpu_of_the_cluster(
    cluster: Cluster, store: Path, project: Path, early: dict[str, Follower]
):
    follower = Follower(fault_spec(store, "once", max_steps=20))
    assert finished(follower)
    spec = follower.spec
    (job,) = jobs(cluster, spec)
    record = read_job(spec.run_directory)
    assert record is not None and record.name == record.id == job["submission_id"]
    assert (record.engine, record.kind) == ("ray", "ray")
    node = read_node(spec.run_directory, record.name)
    assert node is not None and node.code == 0
    assert f"Ray job {record.id} on {node.node} has started once" in follower.said
    assert follower.last_lines[-1] == "from step 0 of 20" and starts(spec) == [0]
    events = [json.loads(line) for line in (project / "noop.jsonl").read_text().splitlines()]
    assert {event["devices"] for event in events if event["experiment"] == "once"} <= {"0", "1"}


def test_cancelled_by_the_person_it_saves_first(cluster: Cluster, store: Path):
    spec = fault_spec(store, "cancelled", max_steps=400)
    follower = Follower(spec)
    training(spec, follower)
    follower.stopping.set()
    follower.ended(30)
    record = read_job(spec.run_directory)
    assert record is not None
    node = read_node(spec.run_directory, record.name)
    assert node is not None and (node.code, node.stopped) == (130, "cancelled")
    step = steps_saved(spec)
    until(lambda: jobs(cluster, spec)[0]["status"] == "STOPPED", lambda: jobs(cluster, spec), 20)
    again = Follower(spec)
    assert finished(again) and starts(spec) == [0, step]


def test_a_killed_follower_leaves_the_job_and_the_next_one_attaches(cluster: Cluster, store: Path):
    """Also where it was killed before it noted that Ray has taken the job."""
    spec = fault_spec(store, "attached")
    first = follow_in_process(spec)
    training(spec)
    first.kill()
    first.wait()
    record = read_job(spec.run_directory)
    assert record is not None
    write_job(record.model_copy(update={"id": None}), spec.run_directory)
    second = Follower(spec)
    assert finished(second)
    assert "attached to Ray job" in second.said[0]
    assert len(jobs(cluster, spec)) == 1 and starts(spec) == [0]


def test_a_lost_node_is_told_and_the_training_goes_on_elsewhere(
    cluster: Cluster, store: Path, early: dict[str, Follower]
):
    """The head's ``spot`` is taken at first, so that the training starts on the second node.

    Without that node it waits for the head's, as does a job that is cancelled meanwhile.
    """
    node, holder = cluster.add_node(spot=1), early["holder"]
    training(holder.spec, holder)
    spec = fault_spec(store, "moved", "spot", max_steps=400)
    vain = fault_spec(store, "in-vain", "spot")
    follower = Follower(spec)
    training(spec, follower)
    cancelled = Follower(vain)
    is_told(cancelled)
    node.kill()
    cancelled.stopping.set()
    is_told(follower)
    holder.stopping.set()
    assert finished(follower)
    until(lambda: sorted(job["status"] for job in jobs(cluster, spec)) == ["FAILED", "SUCCEEDED"],
          lambda: jobs(cluster, spec), 20)  # fmt: skip
    begins = starts(spec)
    assert len(begins) == 2 and begins[0] == 0 and begins[1] >= 4
    (told,) = [line for line in follower.said if "submitted again" in line]
    assert "its node has died" in told, told
    holder.ended(30)
    cancelled.ended(30)
    until(lambda: jobs(cluster, vain)[0]["status"] in ("STOPPED", "FAILED"),
          lambda: jobs(cluster, vain), 30)  # fmt: skip
    assert "from step" not in cancelled.log


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("greedy", f"no node has what a job asks for: CPU: 64, GPU: 1, 0.5 GB. {HEAD} has CPU: 4"),
        ("exotic", "GPU: 1, 0.5 GB, h9000: 1."),
    ],
)
def test_what_no_node_has_is_refused_at_once_and_leaves_nothing(
    cluster: Cluster, store: Path, engine: str, expected: str
):
    follower = Follower(fault_spec(store, f"refused-{engine}", engine)).ended(15)
    assert follower.error is not None
    text = " ".join(str(follower.error).split())
    assert expected in text and f"engine '{engine}'" in text, text
    assert not (follower.spec.run_directory / "job.json").exists()
    assert not jobs(cluster, follower.spec)


def test_a_python_that_the_nodes_do_not_have_is_told(early: dict[str, Follower]):
    failure = early["bare"].ended(60).failure
    assert failure is not None and failure.name == "job-refused"
    assert "does not have the engine's python" in str(failure.error)
