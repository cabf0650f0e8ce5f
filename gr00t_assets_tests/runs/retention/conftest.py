"""A filled project, which the environment names."""

from pathlib import Path

import pytest

from gr00t_assets_tests.runs.retention.factory import FilledProject, make_filled
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
