"""Power cuts: whatever was not synced is gone, and yet no step is lost and no loss is another."""

import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from gr00t_assets.core.errors import CheckpointError, TrainingError
from gr00t_assets.runs.manifest import Manifest, Outcome, load_manifest, record_attempt
from gr00t_assets.runs.metrics import METRICS, Metric, append_metric, read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.attempt import Attempt, StopRequest, attempt_run
from gr00t_assets.trainers.reporter import Reporter
from gr00t_assets.trainers.run_files import complete_checkpoints, drop_uncovered, publish_checkpoint
from gr00t_assets.trainers.wandb_run import place_record
from gr00t_assets_tests.harness.power_cuts import after_power_cuts
from gr00t_assets_tests.trainers.conftest import SpecMaker, train
from gr00t_assets_tests.trainers.test_toy_trainer import install_toy_trainer


def metric(step: int) -> Metric:
    losses = (1.0 / step,)
    facts = {"samples_seen": step, "epoch": 0.0, "grad_norm": 0.0, "learning_rate": 0.1}
    return Metric(step=step, loss=losses[0], losses=losses, wall_seconds=0.0, **facts)


class FourSteps(Attempt):
    """Logs steps, with a checkpoint after each, but for those that it loses."""

    def __init__(self, spec: TrainingSpec, reporter: Reporter, lost: tuple[int, ...] = ()) -> None:
        super().__init__(spec, reporter)
        self._lost = lost

    def outcome(self) -> Outcome:
        return Outcome("1", steps=4)

    def train(self, stop: StopRequest) -> Manifest:
        directory = self.spec.run_directory
        done = len(complete_checkpoints(directory))
        self.reporter.say(f"from step {done}")
        for step in range(done + 1, 5):
            if step not in self._lost:
                append_metric(metric(step), directory)
            write = partial(_write, step)
            publish_checkpoint(directory, step, write, config_hash=self.spec.config_hash, keep=9)
        return self.record("finished")


def _write(step: int, folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "weights").write_text(str(step))


def attempt(spec: TrainingSpec, *lost: int) -> Manifest:
    return attempt_run(spec, lambda reporter: FourSteps(spec, reporter, lost))


@pytest.fixture
def spec(spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return spec_of()


def test_a_trainer_from_outside_loses_nothing(small_data: Path, tmp_path: Path) -> None:
    packages = install_toy_trainer(tmp_path / "site-packages")
    settings = {"max_steps": 5, "save_steps": 3}
    toy = {"trainer": "toy", "base_model": "zeros", "hyperparameters": settings}
    after_power_cuts(small_data, tmp_path, "toy_trainer", 3, toy, PYTHONPATH=str(packages))


@pytest.mark.parametrize("kept", [0, 40, "one line"])
def test_a_run_whose_losses_were_cut_off_by_an_older_version_goes_back(
    spec_of: SpecMaker, kept: int | str
) -> None:
    spec = spec_of()
    directory = spec.run_directory
    assert train(spec).returncode == 0
    unbroken = read_metrics(directory).losses.tolist()
    (directory / "manifest.json").unlink()
    lines = (directory / METRICS).read_bytes()
    size = len(lines.split(b"\n")[0]) + 1 if isinstance(kept, str) else kept
    (directory / METRICS).write_bytes(lines[:size] + bytes(100))

    outcome = train(spec)

    step = 1 if isinstance(kept, str) else 0
    assert f"ends at step {step}, as after a power cut: went back there, without" in outcome.stdout
    assert "resuming" not in outcome.stdout
    assert read_metrics(directory).losses.tolist() == unbroken
    manifest = load_manifest(directory)
    assert manifest is not None and manifest.final_loss is not None
    assert (manifest.status, manifest.final_loss.of_steps) == ("finished", 4)


def test_a_run_goes_back_to_the_last_checkpoint_that_its_losses_cover(
    spec: TrainingSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = spec.run_directory
    attempt(spec)
    (directory / "manifest.json").unlink()
    lines = (directory / METRICS).read_bytes().splitlines(keepends=True)
    (directory / METRICS).write_bytes(b"".join(lines[:2]) + lines[2][:30])
    attempt(spec)
    said = capsys.readouterr().out
    assert "went back there, without step-000003, step-000004\n" in said
    assert "from step 2\n" in said
    assert read_metrics(directory).losses.tolist() == [1.0, 1 / 2, 1 / 3, 1 / 4]
    assert [
        path.name for path in (directory / "checkpoints").iterdir() if "partial" in path.name
    ] == []


def test_losses_that_are_damaged_in_the_middle_delete_no_checkpoint(spec: TrainingSpec) -> None:
    directory = spec.run_directory
    attempt(spec)
    (directory / "manifest.json").unlink()
    lines = (directory / METRICS).read_bytes().splitlines(keepends=True)
    (directory / METRICS).write_bytes(
        b"".join([lines[0], lines[1].replace(b"{", b"x"), *lines[2:]])
    )
    with pytest.raises(CheckpointError, match="the first one that of step 2") as raised:
        attempt(spec)
    assert len(complete_checkpoints(directory)) == 4
    (remedy,) = raised.value.details
    listed = remedy.removeprefix("delete ").removesuffix(" to train those steps again")
    for folder in listed.split(", "):
        shutil.rmtree(folder)
    assert attempt(spec).status == "finished"
    assert read_metrics(directory).losses.tolist() == [1.0, 1 / 2, 1 / 3, 1 / 4]


def test_a_run_that_lost_losses_while_it_trained_is_not_finished(spec: TrainingSpec) -> None:
    with pytest.raises(TrainingError, match="losses of 2 of 4 steps are missing") as raised:
        attempt(spec, 3, 4)
    assert raised.value.details[-1] == "start it again"
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None and manifest.status == "failed"
    assert attempt(spec).status == "finished"
    assert len(read_metrics(spec.run_directory).losses) == 4


def test_what_w_and_b_was_sent_counts_only_as_far_as_it_is_still_there(spec: TrainingSpec) -> None:
    directory = spec.run_directory
    directory.mkdir(parents=True)
    for step in (1, 2, 3):
        append_metric(metric(step), directory)
    place_record(directory)
    size = (directory / METRICS).stat().st_size
    place_record(directory, sent_bytes=size)
    lines = (directory / METRICS).read_bytes().splitlines(keepends=True)
    (directory / METRICS).write_bytes(lines[0] + lines[1][:10])
    assert place_record(directory).sent_bytes == len(lines[0]) + 10
    assert json.loads((directory / "wandb.json").read_text())["sent_bytes"] == len(lines[0]) + 10


def test_starts_that_a_power_cut_tore_are_passed_over(tmp_path: Path) -> None:
    for torn in (b'{"started_at": "2026', bytes(50), b"[1]\n", b'{"other": 1}\n', b"\xff\xfe"):
        (tmp_path / "attempts.jsonl").write_bytes(b'{"started_at": "first"}\n' + torn)
        first, second = record_attempt(tmp_path)
        assert (first, second > "2026") == ("first", True)


def test_without_any_checkpoint_there_is_nothing_to_go_back_from(tmp_path: Path) -> None:
    assert drop_uncovered(tmp_path) is None
