"""A profile says where the time of a step goes, and leaves the run as it was."""

import json
import subprocess
from pathlib import Path

import pytest

from gr00t_assets.trainers.native.profiling import TABLE, TRACE
from gr00t_assets.trainers.native.training_loop import STEP_PARTS
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, trainer


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def test_a_profile_has_the_parts_of_a_step_and_a_trace(spec_of: SpecMaker) -> None:
    spec = spec_of(augmentation="gr00t", gradient_accumulation_steps=2, num_nodes=2)
    command = trainer(spec)
    folder = Path(command[-1]).parent / "profile"
    result = run([*command, "--profile", "2"])
    assert result.returncode == 0, result.stderr
    table = (folder / TABLE).read_text()
    assert result.stdout == f"{table}\n{folder}\n"
    first, *rest = table.splitlines()
    assert first.startswith("2 steps, ")
    assert "samples/s on cpu" in first
    shares = {
        line[:12].strip(): line.split()[-1] for line in rest if line[:12].strip() in STEP_PARTS
    }
    assert set(shares) == set(STEP_PARTS)
    assert 50 < sum(float(share.rstrip("%")) for share in shares.values()) <= 100.5
    assert "aten::" in table
    events = json.loads((folder / TRACE).read_text())["traceEvents"]
    names = [event.get("name") for event in events]
    assert [names.count(part) for part in STEP_PARTS] == [4, 4, 4, 2]
    assert not spec.run_directory.exists()


@pytest.mark.parametrize("steps", ["0", "-1", "many"])
def test_what_is_no_number_of_steps_is_refused(spec_of: SpecMaker, steps: str) -> None:
    result = run([*trainer(spec_of()), "--profile", steps])
    assert result.returncode == 1
    assert result.stderr.startswith("TrainingError: --profile")
    assert "Traceback" not in result.stderr
