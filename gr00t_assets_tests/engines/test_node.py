"""Which job trains a run, whatever happens between the lines; the program of a node by itself."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gr00t_assets import __version__
from gr00t_assets.core.errors import EngineError
from gr00t_assets.core.project import Store
from gr00t_assets.engines.job_record import (
    JOB,
    SUPERSEDED,
    JobRecord,
    NodeRecord,
    claim,
    now,
    read_job,
    read_node,
    store_id,
    unfinished_job,
    write_job,
    write_node,
)
from gr00t_assets.runs.run_directory import SPEC

NAME = "gr00t-run-0123"
WAITS = [sys.executable, "-c", "print('has begun', flush=True); import time; time.sleep(60)"]
QUICK = [sys.executable, "-c", "print('has begun')"]


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    """A run whose job was submitted just now, in a store."""
    directory = tmp_path / "store" / "runs" / "run" / "0123"
    directory.mkdir(parents=True)
    write_job(
        JobRecord(engine="lab", kind="slurm", name=NAME, id=NAME, submitted_at=now()), directory
    )
    return directory


def node(run_directory: Path, command: list[str], job: str = NAME) -> subprocess.Popen[str]:
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
    record = read_node(run_directory, NAME)
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
    first = read_node(run_directory, NAME)
    assert first is not None
    assert (first.stopped, first.refused) == ("time limit", None)
    write_node(first.model_copy(update={"code": None, "restarts": 4}), run_directory)
    stopped_at_once(run_directory)
    last = read_node(run_directory, NAME)
    assert last is not None
    assert last.restarts == 5
    assert "raise time_limit" in (last.refused or "")


CLAIMS = """
import sys, time
from pathlib import Path
from gr00t_assets.engines.job_record import NodeRecord, claim, now
record = NodeRecord(name="x", id=sys.argv[2], node="n", version="0", started_at=now())
time.sleep(max(0, float(sys.argv[3]) - time.time()))
print(claim(record, Path(sys.argv[1])) is not None)
"""


def a_job(**changes: str) -> JobRecord:
    fields = {"engine": "lab", "kind": "slurm", "name": "x", "submitted_at": now(), **changes}
    return JobRecord.model_validate(fields)


def a_node(**changes: object) -> NodeRecord:
    fields = {"name": "x", "id": "1", "node": "n", "version": "0", "started_at": now(), **changes}
    return NodeRecord.model_validate(fields)


def test_of_eight_jobs_of_one_name_one_trains(tmp_path: Path):
    at = str(time.time() + 8)
    command = [sys.executable, "-c", CLAIMS, str(tmp_path)]
    started = [
        subprocess.Popen([*command, str(job), at], stdout=subprocess.PIPE, text=True)
        for job in range(8)
    ]
    answers = [process.communicate()[0].strip() for process in started]
    assert sorted(answers) == ["False"] * 7 + ["True"]
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["x.json"]


def test_a_requeued_job_keeps_its_claim_and_an_ended_one_does_not(tmp_path: Path):
    assert claim(a_node(), tmp_path) is not None
    again = claim(a_node(), tmp_path)
    assert again is not None and again.restarts == 1
    assert claim(a_node(id="2"), tmp_path) is None
    write_node(a_node(code=0, ended_at=now()), tmp_path)
    assert claim(a_node(), tmp_path) is None


def test_a_job_is_unfinished_until_the_node_or_the_engine_says_how_it_ended(tmp_path: Path):
    assert unfinished_job(tmp_path) is None
    job = write_job(a_job(), tmp_path)
    assert unfinished_job(tmp_path) == job == read_job(tmp_path)
    write_node(a_node(), tmp_path)
    assert unfinished_job(tmp_path) == job
    write_node(a_node(code=137), tmp_path)
    assert unfinished_job(tmp_path) is None
    write_job(a_job(name="y"), tmp_path)
    assert unfinished_job(tmp_path) is not None
    write_job(a_job(name="y", ended="NODE_FAIL"), tmp_path)
    assert unfinished_job(tmp_path) is None
    assert read_node(tmp_path, "y") is None


def test_a_damaged_record_is_no_leave_to_submit_again(tmp_path: Path):
    (tmp_path / JOB).write_text("{")
    with pytest.raises(EngineError, match="this is no record of a job"):
        unfinished_job(tmp_path)


def test_a_store_keeps_its_id(tmp_path: Path):
    first = store_id(Store(tmp_path / "store"))
    assert store_id(Store(tmp_path / "store")) == first != store_id(Store(tmp_path / "other"))
    assert [path.name for path in (tmp_path / "store").iterdir()] == [".store-id"]
