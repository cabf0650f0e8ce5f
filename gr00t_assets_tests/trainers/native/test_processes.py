"""Trainings of several real processes: the same losses, one writer, and no orphan."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest

from gr00t_assets.runs.checkpoint_layout import COMPLETE
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.nodes import TIMEOUT
from gr00t_assets.trainers.run_files import DEFAULT_LAYOUT
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, train, trainer
from gr00t_assets_tests.trainers.native.test_native_resume import (
    cut_back_to_step_two,
    losses,
    wait_for,
)

LAYOUTS = ((1, 8, 1), (2, 2, 2), (4, 2, 1))
"""Processes, samples of each at a time, and batches to a step: eight samples a step each."""


def layout(processes: int, batch: int, accumulate: int) -> dict[str, object]:
    return {"num_gpus": processes, "batch_size": batch, "gradient_accumulation_steps": accumulate}


def start(spec: TrainingSpec, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        trainer(spec),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment(), **variables},
    )


def trained(spec: TrainingSpec) -> list[float]:
    if spec.experiment.hyperparameters.num_gpus == 1:
        outcome = train(spec)
        code, output = outcome.returncode, outcome.stdout + outcome.stderr
    else:
        process = start(spec)
        output, _ = process.communicate(timeout=300)
        code = process.returncode
    assert code == 0, output
    assert output.count("step 4/4 ") == 1, output
    return losses(spec.run_directory)


def ranks(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of a training, the first one first."""
    children = psutil.Process(process.pid).children()
    found = {int(child.environ()["RANK"]): child for child in children if "RANK" in child.environ()}
    return [found[rank] for rank in sorted(found)]


def none_is_left(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=10)
    return not alive


def test_losses_do_not_depend_on_how_many_processes_share_a_step(spec_of: SpecMaker) -> None:
    found = [trained(spec_of(augmentation="gr00t", **layout(*sizes))) for sizes in LAYOUTS]
    assert len(found[0]) == 4
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-5)


@pytest.mark.cluster
def test_another_number_of_processes_goes_on_from_a_checkpoint(spec_of: SpecMaker) -> None:
    spec = spec_of(**layout(2, 4, 1))
    unbroken = trained(spec)
    cut_back_to_step_two(spec.run_directory)
    command = trainer(spec)
    torchrun = [command[0], "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4"]
    again = subprocess.run(
        [*torchrun, *command[1:]], env=environment(), capture_output=True, text=True, timeout=300
    )
    assert again.returncode == 0, again.stderr
    assert "resuming from step 2 of 4" in again.stdout
    np.testing.assert_allclose(losses(spec.run_directory), unbroken, rtol=1e-5)
    finished = start(spec)
    output, _ = finished.communicate(timeout=60)
    assert finished.returncode == 0 and "nothing is trained" in output, output


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.cluster), 1])
def test_one_killed_ends_all_and_the_run_goes_on_to_the_same_losses(
    spec_of: SpecMaker, rank: int
) -> None:
    spec = spec_of(max_steps=16, save_steps=4, **layout(2, 2, 1))
    directory = spec.run_directory
    process = start(spec)
    wait_for(DEFAULT_LAYOUT.folder(directory, 4) / COMPLETE, process)
    running = ranks(process)
    running[rank].kill()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 137, output
    assert f"process {rank} of 2 was killed by SIGKILL" in output
    assert none_is_left(running)
    assert not (directory / "model").exists()

    again = start(spec)
    output, _ = again.communicate(timeout=300)
    assert again.returncode == 0, output
    assert "resuming from step" in output
    broken = losses(directory)
    shutil.rmtree(directory)
    assert start(spec).wait(300) == 0
    assert losses(directory) == broken


@pytest.mark.cluster
def test_all_end_with_the_process_that_started_them(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=1000, save_steps=5, **layout(2, 2, 1))
    process = start(spec)
    wait_for(DEFAULT_LAYOUT.folder(spec.run_directory, 5) / COMPLETE, process)
    running = ranks(process)
    process.kill()
    process.communicate()
    assert none_is_left(running)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.cluster)]
)
def test_a_request_to_stop_leaves_one_checkpoint_of_all(spec_of: SpecMaker, number: int) -> None:
    spec = spec_of(max_steps=1000, save_steps=500, **layout(2, 2, 1))
    process = start(spec)
    wait_for(spec.run_directory / "metrics.jsonl", process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "a checkpoint is written, the next start goes on from it" in output
    assert "Traceback" not in output
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert manifest.status == "interrupted"


@pytest.mark.cluster
@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_one_that_hangs_is_named(spec_of: SpecMaker, sharding: str) -> None:
    spec = spec_of(max_steps=1000, save_steps=5, sharding=sharding, **layout(2, 2, 1))
    process = start(spec, **{TIMEOUT: "6", "GR00T_ASSETS_STOP_GRACE": "2"})
    wait_for(DEFAULT_LAYOUT.folder(spec.run_directory, 5) / COMPLETE, process)
    running = ranks(process)
    running[1].suspend()
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "no answer from process 1 (last step " in output
    assert none_is_left(running)


def test_one_that_fails_says_why(spec_of: SpecMaker, tmp_path: Path) -> None:
    """Process 2 of three does not see the frames, as on a node without the store.

    Process 1 fails as well, for the lack of process 2, which is not the reason.
    """
    spec = spec_of(**layout(3, 2, 1))
    (tmp_path / "sitecustomize.py").write_text(
        "import os, numpy\n"
        "if os.environ.get('RANK') == '2':\n"
        "    def memmap(*arguments, **options): raise OSError('Stale file handle')\n"
        "    numpy.memmap = memmap\n"
    )
    process = start(spec, PYTHONPATH=os.pathsep.join([str(tmp_path), str(Path.cwd())]))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    assert "process 2 of 3 failed." in output
    assert "process 1 of 3 failed." not in output
    assert "Stale file handle" in output
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None
    assert manifest.failure is not None
    assert "process 2 of 3 failed" in manifest.failure


def test_processes_that_cannot_share_a_step_are_told_the_numbers(spec_of: SpecMaker) -> None:
    command = trainer(spec_of(**layout(1, 8, 1)))
    torchrun = [command[0], "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    done = subprocess.run(
        [*torchrun, *command[1:]], env=environment(), capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "8 samples a step cannot be shared out over 3 processes" in done.stderr
    assert "take a batch_size that the number of processes divides" in done.stderr
