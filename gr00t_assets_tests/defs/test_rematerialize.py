"""Dagster's database is damaged; following its message to the letter tells all of it anew."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from gr00t_assets_tests.defs.project import Project, make_project

CATALOG = {
    "drawn": {
        "description": "d",
        "source": {"kind": "synthetic", "robot": "so101", "episodes": 1, "min_frames": 40,
                   "max_frames": 40, "width": 64, "height": 64},
        "data_config": "so100_dualcam",
    }
}  # fmt: skip
ASSETS = ("dataset", "modality_config", "frame_cache")


def told(project: Project) -> dict[str, tuple[str | None, set[str]]]:
    """Data version and names of metadata by asset."""
    found = {}
    with project.instance() as instance:
        for name in ASSETS:
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            known = event.asset_materialization if event else None
            if known is not None:
                found[name] = ((known.tags or {}).get(DATA_VERSION_TAG), set(known.metadata))
    return found


def test_a_damaged_database_is_told_anew(tmp_path) -> None:
    project = make_project(tmp_path / "it's # mine", CATALOG, {})
    made = project.materialize(",".join(ASSETS), "drawn")
    assert made.returncode == 0, made.stdout
    before = told(project)
    assert set(before) == set(ASSETS)
    index = project.root / "data" / "dagster" / "history" / "runs" / "index.db"
    with index.open("r+b") as file:
        file.write(bytes(4096))
    refused = project.materialize("loss_comparison")
    assert refused.returncode != 0 and "Traceback" not in refused.stdout
    command = refused.stdout.rpartition("then run: ")[2].strip()
    path = f"{Path(sys.executable).parent}:{project.environment()['PATH']}"
    followed = subprocess.run(
        command, shell=True, cwd=project.root, env=project.environment() | {"PATH": path},
        capture_output=True, text=True,
    )  # fmt: skip
    assert followed.returncode == 0, followed.stdout + followed.stderr
    assert "3 reported, 0 known before, 0 not readable" in followed.stdout
    assert told(project) == before
    again = project.run("gr00t-assets", "store", "rematerialize", PATH=path)
    assert "0 reported, 3 known before" in again.stdout, again.stdout
