"""``make gpu-check`` end to end on a CPU, where it runs everything on ``tiny``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import gpu_check, gpu_checks

CHEAP = ["parity_float32", "resume", "slots", "full_size_1"]


def run(out: Path, device: str, *names: str) -> tuple[int, str, dict[str, dict[str, object]]]:
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(out)]
    done = subprocess.run(
        [*command, "--device", device, "--only", *names],
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    return done.returncode, done.stdout, json.loads((out / "gpu_check.json").read_text())["checks"]


def test_it_runs_everything_small_on_a_cpu(tmp_path: Path) -> None:
    code, table, checks = run(tmp_path, "cpu", *CHEAP)
    assert code == 0, table
    assert "3 passed, 1 skipped, 0 failed" in table
    assert checks["slots"]["why"] == "needs a card"
    assert checks["resume"]["largest_relative_difference"] == 0
    assert checks["full_size_1"].keys() >= {"samples_per_second", "tflop_per_step", "counted_gib"}


@pytest.mark.cluster
def test_two_processes_are_checked(tmp_path: Path) -> None:
    code, table, _ = run(tmp_path, "cpu", "two_processes")
    assert code == 0 and "1 passed" in table, table


def test_a_check_that_fails_is_told_and_the_next_one_runs(tmp_path: Path) -> None:
    """A GPU is asked for, and all are hidden."""
    code, table, checks = run(tmp_path, "cuda", "parity_float32", "slots")
    assert code == 1
    assert [check["status"] for check in checks.values()] == ["failed", "failed"]
    assert "torch sees no GPU" in table


def test_a_check_that_hangs_is_ended(tmp_path: Path) -> None:
    result = gpu_check._checked("parity_float32", "cpu", tmp_path, 0.5)
    assert (result["status"], result["why"]) == ("failed", "not done in 0 s")


def test_every_check_has_a_limit() -> None:
    assert gpu_check.LIMITS.keys() == gpu_checks.CHECKS.keys()
