"""Commands that wait for a slot or a lock say so, and end at once when they are asked to."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets.core.locks import exclusive_lock
from gr00t_assets.core.project import Store
from gr00t_assets.gpu.slots import acquire
from gr00t_assets.runs.run_directory import place_spec, run_lock
from gr00t_assets_tests.defs import test_training_process as processes
from gr00t_assets_tests.defs.dagster_dev import default_signals
from gr00t_assets_tests.defs.faults import end_all
from gr00t_assets_tests.defs.project import Project, make_project
from gr00t_assets_tests.defs.specs import a_spec
from gr00t_assets_tests.small_dataset import small_dataset

HELD_FOR_EVER = 120.0


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = make_project(tmp_path, {"small": small_dataset(1)})
    yield made
    end_all(made)


def materialize(project: Project, module: str, *selection: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", module]
    return started(project, *command, "--select", *selection)


def started(project: Project, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=project.environment() | {"TRAINER": processes.LEARNS, "GR00T_ASSETS_GPUS": "0"},
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=default_signals,
    )


def lines_with(process: subprocess.Popen[str], text: str, count: int = 1) -> list[str]:
    """The first so many lines with a text; ends the process where none come."""
    timer = threading.Timer(HELD_FOR_EVER, process.kill)
    timer.start()
    found, seen = [], []
    assert process.stdout is not None
    while len(found) < count:
        line = process.stdout.readline()
        assert line, "".join(seen)
        seen.append(line)
        if text in line:
            found.append(line)
    timer.cancel()
    return found


def ended(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """The exit code, as a shell has it, and the rest of the output, within five seconds."""
    process.send_signal(number)
    began = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - began < 5, output
    code = process.returncode
    return code if code >= 0 else 128 - code, output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_dagsters_command_waits_for_a_slot_aloud_and_ends_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0")
    monkeypatch.setenv("GR00T_ASSETS_RUN", "1a2b3c4d5e6f")
    with acquire(1, project.store, "other", run_id="1a2b3c4d5e6f"):
        process = materialize(project, processes.MODULE, "checkpoint", "--partition", "lr1e-3")
        first, second = lines_with(process, "waiting for 1 of 1 slots since ", 2)
        code, output = ended(process, number)
    holder = f"held by 0-0: process {os.getpid()}, other, run 1a2b3c4d, since 20"
    assert holder in first and holder in second
    assert code == 128 + number, output
    assert "checkpoint: it was stopped.\n  run the same command again" in output
    assert "Stack Trace" not in output and "Traceback" not in output
    with project.instance() as instance:
        (run,) = instance.get_runs()
        logged = [entry.user_message for entry in instance.all_logs(run.run_id)]
    assert sum("waiting for 1 of 1 slots" in message for message in logged) >= 2
    with acquire(1, project.store):
        pass


def test_dagsters_command_waits_for_an_earlier_attempt_aloud(project: Project):
    spec = a_spec(project.store.root)
    place_spec(spec)
    with run_lock(spec.run_directory):
        process = materialize(project, processes.MODULE, "checkpoint", "--partition", "lr1e-3")
        (line,) = lines_with(process, "waiting for an earlier attempt at lr1e-3 to end")
        assert ended(process, signal.SIGTERM)[0] == 143
    assert f"held by process {os.getpid()}, lr1e-3, since 20" in line


def test_dagsters_command_waits_for_a_dataset_aloud(project: Project):
    folder = project.store.dataset_record("small").parent
    folder.mkdir(parents=True)
    with exclusive_lock(folder / ".lock", "it", pytest.fail):
        process = materialize(
            project, "gr00t_assets.definitions", "dataset", "--partition", "small"
        )
        (line,) = lines_with(process, "waiting for the dataset small, being brought into")
        assert ended(process, signal.SIGTERM)[0] == 143
    assert f"held by process {os.getpid()}, since 20" in line


def test_the_builder_of_a_frame_cache_waits_aloud(project: Project):
    select = ["dataset,modality_config", "--partition", "small"]
    done = materialize(project, "gr00t_assets.definitions", *select)
    output, _ = done.communicate(timeout=240)
    assert done.returncode == 0, output
    (version,) = [
        path.name
        for path in (project.store.root / "datasets" / "small").iterdir()
        if path.is_dir() and not path.name.startswith(".")
    ]
    cache = project.store.frame_cache("small", version)
    cache.parent.mkdir(parents=True)
    with exclusive_lock(cache.parent / f".{cache.name}.lock", "it", pytest.fail):
        process = materialize(
            project, "gr00t_assets.definitions", "frame_cache", "--partition", "small"
        )
        lines_with(process, "waiting for the frame cache of small, being built")
        assert ended(process, signal.SIGINT)[0] == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_by_hand_waits_aloud_and_ends_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: int
):
    monkeypatch.setenv("GR00T_ASSETS_GPUS", "0")
    spec = a_spec(project.store.root)
    path = place_spec(spec)
    with acquire(1, Store(project.store.root), "other"):
        process = started(
            project, sys.executable, "-m", "gr00t_assets.cli.main", "train", str(path)
        )
        (line,) = lines_with(process, "lr1e-3: waiting for 1 of 1 slots")
        assert ended(process, number)[0] == 128 + number
    assert "0-0: process " in line
