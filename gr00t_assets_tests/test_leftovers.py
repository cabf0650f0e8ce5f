"""The check at the end of the tests, on tests that leave something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets.core.processes import is_alive

HOOKS = """
from gr00t_assets_tests.conftest import (
    pytest_configure, pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown
)
"""
LEAVES = """
import os, subprocess, tempfile
from pathlib import Path

def test_a_process_whose_parents_are_gone():
    subprocess.run(["sh", "-c", "setsid sleep 300 & echo $! > {record}"])

def test_a_folder():
    tempfile.mkdtemp(prefix="mine-")

def test_a_slot():
    Path("{folder}/slots").mkdir()
    os.open("{folder}/slots/cpu-0.lock", os.O_RDWR | os.O_CREAT)
"""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_tests_leave_is_named_and_fails(tmp_path: Path, workers: str):
    record = tmp_path / "record"
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_them.py").write_text(LEAVES.format(record=record, folder=tmp_path))
    output, code = pytested(tmp_path, workers)
    assert code == 1 and "3 passed" in output, output
    left = [line for line in output.splitlines() if line.startswith("LEFT BEHIND by the tests: ")]
    process = int(record.read_text())
    assert any(f"process {process}, parent " in line and "sleep 300" in line for line in left)
    assert any("folder " in line and "/mine-" in line for line in left)
    assert any("slots/cpu-0.lock held by the tests' own process" in line for line in left)
    assert len(left) == 3, left
    assert not is_alive(process)


def test_tests_that_leave_nothing_pass(tmp_path: Path):
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_them.py").write_text("def test_nothing():\n    assert True\n")
    output, code = pytested(tmp_path, "0")
    assert code == 0 and "LEFT BEHIND" not in output, output


def pytested(folder: Path, workers: str) -> tuple[str, int]:
    inherited = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    root = Path(__file__).resolve().parents[1]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider", "."],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(root), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    return result.stdout, result.returncode
