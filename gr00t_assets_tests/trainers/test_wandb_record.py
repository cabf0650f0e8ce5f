"""What W&B is told, without W&B."""

import json
from pathlib import Path

import pytest

from gr00t_assets.runs.metrics import Metric
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.wandb_run import (
    FINISH_SECONDS,
    RECORD,
    WandbRecord,
    finish_timeout,
    history_rows,
    place_record,
    run_config,
    run_tags,
    sync_command,
)
from gr00t_assets_tests.trainers.conftest import SpecMaker


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_ENTITY", "WANDB_PROJECT", "WANDB_TAGS"):
        monkeypatch.delenv(name, raising=False)


def tagged(spec: TrainingSpec, *tags: str) -> TrainingSpec:
    experiment = spec.experiment.model_copy(update={"tags": tags})
    return spec.model_copy(update={"experiment": experiment})


def test_every_run_carries_the_tag_then_the_sweeps_then_the_environments(
    spec_of: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tagged(spec_of(), "demo-data", "gr00t-overfit")
    assert run_tags(spec) == ("gr00t-overfit", "demo-data")
    monkeypatch.setenv("WANDB_TAGS", "night, demo-data ,," + "x" * 80)
    assert run_tags(spec) == ("gr00t-overfit", "demo-data", "night", "x" * 64)


def test_the_config_has_the_hyperparameters_and_no_path(spec_of: SpecMaker, tmp_path: Path) -> None:
    spec = spec_of(base_model=str(tmp_path / "models" / "mine"), gradient_accumulation_steps=3)
    config = run_config(spec)
    assert config["learning_rate"] == 1e-3
    assert config["samples_per_step"] == 6
    assert (config["dataset"], config["config_hash"]) == ("small", spec.config_hash)
    assert config["base_model"] == "mine"
    assert str(tmp_path) not in json.dumps(config)
    assert run_config(spec_of(base_model="~/models/mine"))["base_model"] == "mine"


def test_a_later_attempt_keeps_id_entity_and_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_ENTITY", "lab")
    first = place_record(tmp_path)
    assert (first.entity, first.project) == ("lab", "gr00t-assets")
    monkeypatch.setenv("WANDB_PROJECT", "another")
    assert place_record(tmp_path) == first
    (tmp_path / RECORD).write_text('{"id": ')
    again = place_record(tmp_path)
    assert again.project == "another"
    assert again.id != first.id


def attempt(folder: Path, size: int) -> None:
    folder.mkdir(parents=True)
    (folder / "run-abc.wandb").write_bytes(bytes(size))


def test_the_sync_command_names_every_attempt_of_this_run_alone(tmp_path: Path) -> None:
    record = WandbRecord(id="abc", project="p")
    assert sync_command(tmp_path, record) is None
    for name in ("offline-run-2-abc", "offline-run-1-abc", "offline-run-3-other"):
        attempt(tmp_path / "wandb" / name, 8)
    attempt(tmp_path / "wandb" / "offline-run-4-abc", 7)
    here = "wandb sync wandb/offline-run-1-abc wandb/offline-run-2-abc"
    assert sync_command(tmp_path, record, here=True) == here
    assert sync_command(tmp_path, record) == here.replace("wandb/", f"{tmp_path}/wandb/")
    attempt(tmp_path / "wandb" / "run-4-abc", 8)
    assert "--include-online" in (sync_command(tmp_path, record) or "")
    record = record.model_copy(update={"uploaded": True})
    assert sync_command(tmp_path, record, here=True) == here
    (tmp_path / "wandb" / "offline-run-1-abc" / "run-abc.wandb.synced").touch()
    here = "wandb sync wandb/offline-run-2-abc"
    assert sync_command(tmp_path, record, here=True) == here


def test_every_step_has_a_row_and_the_last_one_what_was_logged() -> None:
    metric = Metric(
        step=20,
        samples_seen=80,
        epoch=0.5,
        loss=2.0,
        losses=(3.0, 2.0, 1.0),
        grad_norm=0.5,
        learning_rate=1e-4,
        wall_seconds=9.0,
    )
    rows = history_rows(metric, samples_per_step=4)
    assert [row["train/global_step"] for row in rows] == [18, 19, 20]
    assert [row["train/samples_seen"] for row in rows] == [72, 76, 80]
    assert [row["train/step_loss"] for row in rows] == [3.0, 2.0, 1.0]
    assert [row.get("train/loss") for row in rows] == [None, None, 2.0]
    assert rows[-1]["by_samples/loss"] == 2.0


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, 15.0), ("60", 60.0), ("0", 15.0), ("inf", 15.0), ("soon", 15.0)]
)
def test_how_long_an_ended_training_waits_can_be_set(
    monkeypatch: pytest.MonkeyPatch, said: str | None, seconds: float
) -> None:
    monkeypatch.delenv(FINISH_SECONDS, raising=False)
    if said is not None:
        monkeypatch.setenv(FINISH_SECONDS, said)
    assert finish_timeout() == seconds
