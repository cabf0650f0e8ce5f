"""A real Slurm for the tests of a module, in a project with two engines on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets_tests.engines.runs_on_engine import write_engines
from gr00t_assets_tests.engines.slurm_cluster import SlurmCluster, slurm_cluster, slurm_lacks

LAB = {"kind": "slurm", "partition": "gpu", "gpu_type": "fake", "cpus": 1, "memory_gb": 1}


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    """A cluster of one node with two GPUs; skipped with the reason where there can be none."""
    if lacks := slurm_lacks():
        pytest.skip(lacks)
    with slurm_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def store(cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The store of a project whose default engine is ``lab``."""
    project = tmp_path_factory.mktemp("project")
    urgent, short = {"partition": "urgent"}, {"time_limit": 60, "checkpoint_before": 50}
    write_engines(project, lab=LAB, urgent=LAB | urgent, short=LAB | short)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GR00T_ASSETS_ROOT", str(project))
        patch.setenv("GR00T_ASSETS_STORE", str(project / "data" / "store"))
        patch.setenv("NOOP_STEP_SECONDS", "0.02")
        for name, value in cluster.variables.items():
            patch.setenv(name, value)
        yield project / "data" / "store"
