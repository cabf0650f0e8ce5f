"""``store verify``: what is found in a trained and evaluated run, and that its remedies work."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.checksums import DAMAGED
from gr00t_assets.core.errors import CheckpointError, EvaluationError, PromotionError
from gr00t_assets.core.project import Store
from gr00t_assets.evaluation.open_loop import evaluate_run
from gr00t_assets.evaluation.result import load_evaluation
from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.manifest import load_manifest, record_attempt
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.run_directory import run_lock
from gr00t_assets.runs.spec import load_spec
from gr00t_assets.runs.stored_run import read_runs
from gr00t_assets.runs.verification import verify_store
from gr00t_assets.trainers.run_checks import loss_problem, weights_problem
from gr00t_assets.trainers.run_files import latest_record
from gr00t_assets_tests.reporting.promotion.conftest import Trained, evaluated_once, trained
from gr00t_assets_tests.runs.test_store_0_1_0 import MADE_BY_0_1_0
from gr00t_assets_tests.trainers.conftest import train

__all__ = ["evaluated_once", "trained"]

BLOCK = 1 << 16


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def change(path: Path, edit: Callable[[bytes], bytes]) -> None:
    """Change a file's bytes and leave its times as they were."""
    times, before = path.stat(), path.read_bytes()
    after = edit(before)
    assert after != before
    path.write_bytes(after)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def zeroed(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(BLOCK) + content[middle + BLOCK :]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["store", "verify", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def contents(store: Store) -> dict[Path, tuple[bytes, int]]:
    files = (path for path in store.root.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_nothing_is_wrong_with_a_store_as_it_was_written_and_nothing_is_changed(trained: Trained):
    before = contents(trained.store)
    code, text = told("--json")
    answer = json.loads(text)
    assert (code, answer["ok"], answer["damaged"]) == (0, True, [])
    assert answer["without_checksum"] == {}
    weights = (trained.run / "model" / "model.safetensors").stat().st_size
    assert answer["files"] > 20 and answer["bytes"] > 2 * weights, "model and checkpoint"
    assert contents(trained.store) == before


def test_a_zeroed_block_of_a_model_stops_everybody_who_opens_it(trained: Trained):
    change(trained.run / "model" / "model.safetensors", zeroed)
    found = "model.safetensors: its content has changed"
    with pytest.raises(CheckpointError, match="this model is damaged"):
        trainer_named("native").open_policy(trained.run)
    with pytest.raises(CheckpointError, match=found):
        evaluate_run(trained.run)
    assert found in str(weights_problem(trained.run))
    with pytest.raises(PromotionError) as refused:
        trained.promote()
    assert any(found in reason for reason in refused.value.details)
    assert not trained.promoted.exists()
    spec = load_spec(trained.run / "spec.json")
    other = spec.experiment.model_copy(
        update={"name": "from-it", "base_model": str(trained.run / "model")}
    )
    outcome = train(spec.model_copy(update={"experiment": other, "config_hash": "0" * 12}))
    assert outcome.returncode == 1 and found in outcome.stderr


@pytest.mark.parametrize("file", ["modality_config.json", "experiment_cfg/metadata.json"])
def test_the_small_files_of_a_model_are_compared_too(trained: Trained, file: str):
    change(trained.run / "model" / file, flipped)
    with pytest.raises(CheckpointError, match=file):
        trainer_named("native").open_policy(trained.run)


def test_a_promoted_model_is_compared_when_it_is_opened_and_promoted_again(trained: Trained):
    trained.promote()
    config = trained.promoted / "config.json"
    content = config.read_bytes()
    config.unlink()  # it shares the run's file
    config.write_bytes(flipped(content))
    for use in (
        lambda: trainer_named("native").open_policy(trained.promoted),
        lambda: trained.promote(),
    ):
        with pytest.raises(CheckpointError, match=r"config\.json: its content has changed"):
            use()
    code, text = told("--repair")
    assert code == 0 and "promoted model" in text and "gr00t-assets model promote small-run" in text
    trained.promote()
    assert told()[0] == 0


def test_a_damaged_model_is_made_anew_from_the_last_checkpoint(trained: Trained):
    weights = trained.run / "model" / "model.safetensors"
    whole, manifest = weights.read_bytes(), load_manifest(trained.run)
    change(weights, zeroed)
    assert told()[0] == 1
    code, text = told("--repair")
    assert code == 0
    assert re.search(r"was moved aside; make it anew: .*--partition small-run", text)
    (folder,) = (trained.store.root / DAMAGED).iterdir()
    assert (folder / weights.relative_to(trained.store.root)).is_file(), "never deleted"
    spec = load_spec(trained.run / "spec.json")
    outcome = train(spec.model_copy(update={"store": str(trained.store.root)}))
    assert outcome.returncode == 0, outcome.stderr
    assert weights.read_bytes() == whole
    again = load_manifest(trained.run)
    assert again and manifest and again.final_loss == manifest.final_loss
    assert told()[0] == 0


def test_a_damaged_checkpoint_is_put_aside_where_an_older_one_is_whole(trained: Trained):
    spec = load_spec(trained.run / "spec.json")
    newest = trained.run / "checkpoints" / "step-000004"
    older = trained.run / "checkpoints" / "step-000002"
    for name in ("manifest.json", "model"):
        path = trained.run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    change(newest / "optimizer.safetensors", zeroed)
    with pytest.raises(CheckpointError, match="corrupt"):
        latest_record(trained.run, spec.config_hash)
    aside = older.rename(trained.run / "older")
    code, text = told("--repair")
    assert code == 1 and newest.is_dir(), "it is the only one"
    assert "training then goes on from the start" in text
    aside.rename(older)
    code, text = told("--repair")
    assert code == 0 and not newest.exists()
    latest = latest_record(trained.run, spec.config_hash)
    assert latest is not None and latest[1].step == 2


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a line that is no metric": ("metrics.jsonl", lambda text: b"[" + text[1:]),
    "not text": ("metrics.jsonl", lambda text: b"\xff\xfe\x00" + text[3:]),
    "no metrics": ("metrics.jsonl", lambda text: b""),
    "another loss": ("metrics.jsonl", lambda text: re.sub(rb"(\d)\.(\d)", rb"9.\2", text, count=1)),
    "NaN for a time": (
        "metrics.jsonl",
        lambda text: re.sub(rb'"epoch":[0-9.]+', b'"epoch":"NaN"', text),
    ),
    "half an evaluation": ("evaluation.json", lambda text: text[: len(text) // 2]),
    "another error": ("evaluation.json", lambda text: re.sub(rb"0\.\d", b"0.99", text, count=1)),
    "another batch size": ("spec.json", lambda text: text.replace(b'size": 8', b'size": 9')),
    "half a spec": ("spec.json", lambda text: text[:100]),
    "bytes in a spec": ("spec.json", lambda text: b"\xff" + text),
    "half a manifest": ("manifest.json", lambda text: text[:100]),
    "a list": ("manifest.json", lambda text: b"[1]"),
    "a better loss": ("manifest.json", lambda text: re.sub(rb'"mean": \d', b'"mean": 0', text)),
    "deep": ("manifest.json", lambda text: b"[" * 100_000),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_named_with_its_path_and_survived(trained: Trained, name: str):
    file, edit = DAMAGES[name]
    change(trained.run / file, edit)
    (run,) = read_runs([trained.experiment], trained.store)
    if file == "evaluation.json":
        with pytest.raises(EvaluationError, match="not as it was written"):
            load_evaluation(trained.run)
    else:
        assert any(str(trained.run) in text and file in text for text in run.problems)
    if file == "manifest.json":
        assert run.status == "unreadable" and not run.rankable
    else:
        assert run.rankable and run.final_loss is not None, "its manifest has the loss"
    if file == "metrics.jsonl":
        assert not len(run.metrics), "no curve from a part of the losses"
        assert "metrics.jsonl" in str(loss_problem(trained.run))
    for command in (["compare"], ["store", "status"], ["journal"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, (command, result.output, result.exception)
    code, text = told()
    assert code == 1
    assert f"{trained.run.relative_to(trained.store.root) / file}: " in text


def test_a_damaged_line_of_the_attempts_is_passed_over(trained: Trained):
    change(trained.run / "attempts.jsonl", lambda text: b"\xff}\n" + text)
    code, text = told()
    assert code == 0 and "attempts.jsonl: 1 of 2 lines cannot be read" in text
    assert len(record_attempt(trained.run)) == 2


def test_a_store_of_0_1_0_has_no_checksums_and_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(MADE_BY_0_1_0, tmp_path / "data")
    monkeypatch.setenv("GR00T_ASSETS_ROOT", str(tmp_path))
    monkeypatch.setenv("GR00T_ASSETS_STORE", str(tmp_path / "data" / "store"))
    found = verify_store(Store.from_environment())
    assert found.ok and found.damages == ()
    assert found.tally.unrecorded["manifest"] == 4
    assert found.tally.unrecorded["metrics"] == 4 and found.tally.unrecorded["model"] == 4
    code, text = told()
    assert code == 0 and "without a recorded checksum, taken as they are" in text
    spec = tmp_path / "data/store/runs/old-low/cbcdf0ca0b5d/spec.json"
    change(spec, lambda content: content.replace(b'"max_steps": ', b'"max_steps": 1'))
    code, text = told()
    assert code == 1 and "old-low" in text


def test_nothing_is_said_of_a_run_that_trains(trained: Trained):
    change(trained.run / "manifest.json", flipped)
    with run_lock(trained.run):
        code, text = told("--repair")
        assert code == 0 and "left out: runs/small-run/" in text
    assert told()[0] == 1


def test_metrics_of_a_run_that_trains_are_counted(trained: Trained):
    (trained.run / "manifest.json").unlink()
    lines = (trained.run / "metrics.jsonl").read_text()
    (trained.run / "metrics.jsonl").write_text(lines + lines.replace('"step":4', '"step":9'))
    assert len(read_metrics(trained.run).losses)
    (run,) = read_runs([trained.experiment], trained.store)
    assert any("losses of" in problem and "metrics.jsonl" in problem for problem in run.problems)
