"""W&B with a key: a server that is there, one that is not, and one that never answers."""

import json
import shlex
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.trainers.conftest import SpecMaker
from gr00t_assets_tests.trainers.wandb_files import read_parts
from gr00t_assets_tests.trainers.wandb_server import wandb_server
from gr00t_assets_tests.trainers.wandb_training import (
    KEY,
    bare_spec,
    files_with_the_key,
    log_training,
)


@pytest.fixture
def spec(spec_of: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    return bare_spec(spec_of, tmp_path, monkeypatch)


def test_a_server_that_is_not_there_and_a_key_that_no_file_has(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(socket.socket()) as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        log_training(spec)
    (part,) = read_parts(spec.run_directory)
    assert part.column("train/global_step") == [1, 2, 3, 4]
    assert "W&B: offline (its server cannot be reached)" in capsys.readouterr().out
    assert files_with_the_key(spec) == []


def test_with_a_key_it_is_online_and_the_key_in_no_file(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_PROJECT", "arms")
        log_training(spec)
    ((run, known),) = server.runs.items()
    assert (known["project"], known["displayName"], known["groupName"]) == (
        "arms",
        "small-run",
        "small",
    )
    assert known["tags"] == ["gr00t-overfit", "demo-data"]
    assert [row["train/step_loss"] for row in server.rows[run]] == [1.0, 0.5, 1 / 3, 0.25]
    assert server.exit_codes == {run: 0}
    record = json.loads((spec.run_directory / "wandb.json").read_text())
    assert (record["mode"], record["id"], record["sync"]) == ("online", run, None)
    output = capsys.readouterr().out
    assert f"W&B: {record['url']}" in output
    assert "wandb sync" not in output
    assert files_with_the_key(spec) == []


def test_the_command_that_is_said_uploads_every_attempt_to_one_run(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log_training(spec, 1, 2)
    log_training(spec, 3, 4)
    said = capsys.readouterr().out.splitlines()[-1].removeprefix("W&B: to upload this run: ")
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        program, *arguments = shlex.split(said)
        subprocess.run([Path(sys.executable).with_name(program), *arguments], check=True)
    ((run, rows),) = server.rows.items()
    assert [row["train/global_step"] for row in rows] == [1, 2, 3, 4]
    assert run in said


def test_a_server_that_never_answers_leaves_the_run_offline(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with wandb_server(answers=False) as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        log_training(spec)
    (part,) = read_parts(spec.run_directory)
    assert part.column("train/global_step") == [1, 2, 3, 4]
    assert (part.exit_code, part.summary["status"]) == (0, "finished")
    output = capsys.readouterr().out
    assert "W&B: offline (its server does not answer)" in output
    assert f"wandb sync {part.folder}\n" in output
