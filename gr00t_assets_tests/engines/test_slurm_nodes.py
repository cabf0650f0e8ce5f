"""A training on two nodes of a real Slurm, both of them on this machine."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.project import Store
from gr00t_assets.engines.job import JobRequest
from gr00t_assets.engines.job_record import read_job, read_node
from gr00t_assets.engines.start import started
from gr00t_assets.experiments.engine_file import LocalEngine, RayEngine
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.defs.faults import until
from gr00t_assets_tests.engines.conftest import LAB
from gr00t_assets_tests.engines.runs_on_engine import Follower, steps_saved, write_engines
from gr00t_assets_tests.engines.slurm_cluster import SlurmCluster, slurm_cluster, slurm_lacks
from gr00t_assets_tests.trainers.conftest import SpecMaker, small_data, spec_of, train

__all__ = ["small_data", "spec_of"]

STEPS = 40


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[SlurmCluster]:
    if lacks := slurm_lacks():
        pytest.skip(lacks)
    with slurm_cluster(node_count=2) as started:
        yield started


@pytest.fixture
def spec(
    two_nodes: SlurmCluster, spec_of: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> TrainingSpec:
    """A run of two nodes in a project whose default engine is the cluster."""
    setup = ["export SETUP_OF=$SLURM_PROCID"]
    write_engines(tmp_path, lab=LAB | {"setup": setup})
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name, value in two_nodes.variables.items():
        monkeypatch.setenv(name, value)
    made = spec_of(num_nodes=2, batch_size=2, max_steps=STEPS, save_steps=4)
    place_spec(made)
    return made


def follow(spec: TrainingSpec) -> Follower:
    return Follower(spec, command=trainer_named("native").command)


def trained_until(step: int, follower: Follower) -> None:
    until(
        lambda: steps_saved(follower.spec) >= step or follower.code is not None,
        lambda: (follower.said, follower.log),
        120,
    )
    assert follower.code is None, follower.log


def lose(cluster: SlurmCluster, node: str) -> None:
    """All that runs on a node ends at once, and nothing answers for it any more."""
    cluster.kill(node)
    name = f"SLURMD_NODENAME={node}".encode()
    there = [item for item in cluster.owned() if name in environment(item)]
    steps = {psutil.Process(item).ppid() for item in there} & set(cluster.steps())
    assert there and steps
    for process in [*steps, *there]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def environment(process: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return []


@pytest.mark.cluster
def test_a_run_of_two_nodes_goes_on_after_a_time_limit_and_a_lost_node(
    two_nodes: SlurmCluster, spec: TrainingSpec, spec_of: SpecMaker
) -> None:
    follower = follow(spec)
    trained_until(4, follower)
    (job,) = two_nodes.jobs("running")
    assert two_nodes.command("squeue", "-h", "-o", "%D %N").split() == ["2", "node[1-2]"]
    two_nodes.command("scancel", "--batch", "--signal=USR1", job["id"])
    until(lambda: "resuming from step" in follower.log, lambda: follower.log, 90)
    assert "asked for a checkpoint: time limit" in follower.log

    trained_until(steps_saved(spec) + 4, follower)
    lose(two_nodes, "node2")
    until(lambda: "Node failure on node2" in follower.log, lambda: follower.log, 120)
    assert "no answer from process 1 (last step " in follower.log
    two_nodes.start("node2")
    follower.ended(300)
    assert (follower.code, follower.failure) == (0, None), (follower.failure, follower.log)
    assert follower.log.count("resuming from step") == 2, follower.log
    assert follower.log.count(f"step {STEPS}/{STEPS} ") == 1
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert (manifest.status, manifest.samples_seen) == ("finished", STEPS * 4)
    whole = spec_of(batch_size=4, max_steps=STEPS, save_steps=4)
    assert train(whole).returncode == 0
    found, expected = (read_metrics(item.run_directory).losses for item in (spec, whole))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.cluster
def test_a_lost_node_is_noticed_before_slurm_does(
    two_nodes: SlurmCluster, spec: TrainingSpec
) -> None:
    """srun ends at once, as where it loses its connection; Slurm waits for the node's answer."""
    follower = follow(spec)
    trained_until(4, follower)
    lose(two_nodes, "node2")
    for process in two_nodes.owned():
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(process).name() == "srun":
                os.kill(process, signal.SIGKILL)
    until(lambda: "scontrol requeue" in follower.log, lambda: (follower.said, follower.log), 120)
    record = read_job(spec.run_directory)
    assert record is not None
    node = read_node(spec.run_directory, record.name)
    assert node is not None and (node.code, node.stopped) == (None, "node lost"), follower.log
    two_nodes.start("node2")
    follower.ended(300)
    assert (follower.code, follower.failure) == (0, None), (follower.failure, follower.log)
    assert follower.log.count("resuming from step") == 1, follower.log


@pytest.mark.cluster
def test_a_cancelled_run_of_two_nodes_leaves_a_checkpoint(
    two_nodes: SlurmCluster, spec: TrainingSpec
) -> None:
    follower = follow(spec)
    trained_until(4, follower)
    follower.stopping.set()
    follower.ended()
    record = read_job(spec.run_directory)
    assert record is not None
    node = read_node(spec.run_directory, record.name)
    assert node is not None and (node.code, node.stopped) == (130, "cancelled"), follower.log
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert (manifest.status, manifest.steps) == ("interrupted", steps_saved(spec))
    until(lambda: not two_nodes.jobs("running,completing"), two_nodes.jobs, 30)


@pytest.mark.parametrize("engine", [LocalEngine(), RayEngine(name="ray")])
def test_engines_of_one_node_refuse_it_before_anything_runs(
    spec_of: SpecMaker, engine: LocalEngine | RayEngine
) -> None:
    spec = spec_of(num_nodes=2)
    place_spec(spec)
    request = JobRequest(["false"], spec, Store(Path(spec.store)))
    expected = f"takes 2 nodes, an engine of kind {engine.kind} has one"
    with pytest.raises(EngineError, match=expected), started(request, engine):
        pass
    assert not (spec.run_directory / "log.txt").exists()
