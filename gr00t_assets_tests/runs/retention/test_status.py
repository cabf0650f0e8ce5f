"""``gr00t-assets store status`` against what ``du`` counts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets.runs.retention.prune import KINDS
from gr00t_assets.runs.run_directory import run_lock
from gr00t_assets_tests.runs.retention.factory import CURRENT, KB, OLD, FilledProject, fill


def status(*arguments: str) -> str:
    command = [
        sys.executable,
        "-c",
        "from gr00t_assets.cli.main import main; main()",
        "store",
        "status",
    ]
    result = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def project(filled: FilledProject) -> FilledProject:
    filled.sweep(
        defaults={"dataset": "demo", "hyperparameters": {"save_total_limit": 1}},
        experiments=[{"name": "a"}, {"name": "b"}],
    )
    spec = filled.run(filled.experiment("a"), {10: 1.0, 20: 2.0, 30: 3.0})
    model = spec.run_directory / "model" / "shared.safetensors"
    model.hardlink_to(spec.run_directory / "checkpoints" / "step-000030" / "model.safetensors")
    filled.run(filled.experiment("b"), {10: 1.0}, status="failed")
    filled.cache(OLD)
    filled.cache(CURRENT)
    fill(filled.store.reports / "loss_comparison.html", 2 * KB)
    fill(filled.store.reports / ".report.partial-4194303-0a1b2c3d", KB)
    return filled


def test_the_bytes_are_those_of_du(project: FilledProject) -> None:
    found = json.loads(status("--json"))
    files = subprocess.run(
        "find . -type f -print0 | du --files0-from=- -c --block-size=1 | tail -1 | cut -f1",
        shell=True,
        cwd=project.store.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found["bytes"] == int(files.stdout)
    assert abs(found["free_bytes"] - shutil.disk_usage(project.store.root).free) < 1e9
    kinds = found["survey"]["kinds"]
    assert list(kinds) == list(KINDS)
    assert kinds["datasets"] == {"count": 1, "bytes": KB}
    assert kinds["older dataset versions"] == {"count": 1, "bytes": KB}
    assert kinds["older frame caches"] == {"count": 1, "bytes": 7 * KB}
    assert kinds["frame caches"] == {"count": 1, "bytes": 5 * KB}
    assert kinds["prepared frames"] == {"count": 1, "bytes": 2 * KB}
    assert kinds["optimizer state"] == {"count": 4, "bytes": 8 * KB}
    assert kinds["models"] == {"count": 1, "bytes": 3 * KB}
    assert kinds["leftovers"] == {"count": 1, "bytes": KB}
    assert {name: share["count"] for name, share in found["survey"]["runs"].items()} == {
        "finished": 1,
        "pruned": 0,
        "unfinished": 1,
        "training": 0,
        "stale": 0,
        "unlisted": 0,
    }


def test_what_prune_would_free_is_what_it_frees(project: FilledProject) -> None:
    before = json.loads(status("--json"))
    command = [sys.executable, "-c", "from gr00t_assets.cli.main import main; main()"]
    subprocess.run([*command, "store", "prune", "--yes"], check=True, capture_output=True)
    after = json.loads(status("--json"))
    locks = sum(file.stat().st_blocks * 512 for file in project.store.root.rglob("*.lock"))
    assert before["bytes"] - (after["bytes"] - locks) == before["prune_bytes"] > 0
    assert after["prune"] == {}


def test_a_person_sees_kinds_runs_and_what_pruning_frees(
    project: FilledProject, tmp_path: Path
) -> None:
    (run,) = (project.store.root / "runs" / "b").iterdir()
    with run_lock(run):
        said = status()
    assert "optimizer state" in said and "older frame caches" in said
    assert "training" in said
    assert "`gr00t-assets store prune` would free" in said


def test_an_empty_store_is_no_fault(project: FilledProject) -> None:
    shutil.rmtree(project.store.root)
    assert "there is nothing to prune" in status()
