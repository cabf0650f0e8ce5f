"""What any checkout of N1.7 has to do, small or real, from a spec to a manifest and a policy."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np

from gr00t_assets.experiments.registry import trainer_named
from gr00t_assets.runs.run_directory import MODEL
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.environment import N17
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import LAYOUT
from gr00t_assets.trainers.n17.processor_files import ProcessorFiles
from gr00t_assets_tests.trainers.isaac_gr00t.driving import (
    drive,
    losses_of,
    manifest_of,
    start,
    wait_for_checkpoint,
)
from gr00t_assets_tests.trainers.isaac_gr00t.launching import ended
from gr00t_assets_tests.trainers.isaac_gr00t.n17_place import N17Place
from gr00t_assets_tests.trainers.isaac_gr00t.test_isaac_run import launcher_of

STEPS = 8


def variables(place: N17Place, checkout: Path, python: str, **more: str) -> dict[str, str]:
    """Environment of a driver of N1.7."""
    named = {f"{N17.variable}_CHECKOUT": str(checkout), f"{N17.variable}_PYTHON": python}
    return {**named, "GR00T_ASSETS_ROOT": str(place.root), **more}


def check_killed_and_resumed(
    place: N17Place, checkout: Path, around: dict[str, str], victim: str, moved: Path
) -> TrainingSpec:
    """Killed after step 2 it ends with the losses of a run that was not, with two loaders."""
    spec = place.spec(max_steps=STEPS, save_steps=2)
    before = {path: path.stat().st_mtime_ns for path in spec.datasets[0].directory.rglob("*")}
    process = start(spec, checkout, **around)
    wait_for_checkpoint(spec, 2, process)
    process.kill() if victim == "driver" else os.kill(launcher_of(process.pid), signal.SIGKILL)
    ended(process)
    assert not LAYOUT.folder(spec.run_directory, STEPS).exists()

    outcome = drive(spec, checkout, **around)
    assert outcome.code == 0, outcome.output
    assert "resuming from step " in outcome.output
    manifest = manifest_of(spec)
    assert (manifest.status, manifest.steps, manifest.attempts) == ("finished", STEPS, 2)
    trained = manifest.trainable_parameters or {}
    assert (manifest.samples_seen, trained["llm"]) == (2 * STEPS, 0)
    assert trained["projector"] > 0 and manifest.final_loss is not None
    after = {path: path.stat().st_mtime_ns for path in spec.datasets[0].directory.rglob("*")}
    assert after == before, "something is written into the dataset"
    losses = losses_of(spec)
    assert len(losses) == STEPS

    shutil.move(spec.run_directory, moved)
    outcome = drive(spec, checkout, **around)
    assert outcome.code == 0, outcome.output
    assert losses_of(spec) == losses
    return spec


def check_opens(place: N17Place, spec: TrainingSpec) -> None:
    """Its checkpoints and its model act natively, and have NVIDIA's processor files."""
    opened = trainer_named("isaac-gr00t").open_policy
    policy = opened(spec.run_directory, "cpu")
    observation = policy.example_observation()
    chunk = policy.act(observation, seed=1)
    assert chunk.flat.shape[0] == 8 and np.isfinite(chunk.flat).all()
    checkpoint = LAYOUT.folder(spec.run_directory, STEPS)
    last = opened(checkpoint, "cpu").act(observation, seed=1)
    np.testing.assert_array_equal(last.flat, chunk.flat)
    files = ProcessorFiles.read(spec.run_directory / MODEL)
    assert place.tag in files.tags
    assert files.statistics == ProcessorFiles.read(checkpoint).statistics
    own = ProcessorFiles.read(place.base)
    for key, numbers in own.statistics[place.tag]["relative_action"].items():
        written = files.statistics[place.tag]["relative_action"][key]
        np.testing.assert_allclose(written["max"], numbers["max"], rtol=1e-6)
