"""Runs of the small checkout from a spec to a manifest, in processes of their own."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.manifest import Manifest, load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.environment import CHECKOUT, PYTHON
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT
from gr00t_assets_tests.trainers.conftest import trainer
from gr00t_assets_tests.trainers.isaac_gr00t.launching import Ended, ended, variables, wait_for

IsaacSpec = Callable[..., TrainingSpec]
"""Makes a spec of the trainer isaac-gr00t from hyperparameters."""


def start(spec: TrainingSpec, checkout: Path, **more: str) -> "subprocess.Popen[str]":
    """Start the trainer as Dagster does, without Dagster."""
    return subprocess.Popen(
        trainer(spec),
        env=variables(
            **{CHECKOUT: str(checkout), PYTHON: sys.executable, "WANDB_MODE": "disabled", **more}
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def drive(spec: TrainingSpec, checkout: Path, **more: str) -> Ended:
    """Train to the end."""
    return ended(start(spec, checkout, **more))


def manifest_of(spec: TrainingSpec) -> Manifest:
    """The manifest, which has to be there."""
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    return manifest


def losses_of(spec: TrainingSpec) -> list[float]:
    """Loss of each step, in order."""
    return read_metrics(spec.run_directory).losses.tolist()


def wait_for_checkpoint(spec: TrainingSpec, step: int, process: "subprocess.Popen[str]") -> None:
    """Wait until a checkpoint is complete."""
    marker = LAYOUT.folder(spec.run_directory, step) / COMPLETE
    wait_for(marker.is_file, process)
