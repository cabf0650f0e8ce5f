"""Pruning killed with -9 at every instant: what is left looks complete only where it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets.runs.checkpoint_layout import stored_checkpoints
from gr00t_assets.runs.retention.prune import execute_plan, plan_prune
from gr00t_assets.runs.retention.retention_rule import RetentionRule, project_state
from gr00t_assets_tests.runs.retention.factory import CURRENT, OLD, FilledProject

KILLED = """
import os, signal, sys
from gr00t_assets.cli.main import main
left = int(sys.argv.pop(1))
CALLS = ("os.rename", "os.remove", "os.rmdir")
def die(event, arguments):
    global left
    if event in CALLS:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
sys.argv = ["gr00t-assets", "store", "prune", "--yes"]
main()
"""


def prune_until(call: int) -> int:
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(call)], capture_output=True, check=False
    ).returncode


def state(project: FilledProject, run: Path) -> None:
    """Whatever says that it is complete has all its files."""
    for checkpoint in stored_checkpoints(run):
        names = {path.name for path in checkpoint.path.iterdir()}
        if checkpoint.complete:
            assert {"model.safetensors", "optimizer.safetensors", "rng.safetensors"} <= names
        elif checkpoint.whole:
            assert "model.safetensors" in names
    cache = project.store.frame_cache("demo", OLD)
    assert not cache.exists() or len([p for p in cache.rglob("*") if p.is_file()]) == 3
    current = project.store.frame_cache("demo", CURRENT)
    assert len([path for path in current.rglob("*") if path.is_file()]) == 3
    for name in ("spec.json", "manifest.json", "metrics.jsonl", "log.txt", "model"):
        assert (run / name).exists()


def test_killed_at_every_call_it_goes_on_to_the_same_end(filled: FilledProject) -> None:
    filled.sweep(
        defaults={"dataset": "demo", "hyperparameters": {"save_total_limit": 1}},
        experiments=[{"name": "a"}],
    )
    spec = filled.run(filled.experiment("a"), {10: 1.0, 20: 2.0, 30: 3.0})
    filled.cache(OLD)
    filled.cache(CURRENT)
    run = spec.run_directory
    for call in range(60):
        code = prune_until(call % 4)
        state(filled, run)
        if code == 0:
            break
        assert code == -9
    else:
        pytest.fail("it never came to its end")
    plan = plan_prune(filled.store, project_state(filled.store), RetentionRule())
    list(execute_plan(plan, filled.store))
    assert [(c.step, c.training_files) for c in stored_checkpoints(run)] == [(10, ()), (30, ())]
    assert not list(filled.store.root.rglob("*.partial-*"))
    assert call > 2
