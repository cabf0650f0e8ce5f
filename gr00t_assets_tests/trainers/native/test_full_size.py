"""N1.5 in full size on a CPU: steps, files, and their memory against the count."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from gr00t_assets_tests.trainers.conftest import environment

FREE = 18_000_000_000
PROJECTOR = "tune_diffusion_model=false"


def measured(folder: Path, *settings: str) -> dict[str, float]:
    module = "gr00t_assets_tests.trainers.native.full_size_steps"
    command = [sys.executable, "-m", module, str(folder), *settings]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_same_steps_of_tiny(tmp_path: Path) -> None:
    found = measured(tmp_path, "config=tiny", "learning_rate=1e-3", PROJECTOR)
    assert found["second_loss"] < found["first_loss"]
    assert (found["unequal"], found["shards"]) == (0, 1)


@pytest.mark.full_size
def test_the_full_model_is_trained_saved_and_opened_again(tmp_path: Path) -> None:
    free = psutil.virtual_memory().available
    if free < FREE:
        pytest.skip(f"needs {FREE / 1e9:.0f} GB of free memory, there are {free / 1e9:.0f}")
    found = measured(tmp_path, PROJECTOR)
    sys.stderr.write(json.dumps(found, indent=1) + "\n")
    assert found["parameters"] == pytest.approx(2414e6, rel=0.01)
    assert found["second_loss"] < found["first_loss"]
    assert found["unequal"] == 0
    assert found["shards"] > 1 and found["largest_shard"] <= 5.001e9
    assert found["peak"] == pytest.approx(found["counted"], rel=0.15)
