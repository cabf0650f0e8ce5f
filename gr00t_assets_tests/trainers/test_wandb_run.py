"""W&B as it is when training begins, goes on and ends, read back from what offline mode wrote."""

import fcntl
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gr00t_assets.runs.metrics import METRICS, append_metric
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers import wandb_run as module
from gr00t_assets_tests.trainers.conftest import SpecMaker
from gr00t_assets_tests.trainers.wandb_files import read_parts
from gr00t_assets_tests.trainers.wandb_training import (
    EARLIER,
    bare_spec,
    children,
    end,
    log_training,
    logged,
    metric,
    wait_until_started,
)


@pytest.fixture
def spec(spec_of: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    return bare_spec(spec_of, tmp_path, monkeypatch)


def test_without_a_key_it_is_kept_offline_and_whole(
    spec: TrainingSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    log_training(spec)
    (part,) = read_parts(spec.run_directory)
    record = json.loads((spec.run_directory / "wandb.json").read_text())
    run = part.run
    assert (run.run_id, run.project) == (record["id"], "gr00t-assets")
    assert (run.display_name, run.run_group, run.job_type) == ("small-run", "small", "native")
    assert list(run.tags) == ["gr00t-overfit", "demo-data"]
    assert run.notes == "It falls."
    assert part.config["learning_rate"] == 1e-3
    assert part.config["dataset_version"] == spec.modality_config.dataset_version
    assert part.column("train/global_step") == [1, 2, 3, 4]
    assert part.column("train/samples_seen") == [2, 4, 6, 8]
    assert part.column("train/loss") == [1.0, 0.5, 1 / 3, 0.25]
    assert part.axes["train/*"] == "train/global_step"
    assert part.axes["by_samples/*"] == "train/samples_seen"
    assert (part.summary["status"], part.summary["steps"]) == ("finished", 4)
    assert part.summary["final_loss"] == pytest.approx((1 / 3 + 0.25) / 2)
    assert part.summary["final_loss_se"] is None  # two steps are too few to tell
    assert part.exit_code == 0
    assert part.kinds.isdisjoint({"output", "output_raw", "stats", "files"})

    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        "W&B: offline (no API key)",
        f"W&B: to upload this run: wandb sync {part.folder}",
    ]
    assert record["sync"] == f"wandb sync wandb/{part.folder.name}"
    assert not [path for path in part.folder.rglob("*") if path.suffix == ".py"]


def test_a_resumed_run_goes_on_as_the_same_run(spec: TrainingSpec) -> None:
    with pytest.raises(RuntimeError), logged(spec) as reporter:
        reporter.metric(metric(1))
        reporter.metric(metric(2))
        end(spec, "failed", 2)
        raise RuntimeError
    log_training(spec, 2)
    first, second = read_parts(spec.run_directory)
    assert first.run.run_id == second.run.run_id
    assert second.run.resume
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert (first.summary["status"], second.summary["status"]) == ("failed", "finished")
    assert first.column("train/global_step") == [1, 2]
    assert second.column("train/global_step") == [2, 3, 4]
    record = json.loads((spec.run_directory / "wandb.json").read_text())
    assert record["sync"].count("offline-run-") == 2


def test_losses_on_held_out_episodes_are_sent_once(spec: TrainingSpec) -> None:
    with pytest.raises(RuntimeError), logged(spec) as reporter:
        for step in (1, 2):
            reporter.metric(metric(step))
        reporter.held_out_loss(2, 0.75, 256)
        end(spec, "failed", 2)
        raise RuntimeError
    with logged(spec) as reporter:
        reporter.metric(metric(3))
        reporter.metric(metric(4))
        reporter.held_out_loss(4, 0.5, 256)
        end(spec)
    first, second = read_parts(spec.run_directory)
    assert first.axes["held_out/*"] == "train/global_step"
    assert first.column("held_out/loss") == [0.75]
    assert second.column("held_out/loss") == [0.5]
    assert first.column("train/step_loss") == [1.0, 0.5]
    steps = [row["train/global_step"] for row in second.rows if "held_out/loss" in row]
    assert steps == [4]


def test_lines_that_a_power_cut_took_are_sent_again(spec: TrainingSpec) -> None:
    with pytest.raises(RuntimeError), logged(spec) as reporter:
        for step in (1, 2, 3):
            reporter.metric(metric(step))
        end(spec, "failed", 3)
        raise RuntimeError
    metrics = spec.run_directory / METRICS
    metrics.write_bytes(metrics.read_bytes().splitlines(keepends=True)[0] + b'{"step":2,')
    log_training(spec, 2)
    _, second = read_parts(spec.run_directory)
    assert second.column("train/global_step") == [2, 3, 4]


def test_steps_from_before_w_and_b_began_are_logged_first(spec: TrainingSpec) -> None:
    for step in (1, 2):
        append_metric(metric(step), spec.run_directory)
    log_training(spec, 3)
    (part,) = read_parts(spec.run_directory)
    assert part.column("train/step_loss") == [1.0, 0.5, 1 / 3, 0.25]


@pytest.fixture(autouse=True)
def children_of_this_test() -> None:
    EARLIER.clear()
    EARLIER.update(children())


@pytest.mark.parametrize("how", ["disabled", "none"])
def test_where_it_is_not_wanted_nothing_is_started(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "disabled":
        monkeypatch.setenv("WANDB_MODE", "disabled")
    else:
        experiment = spec.experiment.model_copy(update={"report_to": "none"})
        spec = spec.model_copy(update={"experiment": experiment})
    with logged(spec) as reporter:
        assert children() == []
        reporter.metric(metric(1))
    assert sorted(path.name for path in spec.run_directory.glob("wandb*")) == []


@pytest.mark.parametrize(
    ("package", "timeout", "said"),
    [
        ("raise ImportError('no wandb here')", 60.0, "no wandb here"),
        ("import os; os._exit(7)", 60.0, "its process ended with code 7"),
        ("import time; time.sleep(600)", -1.0, "it did not end in time"),
    ],
)
def test_a_package_that_is_missing_dies_or_hangs_stops_nothing(
    spec: TrainingSpec,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
    timeout: float,
    said: str,
) -> None:
    (tmp_path / "stand-in" / "wandb").mkdir(parents=True)
    (tmp_path / "stand-in" / "wandb" / "__init__.py").write_text(package)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand-in"), prepend=os.pathsep)
    monkeypatch.setattr(module, "finish_timeout", lambda: timeout)
    log_training(spec)
    output = capsys.readouterr().out
    assert f"W&B: {said}" in output
    assert "step 4/4" in output
    assert children() == []


def test_a_process_that_takes_nothing_holds_up_no_step(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "finish_timeout", lambda: -1.5)
    with logged(spec) as reporter:
        wait_until_started(spec)
        (worker,) = children()
        os.kill(worker, signal.SIGSTOP)
        for step in range(1, 1001):
            reporter.forward(metric(step))
    assert "W&B: it did not end in time" in capsys.readouterr().out
    assert children() == []


def test_a_folder_that_cannot_be_made_stops_nothing(
    spec: TrainingSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    (spec.run_directory / "wandb").write_text("")
    log_training(spec)
    assert "W&B: [Errno 17]" in capsys.readouterr().out


def test_a_full_disk_stops_nothing(
    spec: TrainingSpec, small_disk: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    disk = small_disk(1)
    (spec.run_directory / "wandb").symlink_to(disk)
    with suppress(OSError), (disk / "filler").open("wb") as file:
        for _ in range(1024):
            file.write(bytes(4096))
            file.flush()
    log_training(spec)
    output = capsys.readouterr().out
    assert "step 4/4" in output
    assert "W&B: " in output
    assert children() == []


def test_its_processes_hold_no_file_of_ours_take_no_ctrl_c_and_end_with_the_run(
    spec: TrainingSpec, tmp_path: Path
) -> None:
    slot = os.open(tmp_path / "slot.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(slot, fcntl.LOCK_EX)
    os.set_inheritable(slot, True)
    with logged(spec):
        wait_until_started(spec)
        (worker,) = children()
        processes = [worker, *children(worker)]
        assert len(processes) > 1
        assert os.getpgrp() not in [os.getpgid(process) for process in processes]
        os.close(slot)
        with (tmp_path / "slot.lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert [process for process in processes if Path(f"/proc/{process}").exists()] == []
