"""A real trainer process under a real ``dagster asset materialize``, and what becomes of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.gpu.slots import acquire
from gr00t_assets_tests.defs.faults import end_all
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.gpu.test_guard import alive, wait_until

MODULE = "gr00t_assets_tests.defs.training_definitions"

LEARNS = """
import json, os, sys, time
from pathlib import Path
print("device", repr(os.environ["CUDA_VISIBLE_DEVICES"]))
print("a warning", file=sys.stderr)
for step in range(1, 4):
    metric = dict(step=step, samples_seen=step * 8, epoch=0.1, loss=1 / step, losses=[1 / step],
                  grad_norm=1.0, learning_rate=1e-3, wall_seconds=4.0 * step)
    with Path(sys.argv[1], "metrics.jsonl").open("a") as file:
        file.write(json.dumps(metric) + "\\n")
    time.sleep(4)
"""

FAILS = """
import os, sys
print("step 1", os.environ["HF_TOKEN"])
sys.stdout.write("\\r 10%|#         | 1/10 [00:01<00:09, 1.00s/it]")
sys.stdout.flush()
raise OSError(28, os.strerror(28), "/data/checkpoint")
"""

KILLS_ITSELF = "import os; print('step 1', end='', flush=True); os.kill(os.getpid(), 9)"

SAVES_WHEN_STOPPED = """
import os, subprocess, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
worker = subprocess.Popen(["sleep", "500"])
(folder / "pids").write_text(f"{os.getpid()} {worker.pid}")
try:
    time.sleep(500)
except KeyboardInterrupt:
    print("saving", flush=True)
    time.sleep(0.5)
    (folder / "saved").touch()
    sys.exit(130)
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path)
    yield made
    end_all(made)


def start(project: Project, trainer: str, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", MODULE]
    return subprocess.Popen(
        [*command, "--select", "checkpoint", "--partition", "lr1e-3"],
        env=project.environment() | {"TRAINER": trainer} | environment,
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_directory(project: Project) -> Path:
    return a_spec(project.store.root).run_directory


def started_processes(project: Project) -> list[int]:
    record = run_directory(project) / "pids"
    assert wait_until(lambda: record.is_file() and len(record.read_text().split()) == 2, 120)
    return [int(process) for process in record.read_text().split()]


def test_the_loss_is_observed_and_output_is_kept(project: Project):
    process = start(project, LEARNS, GR00T_ASSETS_GPUS="7")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    log = (run_directory(project) / "log.txt").read_text()
    assert sorted(log.splitlines()) == ["a warning", "device '7'"]
    held = (run_directory(project) / "held").read_text()
    assert held == "0", "the curve is drawn while the next training has the slot"
    with project.instance() as instance:
        fetched = instance.fetch_observations(dg.AssetKey("checkpoint"), limit=10)
        found = [record.asset_observation for record in fetched.records]
    assert 2 <= len(found) <= 4, "12 seconds at one observation in five seconds, and the last one"
    assert found[-1] is not None and found[-1].partition == "lr1e-3"
    losses = [item.metadata["training_loss"].value for item in found if item is not None]
    assert set(losses) <= {1.0, 0.5, 0.33333} and losses[0] == 0.33333
    captured = list((project.root / "data/dagster/logs").rglob("*.out"))
    assert any("device '7'" in file.read_text() for file in captured)


def failure(project: Project) -> dg.DagsterEvent:
    """The step's failure as the run's page shows it."""
    with project.instance() as instance:
        (run,) = instance.get_runs()
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    (found,) = [event for event in events if event is not None and event.is_step_failure]
    return found


def test_a_known_failure_is_one_message_with_the_raw_tail_beside_it(project: Project):
    process = start(project, FAILS, HF_TOKEN="canary-of-the-environment")
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "TrainingError: lr1e-3: the disk is full.\n" in output
    assert "Stack Trace" not in output
    shown = failure(project).step_failure_data.user_failure_data
    assert shown is not None and shown.description is not None
    assert shown.description.startswith("TrainingError: lr1e-3: the disk is full.\n  free space")
    assert "\n  its last lines:\n  | step 1 ***\n" in shown.description
    assert "| OSError: [Errno 28] No space left on device: '/data/checkpoint'" in shown.description
    tail = shown.metadata["log_tail"].value
    assert isinstance(tail, str)
    assert tail.startswith("```text\nstep 1 ***\n 10%|#  ") and "\nTraceback (most rec" in tail
    log = shown.metadata["log"].value
    assert isinstance(log, str) and (project.store.root / log).read_text().startswith("step 1")
    assert "canary" not in tail + shown.description


def test_a_killed_trainer_is_told_from_a_failed_one(project: Project):
    process = start(project, KILLS_ITSELF)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "TrainingError: lr1e-3: the trainer was killed (SIGKILL).\n" in output
    assert "| step 1\n" in output, "a line without its end is shown too"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_the_trainer_save(project: Project, number: int):
    process = start(project, SAVES_WHEN_STOPPED)
    processes = started_processes(project)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    assert process.returncode != 0, output
    assert (run_directory(project) / "saved").exists()
    assert not any(alive(each) for each in processes)


def test_a_grace_that_is_no_number_is_refused(project: Project):
    process = start(project, LEARNS, GR00T_ASSETS_STOP_GRACE="soon")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "TrainingError: GR00T_ASSETS_STOP_GRACE: 'soon' is not a number of seconds." in output


def test_kill_9_of_dagster_lets_the_trainer_save_and_leaves_nothing(project: Project):
    process = start(project, SAVES_WHEN_STOPPED)
    processes = started_processes(project)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(5)
    assert wait_until(lambda: not any(alive(each) for each in processes), 5)
    assert (run_directory(project) / "saved").exists()
    assert "saving" in (run_directory(project) / "log.txt").read_text()


def test_the_slot_is_held_while_it_trains(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    process = start(project, SAVES_WHEN_STOPPED, GR00T_ASSETS_GPUS="0")
    started_processes(project)
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0")
    lines: list[str] = []

    def stop_the_other(line: str) -> None:
        lines.append(line)
        process.send_signal(signal.SIGINT)

    began = time.monotonic()
    with acquire(1, Store(project.store.root), log=stop_the_other):
        assert time.monotonic() - began > 0.4
    process.communicate(timeout=120)
    assert len(lines) == 1
    assert ", lr1e-3, run " in lines[0] and ", since 20" in lines[0]
