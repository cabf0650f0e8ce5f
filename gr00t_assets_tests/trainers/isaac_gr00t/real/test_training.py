"""The real trainer from a spec to a manifest, killed in the middle, resumed, and asked again."""

import os
import shutil
from pathlib import Path

import pytest

from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.environment import PYTHON
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT
from gr00t_assets.trainers.native.policy import NativePolicy
from gr00t_assets_tests.trainers.conftest import SpecMaker
from gr00t_assets_tests.trainers.isaac_gr00t.driving import (
    drive,
    losses_of,
    manifest_of,
    start,
    wait_for_checkpoint,
)
from gr00t_assets_tests.trainers.isaac_gr00t.launching import ROOT, ended
from gr00t_assets_tests.trainers.isaac_gr00t.real.conftest import HERE, Isaac

STEPS, BATCH = 8, 16
"""The dataset has 5 or 6 batches, so that the second epoch begins after the resume."""


@pytest.fixture
def variables(isaac: Isaac) -> dict[str, str]:
    """What the driver's process is told besides the checkout, and hands on."""
    return {
        PYTHON: str(isaac.python),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE / "cpu")]),
        "HF_MODULES_CACHE": str(isaac.modules),
        "NO_ALBUMENTATIONS_UPDATE": "1",
    }


@pytest.fixture
def real_spec(spec_of: SpecMaker, tiny_base: Path) -> TrainingSpec:
    """No loader process, so that what is drawn repeats."""
    return spec_of(
        base_model=str(tiny_base),
        trainer="isaac-gr00t",
        max_steps=STEPS,
        batch_size=BATCH,
        save_steps=2,
        dataloader_num_workers=0,
    )


def steps_of(spec: TrainingSpec) -> list[int]:
    return read_metrics(spec.run_directory).columns["step"].tolist()


def test_killed_and_resumed_it_ends_as_if_it_had_not_been(
    isaac: Isaac, real_spec: TrainingSpec, variables: dict[str, str], tmp_path: Path
) -> None:
    spec = real_spec
    process = start(spec, isaac.checkout, **variables)
    wait_for_checkpoint(spec, 2, process)
    process.kill()
    ended(process)
    assert not LAYOUT.folder(spec.run_directory, STEPS).exists()

    outcome = drive(spec, isaac.checkout, **variables)
    assert outcome.code == 0, outcome.output
    assert "resuming from step " in outcome.output
    manifest = manifest_of(spec)
    assert (manifest.status, manifest.steps, manifest.attempts) == ("finished", STEPS, 2)
    assert manifest.samples_seen == BATCH * STEPS
    assert steps_of(spec) == list(range(1, STEPS + 1))
    killed = losses_of(spec)
    before = {path: path.stat().st_mtime_ns for path in spec.run_directory.rglob("*.safetensors")}

    again = drive(spec, isaac.checkout, **variables)
    assert again.code == 0
    assert "nothing is trained" in again.output
    assert {path: path.stat().st_mtime_ns for path in before} == before

    # The published model opens in the native trainer's policy, and so in the evaluation.
    NativePolicy(spec.run_directory / "model")

    shutil.move(spec.run_directory, tmp_path / "killed")
    outcome = drive(spec, isaac.checkout, **variables)
    assert outcome.code == 0, outcome.output
    assert losses_of(spec) == killed
