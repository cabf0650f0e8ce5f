"""``gr00t-assets train SPEC``: the trainer in a slot, under the guard, without Dagster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment

CLI = [sys.executable, "-c", "from gr00t_assets.cli.main import main; main()"]


def train_command(spec: TrainingSpec) -> list[str]:
    file = Path(spec.store).parent / "by-hand.json"
    file.write_text(spec.model_dump_json())
    return [*CLI, "train", str(file)]


def variables() -> dict[str, str]:
    return {**environment(), "GR00T_ASSETS_GPUS": ""}


def test_a_spec_is_trained_and_its_log_is_kept(spec_of: SpecMaker) -> None:
    spec = spec_of()
    result = subprocess.run(
        train_command(spec), capture_output=True, text=True, check=False, env=variables()
    )
    assert result.returncode == 0, result.stderr
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert (manifest.status, manifest.device, manifest.device_uuid) == ("finished", "cpu", None)
    log = (spec.run_directory / "log.txt").read_text()
    assert "step 4/4" in log
    assert "step 4/4" in result.stdout


def test_an_error_ends_with_its_message_and_exit_code_1(tmp_path: Path) -> None:
    command = [*CLI, "train", str(tmp_path / "nowhere.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "SpecError" in result.stderr
    assert "there is no such spec file" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_on_the_terminal_waits_for_a_checkpoint(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=2000, save_steps=2000)
    process = subprocess.Popen(
        train_command(spec),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=variables(),
    )
    metrics = spec.run_directory / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 130, errors
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert manifest.status == "interrupted"
