"""The program of a node by itself: which job trains, and notices that come as a job starts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets import __version__
from gr00t_assets.core.project import Store
from gr00t_assets.engines.job_record import (
    SUPERSEDED,
    JobRecord,
    now,
    read_node,
    store_id,
    write_job,
    write_node,
)
from gr00t_assets.runs.run_directory import SPEC

JOB = "gr00t-run-0123"
WAITS = [sys.executable, "-c", "print('has begun', flush=True); import time; time.sleep(60)"]
QUICK = [sys.executable, "-c", "print('has begun')"]


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A run whose job was submitted just now, in a store."""
    directory = tmp_path / "store" / "runs" / "run" / "0123"
    directory.mkdir(parents=True)
    write_job(
        JobRecord(engine="lab", kind="slurm", name=JOB, id=JOB, submitted_at=now()), directory
    )
    return directory


def node(run_directory: Path, command: list[str], job: str = JOB) -> subprocess.Popen[str]:
    root = run_directory.parents[2]
    options = {"version": __version__, "store": str(root), "store-id": store_id(Store(root))}
    options |= {"job": job, "engine": "lab", "grace": "2"}
    flat = [part for name, value in options.items() for part in (f"--{name}", value)]
    program = [sys.executable, "-m", "gr00t_assets.engines.node", str(run_directory / SPEC)]
    return subprocess.Popen(
        [*program, *flat, "--", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # No job of a Slurm that is there is asked for anything.
        env={name: os.environ[name] for name in os.environ if not name.startswith("SLURM_")},
    )


def test_only_the_job_that_was_submitted_last_trains(run_directory: Path) -> None:
    late = node(run_directory, QUICK, job="another")
    output, _ = late.communicate(timeout=60)
    assert late.returncode == SUPERSEDED
    assert "another job trains this run" in output
    assert "has begun" not in output
    process = node(run_directory, QUICK)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    record = read_node(run_directory, JOB)
    assert record is not None
    assert (record.code, record.refused) == (0, None)


def stopped_at_once(run_directory: Path) -> None:
    process = node(run_directory, WAITS)
    assert process.stdout is not None
    assert process.stdout.readline() == "has begun\n"
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)


def test_a_notice_that_comes_as_the_job_starts_is_no_lack_of_progress(run_directory: Path) -> None:
    """Slurm tells of a time limit up to a minute early; only again and again is it the limit."""
    stopped_at_once(run_directory)
    first = read_node(run_directory, JOB)
    assert first is not None
    assert (first.stopped, first.refused) == ("time limit", None)
    write_node(first.model_copy(update={"code": None, "restarts": 4}), run_directory)
    stopped_at_once(run_directory)
    last = read_node(run_directory, JOB)
    assert last is not None
    assert last.restarts == 5
    assert "raise time_limit" in (last.refused or "")
