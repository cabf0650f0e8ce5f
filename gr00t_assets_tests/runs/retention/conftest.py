"""A filled project, which the environment names."""

import os
import subprocess
from pathlib import Path

import pytest

from gr00t_assets_tests.runs.retention.factory import (
    CURRENT,
    DEFAULTS,
    KB,
    OLD,
    FilledProject,
    fill,
    make_filled,
)
from gr00t_assets_tests.trainers.conftest import small_data, spec_of
from gr00t_assets_tests.trainers.isaac_gr00t.conftest import isaac_spec, small_base, small_checkout

__all__ = ["filled", "isaac_spec", "small_base", "small_checkout", "small_data", "spec_of"]


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FilledProject:
    """A project of its own with an empty sweep folder."""
    project = make_filled(tmp_path / "project")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(project.root))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(project.store.root))
    return project


@pytest.fixture
def project(filled: FilledProject) -> FilledProject:
    """A current, a stale, an interrupted and an unlisted run; caches of two versions; leftovers."""
    filled.sweep(
        defaults=DEFAULTS,
        experiments=[
            {"name": "done", "hyperparameters": {"learning_rate": 1e-3}},
            {"name": "changed", "hyperparameters": {"learning_rate": 1e-3}},
            {"name": "stopped"},
            {"name": "gone"},
        ],
    )
    for name in ("done", "changed", "gone"):
        filled.run(filled.experiment(name), {10: 1.0, 20: 2.0, 30: 3.0})
    filled.run(filled.experiment("stopped"), {10: 1.0, 20: 2.0}, status="interrupted")
    filled.sweep(
        defaults=DEFAULTS,
        experiments=[
            {"name": "done", "hyperparameters": {"learning_rate": 1e-3}},
            {"name": "changed", "hyperparameters": {"learning_rate": 5e-4}},
            {"name": "stopped"},
        ],
    )
    filled.cache(OLD)
    filled.cache(CURRENT)
    fill(filled.store.reports / "loss_comparison.html", KB)
    dead = subprocess.Popen(["true"])
    dead.wait()
    fill(filled.store.reports / f".report.partial-{dead.pid}-0a1b2c3d", KB)
    fill(filled.store.reports / f".report.partial-{os.getpid()}-0a1b2c3d", KB)
    fill(filled.store.root / "datasets" / "demo" / ".fetch.partial-ab_c1d2e" / "x", KB)
    return filled
