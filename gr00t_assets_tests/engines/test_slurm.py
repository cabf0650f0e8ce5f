"""Trainings as jobs of a real Slurm, and every way in which one can end."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.engines.job_record import read_job, read_node
from gr00t_assets.engines.slurm import submit_array
from gr00t_assets.experiments.engine_file import SlurmEngine, engine_of
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.native.trainer import NativeTrainer
from gr00t_assets_tests.defs.fault_trainer import instead_of
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.engines.conftest import LAB
from gr00t_assets_tests.engines.runs_on_engine import (
    Follower,
    fault_spec,
    follow_in_process,
    starts,
    steps_saved,
    trained_once,
    write_engines,
)
from gr00t_assets_tests.engines.slurm_cluster import SlurmCluster

SLOW = "0.05"
SLOW_SBATCH = """#!/bin/bash
{before}
{sbatch} "$@"
code=$?
{after}
exit $code
"""


@pytest.fixture(autouse=True)
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long enough to be hit; a second attempt takes no time."""
    monkeypatch.setenv("FAULT_FAST_AGAIN", "1")


@pytest.fixture
def slow_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOOP_STEP_SECONDS", SLOW)


@pytest.fixture
def drained(cluster: SlurmCluster) -> Iterator[SlurmCluster]:
    """The node takes no job until ``resume``."""
    cluster.command("scontrol", "update", "nodename=node1", "state=drain", "reason=broken fan")
    yield cluster
    resume(cluster)


def resume(cluster: SlurmCluster) -> None:
    state = cluster.command("sinfo", "-h", "-p", "gpu", "-o", "%T").strip()
    if state.startswith("drain"):
        cluster.command("scontrol", "update", "nodename=node1", "state=resume")


def named(cluster: SlurmCluster, spec: TrainingSpec) -> list[dict[str, str]]:
    """Jobs of a run, by their comment."""
    comment = f"{spec.experiment.name} {spec.config_hash}"
    return [job for job in cluster.jobs() if job["comment"] == comment]


def is_training(follower: Follower) -> bool:
    return steps_saved(follower.spec) >= 4


def wait_for(follower: Follower, seconds: float = 30) -> Follower:
    until(lambda: is_training(follower) or not follower.is_alive(), lambda: follower.said, seconds)
    assert follower.is_alive(), (follower.error, follower.failure, follower.log)
    return follower


def finished(follower: Follower) -> bool:
    """It ended well, and each step was trained once."""
    follower.ended()
    told = (follower.said, follower.error, follower.failure, follower.log)
    assert follower.code == 0 and follower.failure is None, told
    assert trained_once(follower.spec), follower.log
    return True


def test_two_of_three_train_at_once_and_the_third_is_told_why_it_waits(
    cluster: SlurmCluster, store: Path, slow_steps: None
):
    followers = [Follower(fault_spec(store, f"three-{index}", seed=index)) for index in range(3)]
    for follower in followers:
        assert finished(follower)
    for follower in followers:
        (job,) = named(cluster, follower.spec)
        record = read_job(follower.spec.run_directory)
        assert record is not None and (record.engine, record.id) == ("lab", job["id"])
        assert job["name"] == record.name and follower.spec.config_hash in record.name
        node = read_node(follower.spec.run_directory, record.name)
        assert node is not None and (node.code, node.id, node.restarts) == (0, job["id"], 0)
        assert starts(follower.spec) == [0] and "from step 0 of 80" in follower.last_lines
    waits = [line for follower in followers for line in follower.said if " waits: " in line]
    assert waits and all("Resources" in line or "Priority" in line for line in waits), waits


def test_a_killed_follower_leaves_the_job_and_the_next_one_attaches(
    cluster: SlurmCluster, store: Path, slow_steps: None
):
    spec = fault_spec(store, "attached")
    first = follow_in_process(spec)
    until(lambda: steps_saved(spec) >= 4, lambda: "no checkpoint", 30)
    first.kill()
    first.wait()
    second = Follower(spec)
    assert finished(second)
    assert "attached to Slurm job" in second.said[0]
    assert len(named(cluster, spec)) == 1 and starts(spec) == [0]


@pytest.mark.parametrize("killed", ["before", "after"])
def test_killed_between_intent_and_answer_nothing_is_trained_twice(
    cluster: SlurmCluster, store: Path, tmp_path: Path, killed: str
):
    """``sbatch`` is the real one, and slow: before it submits, or after."""
    spec = fault_spec(store, f"between-{killed}")
    sleeps = {"before": "", "after": "", killed: f"touch {tmp_path}/reached; sleep 3"}
    script = tmp_path / "sbatch"
    script.write_text(SLOW_SBATCH.format(sbatch="/usr/bin/sbatch", **sleeps))
    script.chmod(0o755)
    first = follow_in_process(spec, PATH=f"{tmp_path}:{os.environ['PATH']}")
    until((tmp_path / "reached").exists, lambda: "not submitted", 20)
    first.kill()
    first.wait()
    intent = read_job(spec.run_directory)
    assert intent is not None and intent.id is None
    second = Follower(spec)
    assert finished(second)
    attached = any("attached" in line for line in second.said)
    assert attached == (killed == "after")
    # The late one of the other case comes, sees that it is not the run's job, and trains nothing.
    until(lambda: all(job["state"] in ("COMPLETED", "FAILED") for job in named(cluster, spec)),
          lambda: named(cluster, spec), 30)  # fmt: skip
    time.sleep(0 if attached else 3)
    assert len(named(cluster, spec)) == (1 if attached else 2)
    assert starts(spec) == [0] and trained_once(spec)


def test_cancelled_by_the_person_it_saves_first(store: Path, slow_steps: None):
    follower = wait_for(Follower(fault_spec(store, "cancelled")))
    follower.stopping.set()
    follower.ended()
    record = read_job(follower.spec.run_directory)
    assert record is not None
    node = read_node(follower.spec.run_directory, record.name)
    assert node is not None and (node.code, node.stopped) == (130, "cancelled")
    step = steps_saved(follower.spec)
    again = Follower(follower.spec)
    assert finished(again) and starts(again.spec) == [0, step]


def test_a_waiting_job_is_cancelled_at_once(drained: SlurmCluster, store: Path):
    follower = Follower(fault_spec(store, "cancelled-waiting"))
    until(lambda: any(" waits: " in line for line in follower.said), lambda: follower.said, 30)
    assert any("DRAINED" in line or "ReqNodeNotAvail" in line for line in follower.said)
    follower.stopping.set()
    follower.ended(20)
    assert [job["state"] for job in named(drained, follower.spec)] == ["CANCELLED"]
    assert starts_none(follower.spec)


def starts_none(spec: TrainingSpec) -> bool:
    return "from step" not in (spec.run_directory / "log.txt").read_text()


@pytest.mark.cluster
def test_cancelled_outside_the_run_fails_as_one_that_is_asked_for_again(
    cluster: SlurmCluster, store: Path, slow_steps: None
):
    follower = wait_for(Follower(fault_spec(store, "scancel")))
    (job,) = named(cluster, follower.spec)
    cluster.command("scancel", job["id"])
    failure = follower.ended().failure
    assert failure is not None and failure.name == "job-lost"
    assert f"Slurm job {job['id']} on " in str(failure.error) and "CANCELLED" in str(failure.error)
    step = steps_saved(follower.spec)
    again = Follower(follower.spec)
    assert finished(again) and starts(again.spec) == [0, step]


def test_a_killed_slurmstepd_is_noticed_and_the_job_requeued(
    cluster: SlurmCluster, store: Path, slow_steps: None
):
    follower = wait_for(Follower(fault_spec(store, "stepd")))
    for process in cluster.steps():
        os.kill(process, signal.SIGKILL)
    assert finished(follower)
    (first, second) = starts(follower.spec)
    assert first == 0 and second >= 4 and len(named(cluster, follower.spec)) == 1


def test_a_killed_trainer_is_told_by_its_code(store: Path, slow_steps: None):
    follower = wait_for(Follower(fault_spec(store, "trainer")))
    process = int((follower.spec.run_directory / ".lock").read_text())
    os.kill(process, signal.SIGKILL)
    follower.ended()
    assert (follower.code, follower.failure) == (137, None)
    again = Follower(follower.spec)
    assert finished(again) and starts(again.spec)[1] >= 4


def test_before_the_time_limit_there_is_a_checkpoint_and_a_requeue(
    cluster: SlurmCluster, store: Path, slow_steps: None
):
    """The signal is sent by hand; ``test_slurm_faults.py`` waits for Slurm's own."""
    follower = wait_for(Follower(fault_spec(store, "limit")))
    (job,) = named(cluster, follower.spec)
    cluster.command("scancel", "--batch", "--signal=USR1", job["id"])
    assert finished(follower)
    assert "asked for a checkpoint: time limit" in follower.log
    (job,) = named(cluster, follower.spec)
    record = read_job(follower.spec.run_directory)
    assert record is not None and record.id == job["id"]
    node = read_node(follower.spec.run_directory, record.name)
    assert node is not None and (node.restarts, node.code) == (1, 0)
    assert starts(follower.spec)[1] >= 4


@pytest.mark.cluster
def test_a_preempted_job_goes_on_when_there_is_room_again(
    cluster: SlurmCluster, store: Path, slow_steps: None
):
    follower = wait_for(Follower(fault_spec(store, "preempted", max_steps=200)))
    urgent = [Follower(fault_spec(store, f"urgent-{i}", "urgent")) for i in range(2)]
    for other in urgent:
        assert finished(other)
    assert finished(follower)
    assert len(starts(follower.spec)) == 2 and len(named(cluster, follower.spec)) == 1
    assert "ended by the engine" in follower.log


def test_a_job_that_slurm_forgot_is_submitted_again(cluster: SlurmCluster, store: Path):
    spec = fault_spec(store, "forgotten")
    record = (
        '{"engine": "lab", "kind": "slurm", "name": "gr00t-of-another-time", "id": "9999999",'
        ' "submitted_at": "2026-01-01T00:00:00+00:00"}'
    )
    (spec.run_directory / "job.json").write_text(record)
    assert finished(Follower(spec)) and len(named(cluster, spec)) == 1


def test_an_array_trains_each_run_once_and_a_follower_attaches(
    cluster: SlurmCluster, store: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(NativeTrainer, "command", instead_of(NativeTrainer.command))
    specs = [fault_spec(store, f"array-{index}", seed=index) for index in range(4)]
    settings = engine_of(specs[0].experiment)
    assert isinstance(settings, SlurmEngine)
    submitted = submit_array(specs, settings.model_copy(update={"jobs_at_once": 2}), Store(store))
    assert len(submitted) == 4 and len({(job.id or "").split("_")[0] for job in submitted}) == 1
    assert submit_array(specs, settings, Store(store)) == []
    for follower in [Follower(spec) for spec in specs]:
        assert finished(follower) and starts(follower.spec) == [0]
    array = submitted[0].name.rpartition("_")[0]

    def states() -> list[str]:
        return [job["state"] for job in cluster.jobs() if job["name"] == array]

    until(lambda: states() == ["COMPLETED"] * 4, states, 20)


@pytest.mark.parametrize(
    ("engine", "changes", "expected"),
    [
        ("lab", {"partition": "gpuu"}, ["Invalid partition name", "mend partition", "gpu"]),
        ("lab", {"gpu_type": "h9000"}, ["mend gpu_type", "gpu:fake:2"]),
        ("lab", {"memory_gb": 4000.0}, ["mend gpu_type, cpus or memory_gb"]),
    ],
)
def test_what_slurm_refuses_is_told_in_its_words_and_leaves_nothing(
    cluster: SlurmCluster, store: Path, engine: str, changes: dict[str, object], expected: list[str]
):
    project = store.parent.parent
    file = project / "data" / "engines.yaml"
    before = file.read_text()
    spec = fault_spec(store, "refused")
    try:
        write_engines(project, **{engine: LAB | changes})
        error = Follower(spec).ended(20).error
    finally:
        file.write_text(before)
    assert error is not None and "Slurm refuses the job" in str(error)
    assert all(text in str(error) for text in expected), str(error)
    assert not (spec.run_directory / "job.json").exists()
    # Slurm keeps what it refuses as a job that failed.
    assert all(job["state"] == "FAILED" for job in named(cluster, spec))


def held_job(cluster: SlurmCluster, spec: TrainingSpec) -> Follower:
    follower = Follower(spec)
    until(lambda: named(cluster, spec) or follower.error, lambda: follower.said, 20)
    return follower


def refused(follower: Follower) -> str:
    failure = follower.ended(40).failure
    assert failure is not None and failure.name == "job-refused"
    assert starts_none(follower.spec)
    return str(failure.error)


def test_a_node_without_the_store_or_with_another_one_is_named(drained: SlurmCluster, store: Path):
    """The mark is gone, and then another one: what a node sees that has not mounted it."""
    mark = store / ".store-id"
    content = mark.read_text()
    others = [held_job(drained, fault_spec(store, f"store-{index}")) for index in range(2)]
    try:
        mark.unlink()
        resume(drained)
        text = refused(others[0])
        assert re.search(r"Slurm job \d+.*: node1 has not mounted the store", text), text
    finally:
        mark.write_text(content)
    others[1].ended(40)


def test_another_version_of_the_package_is_refused_by_name_and_version(
    drained: SlurmCluster, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "sitecustomize.py").write_text(
        "import gr00t_assets\ngr00t_assets.__version__ = '0.0.9'\n"
    )
    follower = held_job(drained, fault_spec(store, "version"))
    script = next(iter(drained.jobs("pending")))
    assert script
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    other = held_job(drained, fault_spec(store, "other-version"))
    resume(drained)
    assert finished(follower)
    text = refused(other)
    assert "has another version of gr00t-assets" in text and "0.0.9 at " in text, text


def test_a_clock_that_is_behind_is_refused(drained: SlurmCluster, store: Path):
    follower = held_job(drained, fault_spec(store, "clock"))
    path = follower.spec.run_directory / "job.json"
    record = read_job(follower.spec.run_directory)
    assert record is not None
    ahead = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 600))
    path.write_text(path.read_text().replace(record.submitted_at, ahead))
    resume(drained)
    assert "the clock of" in (text := refused(follower)) and "s from now" in text, text


def test_a_python_that_the_node_does_not_have_is_told(cluster: SlurmCluster, store: Path):
    project = store.parent.parent
    file = project / "data" / "engines.yaml"
    before = file.read_text()
    try:
        write_engines(project, lab=LAB | {"python": "/opt/nowhere/bin/python"})
        assert "does not have the engine's python" in refused(Follower(fault_spec(store, "python")))
    finally:
        file.write_text(before)


def test_a_controller_that_does_not_answer(
    cluster: SlurmCluster, store: Path, slow_steps: None, monkeypatch: pytest.MonkeyPatch
):
    """A training goes on and ends without it; what is not submitted yet is told so."""
    monkeypatch.setattr("gr00t_assets.engines.job.PATIENCE", 1.0)
    follower = wait_for(Follower(fault_spec(store, "silent")))
    cluster.kill("slurmctld")
    try:
        spec = fault_spec(store, "not-submitted")
        error = Follower(spec).ended(60).error
        assert error is not None and "slurmctld does not answer squeue" in str(error), error
        assert not (spec.run_directory / "job.json").exists()
        assert finished(follower)
    finally:
        cluster.start("slurmctld")
    until(lambda: cluster.command("squeue"), lambda: "slurmctld", 30)
