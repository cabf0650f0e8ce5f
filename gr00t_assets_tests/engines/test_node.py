"""The program of a node by itself: what it refuses, and starts of a job that come to nothing."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gr00t_assets import __version__
from gr00t_assets.core.project import Store
from gr00t_assets.engines import job_record
from gr00t_assets.engines.job_record import JobRecord, now, read_node, write_job, write_node
from gr00t_assets.engines.store_id import STORE_ID, store_id
from gr00t_assets.runs.run_directory import SPEC

JOB = "gr00t-run-0123"
WAITS = [sys.executable, "-c", "print('has begun', flush=True); import time; time.sleep(60)"]
QUICK = [sys.executable, "-c", "print('has begun')"]


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A run whose job was submitted just now, in a store with a mark."""
    directory = tmp_path / "store" / "runs" / "run" / "0123"
    directory.mkdir(parents=True)
    store_id(Store(tmp_path / "store"))
    submitted(directory, now())
    return directory


def submitted(run_directory: Path, at: str) -> None:
    record = JobRecord(engine="lab", kind="slurm", name=JOB, id="1", submitted_at=at)
    write_job(record, run_directory)


def node(run_directory: Path, command: list[str], **changed: str) -> subprocess.Popen[str]:
    root = run_directory.parents[2]
    mark = (root / STORE_ID).read_text().strip()
    options = {"version": __version__, "store": str(root), "store-id": mark, "grace": "2"}
    options |= {"job": JOB, "engine": "lab"} | {k.replace("_", "-"): v for k, v in changed.items()}
    flat = [part for name, value in options.items() for part in (f"--{name}", value)]
    program = [sys.executable, "-m", "gr00t_assets.engines.node", str(run_directory / SPEC)]
    return subprocess.Popen(
        [*program, *flat, "--", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "SLURM_JOB_ID": "1"},
    )


def refusal(run_directory: Path, **changed: str) -> tuple[int, str]:
    process = node(run_directory, QUICK, **changed)
    output, _ = process.communicate(timeout=60)
    assert "has begun" not in output
    return process.returncode, output


def test_a_sound_node_trains(run_directory: Path) -> None:
    process = node(run_directory, QUICK)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    record = read_node(run_directory, JOB)
    assert record is not None
    assert (record.code, record.refused) == (0, None)


def test_what_a_node_lacks_is_named_before_it_trains(run_directory: Path, tmp_path: Path) -> None:
    code, output = refusal(run_directory, store_id="0" * 32)
    assert code == job_record.STORE_MISSING
    assert "expected 00000000" in output
    assert refusal(run_directory, store=str(tmp_path / "elsewhere"))[0] == job_record.STORE_MISSING
    assert refusal(run_directory, job="another")[0] == job_record.SUPERSEDED
    assert read_node(run_directory, JOB) is None, "nothing of these is left"
    code, output = refusal(run_directory, version="0.1.0")
    assert code == job_record.OTHER_VERSION
    assert "the job was submitted with 0.1.0" in output
    record = read_node(run_directory, JOB)
    assert record is not None
    assert "install the same one on every node" in (record.refused or "")


def test_a_clock_that_is_behind_is_refused(run_directory: Path) -> None:
    submitted(run_directory, (datetime.now(UTC) + timedelta(minutes=5)).isoformat())
    code, output = refusal(run_directory)
    assert code == job_record.CLOCKS_APART
    assert "set both clocks" in output


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
