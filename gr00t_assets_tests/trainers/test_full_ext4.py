"""An ext4 file system that somebody else fills while a run trains, at random moments."""

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets_tests.trainers.conftest import SpecMaker, environment, trainer
from gr00t_assets_tests.trainers.test_power_cut_disk import memory, mounted

__all__ = ["memory"]

MEGABYTES = 96
TIMES = 3


@pytest.fixture
def disk(memory: Path) -> Iterator[Path]:
    """A mounted ext4 without room that is root's alone."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4")
    image, folder = memory / "disk.img", memory / "disk"
    with image.open("wb") as file:
        file.truncate(MEGABYTES << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    folder.mkdir()
    with mounted(image, folder):
        yield folder


def fill(file: Path) -> None:
    """Take all room that there is, down to the last block."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 4096):
            while True:
                os.write(descriptor, bytes(size))
                os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def test_a_run_whose_disk_is_filled_says_so_and_goes_on_with_room_again(
    spec_of: SpecMaker, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    spec = spec_of(max_steps=60, save_steps=6, tune_projector=False, save_total_limit=1)
    unbroken = subprocess.run(trainer(spec), env=environment(), capture_output=True, text=True)
    assert unbroken.returncode == 0, unbroken.stderr
    losses, truth = (
        read_metrics(spec.run_directory).losses.tolist(),
        load_manifest(spec.run_directory),
    )
    shutil.rmtree(spec.run_directory)
    shutil.copytree(spec.store, disk / "store")
    spec = spec.model_copy(update={"store": str(disk / "store")})
    filler, draw, full = disk / "filler", random.Random(time.time()), 0
    for _ in range(TIMES):
        process = subprocess.Popen(
            trainer(spec), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        metrics = spec.run_directory / "metrics.jsonl"
        size = metrics.stat().st_size if metrics.exists() else 0
        while process.poll() is None and (not metrics.exists() or metrics.stat().st_size == size):
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.6))
        fill(filler)
        _, said = process.communicate(timeout=120)
        filler.unlink(missing_ok=True)
        if process.returncode == 0:
            break
        full += 1
        full_words = b"the disk is full" in said or b"nothing was trained" in said
        assert process.returncode == 1 and full_words, said
        assert b"Traceback" not in said
        manifest = load_manifest(spec.run_directory)
        assert manifest is None or manifest.status == "failed"
    assert full, "it was over before the disk was full"
    outcome = subprocess.run(trainer(spec), env=environment(), capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    assert read_metrics(spec.run_directory).losses.tolist() == losses
    manifest = load_manifest(spec.run_directory)
    assert manifest and truth and manifest.final_loss == truth.final_loss
