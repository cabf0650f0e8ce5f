"""``gr00t-assets serve``: from a run directory to a robot's client, and its latency to the card."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gr00t_assets.cli.main import app
from gr00t_assets.core.errors import Gr00tAssetsError, ServingError
from gr00t_assets.runs.checkpoint_layout import require_unchanged
from gr00t_assets.serving.client import LATENCY, PolicyClient, load_latency
from gr00t_assets.trainers.policy import open_policy

VARIABLE, TOKEN = "ROBOT_TOKEN_OF_THE_TESTS", "a-token-of-the-tests"


def test_a_run_is_served_to_who_has_the_token_until_a_signal(arm_run: Path) -> None:
    asked = ("serve", str(arm_run), "--port", "0", "--seed", "4", "--token-env", VARIABLE)
    process = subprocess.Popen(
        [sys.executable, "-m", "gr00t_assets.cli.main", *asked],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", VARIABLE: TOKEN},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving small-run on cpu at 127.0.0.1:"), line
        assert line.rstrip().endswith("for whoever has the token")
        port = int(line.split(",")[0].rpartition(":")[2])
        policy = open_policy(arm_run, "cpu")
        seen = policy.example_observation()
        with PolicyClient(port=port, token=TOKEN, timeout=60) as client:
            served = client.act(seen)
        np.testing.assert_allclose(served.flat, policy.act(seen, seed=4).flat, atol=1e-4)
        with PolicyClient(port=port, timeout=60) as client, pytest.raises(ServingError):
            client.act(seen)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "over 1 requests; 1 refused" in out
    finally:
        process.kill()
        process.wait()


def refused(*arguments: object) -> str:
    """The message of the error that ends the command."""
    result = CliRunner().invoke(app, ["serve", *map(str, arguments)])
    assert isinstance(result.exception, Gr00tAssetsError), result.output
    return result.exception.explain()


def test_what_cannot_be_served_is_told(arm_run: Path, tmp_path: Path) -> None:
    assert "could move the robot" in refused(arm_run, "--host", "0.0.0.0", "--device", "cpu")
    assert "there is no token" in refused(arm_run, "--token-env", "NO_SUCH_VARIABLE_HERE")
    assert "holds no weights" in refused(tmp_path)


def test_measured_latencies_are_kept_beside_the_weights(arm_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(arm_run, tmp_path / arm_run.parent.name / arm_run.name)
    options = ("--device", "cpu", "--token-env", VARIABLE, "--measure", "12")
    result = CliRunner(env={VARIABLE: TOKEN}).invoke(app, ["serve", str(run), *options])
    assert result.exit_code == 0, result.output
    latency = load_latency(run / "model")
    assert latency is not None and latency.requests == 12 and latency.device == "cpu"
    assert 0 < latency.p50_ms <= latency.p99_ms
    assert latency.text in result.output
    require_unchanged(run / "model")
    file = run / "model" / LATENCY
    file.write_text(file.read_text().replace('"requests": 12', '"requests": 99'))
    with pytest.raises(ServingError, match="no record of latencies"):
        load_latency(run / "model")
