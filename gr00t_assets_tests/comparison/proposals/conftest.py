from pathlib import Path

import pytest

from gr00t_assets_tests.comparison.proposals.small_project import SmallProject, make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    """A project with one dataset, no sweep, and an empty store, current for this test."""
    made = make_project(tmp_path)
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(made.root))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(made.store.root))
    return made
