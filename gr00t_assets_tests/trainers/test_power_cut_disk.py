"""Power cuts at many instants: after every fsync, and on copies of a real ext4 file system.

Such a copy is what the disk had while a run trained, without what the kernel still held back. It
is mounted, which replays its journal, and the run goes on in it to the end.
"""

import filecmp
import gc
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.trainers.run_files import complete_checkpoints
from gr00t_assets_tests.harness.power_cuts import after_power_cuts
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, train, trainer
from gr00t_assets_tests.trainers.test_toy_trainer import install_toy_trainer

MEGABYTES = 64
CUTS = 6


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder for images, in memory where that can be, since a disk takes long over each fsync."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        yield Path(folder)


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    """Mount an image; skipped where that may not be done."""
    command = ["mount", "-t", "ext4", "-o", "loop", str(image), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"mounting an ext4 image needs root and loop devices: {result.stderr.strip()}")
    try:
        yield
    finally:
        gc.collect()
        deadline = time.monotonic() + 20
        while subprocess.run(["umount", str(folder)], capture_output=True).returncode:
            assert time.monotonic() < deadline, f"{folder} cannot be unmounted"
            time.sleep(0.2)


def copy_at_an_instant(image: Path, target: Path, process: "subprocess.Popen[bytes]") -> None:
    """Copy what the disk has while a process is suspended, and nothing is written meanwhile."""
    process.send_signal(signal.SIGSTOP)
    while True:
        subprocess.run(["cp", "--sparse=always", str(image), str(target)], check=True)
        if filecmp.cmp(image, target, shallow=False):
            break
    process.send_signal(signal.SIGCONT)


def test_from_a_disk_cut_off_at_any_instant_a_run_goes_on_to_the_same_losses(
    spec_of: SpecMaker, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    spec = spec_of(max_steps=40, save_steps=4, tune_projector=False, save_total_limit=1)
    directory, runs = spec.run_directory, Path(spec.store, "runs")
    runs.mkdir()
    image, copies, draw = memory / "disk.img", [], random.Random(time.time())
    with image.open("wb") as file:
        file.truncate(MEGABYTES << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with mounted(image, runs):
        process = subprocess.Popen(trainer(spec), env=environment(), stdout=subprocess.DEVNULL)
        while process.poll() is None:
            if len(copies) < CUTS and (directory / "checkpoints").exists():
                time.sleep(draw.uniform(0, 0.4))
                copies.append(memory / f"{len(copies)}.img")
                copy_at_an_instant(image, copies[-1], process)
        assert process.returncode == 0
        losses, truth = read_metrics(directory).losses.tolist(), load_manifest(directory)
    assert truth is not None and len(losses) == 40 and len(copies) > 2
    resumed = 0
    for copy in copies:
        with mounted(copy, runs):
            covered = read_metrics(directory).complete_steps
            complete = complete_checkpoints(directory)
            assert covered >= max((int(path.name[-6:]) for path in complete), default=0)
            outcome = train(spec)
            assert outcome.returncode == 0, outcome.stderr
            resumed += "resuming from step" in outcome.stdout
            assert read_metrics(directory).losses.tolist() == losses
            manifest = load_manifest(directory)
            assert manifest is not None and manifest.final_loss == truth.final_loss
        copy.unlink()
    assert resumed


def test_a_trainer_from_outside_loses_nothing_after_any_fsync(
    small_data: Path, tmp_path: Path
) -> None:
    packages = install_toy_trainer(tmp_path / "site-packages")
    settings = {"max_steps": 13, "save_steps": 3}
    toy = {"trainer": "toy", "base_model": "zeros", "hyperparameters": settings}
    cuts = after_power_cuts(small_data, tmp_path, "toy_trainer", 1, toy, PYTHONPATH=str(packages))
    assert len(cuts) > 50


def test_native_loses_nothing(small_data: Path, tmp_path: Path) -> None:
    settings = {"max_steps": 6, "save_steps": 2, "tune_projector": False}
    native = {"trainer": "native", "base_model": "tiny", "hyperparameters": settings}
    module = "gr00t_assets.trainers.native.native_run"
    assert len(after_power_cuts(small_data, tmp_path, module, 6, native)) > 5
