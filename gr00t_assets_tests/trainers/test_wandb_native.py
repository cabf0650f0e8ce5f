"""The native trainer with W&B beside it: killed, resumed, and stopped with Ctrl-C."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gr00t_assets.gpu.guard import guarded
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.wandb_run import FINISH_SECONDS
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, train, trainer
from gr00t_assets_tests.trainers.wandb_files import Part, read_parts


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(FINISH_SECONDS, "100")


def start(spec: TrainingSpec, *command: str) -> subprocess.Popen[bytes]:
    """Start a training in a process group of its own; it runs and W&B has begun."""
    process = subprocess.Popen(
        command or trainer(spec),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(),
        # A job in the background of a shell starts with Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    deadline = time.monotonic() + 120
    while not (len(read_metrics(spec.run_directory)) and _wandb_files(spec)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def _wandb_files(spec: TrainingSpec) -> list[Path]:
    return list((spec.run_directory / "wandb").glob("*/*.wandb"))


def ended_part(spec: TrainingSpec) -> Part:
    """The only part there is, once its process has ended it."""
    deadline = time.monotonic() + 120
    while True:
        (part,) = read_parts(spec.run_directory)
        if part.exit_code is not None:
            return part
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_killed_with_9_it_goes_on_as_the_same_run(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=60, save_steps=5)
    process = start(spec)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = ended_part(spec)
    assert (first.exit_code, first.summary["status"]) == (1, "failed")

    result = train(spec)
    assert result.returncode == 0, result.stderr
    _, second = read_parts(spec.run_directory)
    assert second.run.run_id == first.run.run_id
    assert (second.exit_code, second.summary["status"]) == (0, "finished")
    losses = dict(zip(first.column("train/global_step"), first.column("train/loss"), strict=True))
    losses |= zip(second.column("train/global_step"), second.column("train/loss"), strict=True)
    logged = read_metrics(spec.run_directory).columns
    assert losses == dict(zip(logged["step"].tolist(), logged["loss"].tolist(), strict=True))
    assert sorted(losses) == list(range(1, 61))
    assert f"wandb sync {first.folder} {second.folder}" in result.stdout


def test_ctrl_c_to_the_whole_group_ends_the_run_with_every_step_logged(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=200_000, save_steps=200_000)
    process = start(spec)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(240) == 130
    (part,) = read_parts(spec.run_directory)
    assert (part.exit_code, part.summary["status"]) == (130, "interrupted")
    steps = read_metrics(spec.run_directory).columns["step"].tolist()
    assert part.column("train/global_step") == steps


def test_the_guard_leaves_nothing_of_it_when_the_trainer_is_killed(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=200_000, save_steps=200_000)
    guard = start(spec, *_guarded_by(spec))
    (trainer_process,) = _children(guard.pid)
    (worker,) = _children(trainer_process)
    processes = [worker, *_children(worker)]
    os.kill(trainer_process, signal.SIGKILL)
    assert guard.wait(240) == 137
    assert [process for process in processes if Path(f"/proc/{process}").exists()] == []
    (part,) = read_parts(spec.run_directory)
    assert part.exit_code == 1


def _guarded_by(spec: TrainingSpec) -> list[str]:
    return guarded(trainer(spec), grace=100)


def _children(process: int) -> list[int]:
    listings = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for listing in listings for child in listing.read_text().split()]
