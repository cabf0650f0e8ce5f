"""A disk that fills up: what was complete stays whole, and with more room it goes on."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.datasets.sources.versions import load_record
from gr00t_assets.runs.manifest import load_manifest
from gr00t_assets.runs.metrics import read_metrics
from gr00t_assets.runs.retention.removal import require_disk_space
from gr00t_assets.runs.spec import TrainingSpec
from gr00t_assets.trainers.isaac_gr00t.environment import N15
from gr00t_assets.trainers.isaac_gr00t.hyperparameters import IsaacHyperparameters
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import latest_checkpoint as latest_isaac
from gr00t_assets.trainers.isaac_gr00t.isaac_checkpoints import sizes_on_disk
from gr00t_assets.trainers.native.training_state import latest_checkpoint
from gr00t_assets.trainers.run_files import complete_checkpoints
from gr00t_assets_tests.runs.retention.factory import fill, tree
from gr00t_assets_tests.trainers.conftest import ENTRY, SpecMaker, environment, trainer
from gr00t_assets_tests.trainers.isaac_gr00t.driving import IsaacSpec, drive

Disk = Callable[[int], Path]
MB = 1_000_000


def on(disk: Path, spec: TrainingSpec) -> TrainingSpec:
    """The same run, with its store on a disk."""
    shutil.copytree(spec.store, disk / "store")
    return spec.model_copy(update={"store": str(Store(disk / "store").root)})


def enlarge(disk: Path, megabytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(disk)], check=True)


def start(spec: TrainingSpec) -> "subprocess.CompletedProcess[str]":
    command = trainer(spec)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())


def losses(spec: TrainingSpec) -> list[float]:
    return read_metrics(spec.run_directory).losses.tolist()


def test_a_disk_without_room_for_checkpoint_and_model_is_refused_with_the_figures(
    spec_of: SpecMaker, small_disk: Disk
) -> None:
    disk = small_disk(20)
    spec = on(disk, spec_of())
    result = start(spec)
    assert result.returncode == 1
    assert "training it needs 25.2 MB, and the disk of its run directory has" in result.stderr
    assert "a checkpoint with optimizer state takes" in result.stderr
    assert "the model takes" in result.stderr
    assert complete_checkpoints(spec.run_directory) == []
    assert losses(spec) == []
    enlarge(disk, 300)
    assert start(spec).returncode == 0


def test_the_estimate_is_what_is_written(spec_of: SpecMaker) -> None:
    spec = spec_of(max_steps=2, save_steps=2)
    with pytest.raises(StoreError) as caught:
        require_disk_space("x", Path(spec.store), 10**18, 10**17)
    assert "a checkpoint with optimizer state takes 1000000.0 TB" in str(caught.value)
    assert start(spec).returncode == 0
    (checkpoint,) = complete_checkpoints(spec.run_directory)
    written = sum(path.stat().st_size for path in checkpoint.glob("*.safetensors"))
    model = (spec.run_directory / "model" / "model.safetensors").stat().st_size
    code = (
        "import sys; from gr00t_assets.trainers.native.base_models import load_base_model\n"
        "from gr00t_assets.trainers.native.hyperparameters import NativeHyperparameters\n"
        "from gr00t_assets.trainers.native.native_run import sizes_on_disk\n"
        "from gr00t_assets.trainers.native.optimizer import set_up_training\n"
        "base = load_base_model('tiny').model\n"
        "settings = NativeHyperparameters()\n"
        "set_up_training(base, settings, [0])\n"
        "print(*sizes_on_disk(base, settings))"
    )
    said = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment())
    estimates = list(map(int, said.split()))
    for estimate, found in zip(estimates, (written, model), strict=True):
        assert found <= estimate <= 1.05 * found


@pytest.mark.faults
def test_a_native_run_whose_next_checkpoint_does_not_fit_goes_on_with_more_room(
    spec_of: SpecMaker, small_disk: Disk
) -> None:
    disk = small_disk(32)
    unbroken = spec_of(max_steps=8, save_steps=1, save_total_limit=8)
    spec = on(disk, unbroken)
    result = start(spec)
    assert result.returncode == 1, result.stdout
    assert "the disk is full" in result.stderr and "Traceback" not in result.stderr
    manifest = load_manifest(spec.run_directory)
    assert manifest is not None and manifest.status == "failed"
    state = latest_checkpoint(spec.run_directory, spec.config_hash)
    assert state is not None and state.step == 3
    enlarge(disk, 400)
    again = start(spec)
    assert again.returncode == 0, again.stderr
    assert "resuming from step 3 of 8" in again.stdout
    assert start(unbroken).returncode == 0
    assert losses(spec) == losses(unbroken)


@pytest.mark.faults
def test_an_isaac_run_whose_next_checkpoint_does_not_fit_goes_on_with_more_room(
    isaac_spec: IsaacSpec, small_checkout: Path, small_disk: Disk
) -> None:
    disk = small_disk(400)
    spec = on(disk, isaac_spec(max_steps=6, save_steps=2))
    assert drive(spec, small_checkout).code == 0
    (unit,) = {
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        for folder in (spec.run_directory / "checkpoints").glob("checkpoint-2")
    }
    unbroken = losses(spec)
    shutil.rmtree(spec.run_directory)
    used = shutil.disk_usage(disk).used
    filler = fill(disk / "filler", 400 * 2**20 - used - 2 * unit - 3 * MB // 2)
    broken = drive(spec, small_checkout)
    assert broken.code == 1, broken.output
    assert "disk is full" in broken.output
    latest = latest_isaac(spec)
    assert latest is not None and latest.step < 6
    manifest = load_manifest(spec.run_directory)
    assert manifest is None or manifest.status == "failed"
    filler.unlink()
    again = drive(spec, small_checkout)
    assert again.code == 0, again.output
    assert losses(spec) == unbroken


def test_isaacs_estimate_is_of_the_parts_that_are_trained(small_base: Path) -> None:
    parts = {
        "head": IsaacHyperparameters(),
        "llm": IsaacHyperparameters(tune_llm=True),
        "all": IsaacHyperparameters(tune_llm=True, tune_visual=True),
    }
    found = {
        name: sizes_on_disk(small_base, settings, N15.parts) for name, settings in parts.items()
    }
    size = {name: checkpoint for name, (checkpoint, _) in found.items()}
    assert {model for _, model in found.values()} == {0}
    weights = sum(path.stat().st_size for path in small_base.glob("*.safetensors"))
    assert 0 < size["head"] <= size["llm"] <= size["all"]
    assert size["all"] <= 3.1 * weights * 2
    lora = IsaacHyperparameters(lora_rank=4)
    assert sizes_on_disk(small_base, lora, N15.parts)[0] == 0
    assert sizes_on_disk(small_base / "none", lora, N15.parts) == (0, 0)


def test_a_dataset_that_does_not_fit_leaves_the_version_before(small_disk: Disk) -> None:
    disk = small_disk(8)
    store = Store(disk / "store")
    before = ingest_dataset(ENTRY, store)
    kept = tree(before.directory(store))
    filler = fill(disk / "filler", shutil.disk_usage(disk).free - MB // 10)
    larger = {**ENTRY.source.model_dump(), "episodes": 6}
    entry = ENTRY.model_copy(update={"source": type(ENTRY.source).model_validate(larger)})
    with pytest.raises(StoreError, match="the disk is full"):
        ingest_dataset(entry, store)
    assert load_record(ENTRY.name, store) == before
    assert tree(before.directory(store)) == kept
    assert not list(disk.rglob("*.partial-*"))
    filler.unlink()
    assert ingest_dataset(entry, store).episodes == 6


def test_a_report_that_does_not_fit_leaves_the_one_before(
    spec_of: SpecMaker, small_disk: Disk, tmp_path: Path
) -> None:
    disk = small_disk(8)
    report = fill(disk / "store" / "reports" / "loss_comparison.html", MB)
    content = report.read_bytes()
    fill(disk / "filler", shutil.disk_usage(disk).free - 8192)
    result = subprocess.run(
        [sys.executable, "-c", "from gr00t_assets.cli.main import main; main()", "compare"],
        capture_output=True,
        text=True,
        check=False,
        env=environment() | {"GR00T_ASSETS_STORE": str(disk / "store")},
    )
    assert report.read_bytes() == content
    assert result.returncode == 1, result.stdout
    assert "the disk is full" in result.stderr and "Traceback" not in result.stderr


def test_metrics_and_manifest_on_a_full_disk(spec_of: SpecMaker, small_disk: Disk) -> None:
    disk = small_disk(80)
    spec = on(disk, spec_of(max_steps=4, save_steps=4))
    spec.run_directory.mkdir(parents=True)
    code = (
        "import os, shutil, sys\n"
        "from gr00t_assets.trainers import reporter\n"
        "def full(metric, directory, whole=reporter.append_metric):\n"
        "    if metric.step == 3:\n"
        "        with open(sys.argv[2], 'wb') as file:\n"
        "            try:\n"
        "                while file.write(bytes(4096)): file.flush()\n"
        "            except OSError: pass\n"
        "    whole(metric, directory)\n"
        "reporter.append_metric = full\n"
        "from gr00t_assets.trainers.native.__main__ import main\n"
        "sys.exit(main(sys.argv[1:2]))\n"
    )
    file, filler = trainer(spec)[-1], disk / "filler"
    result = subprocess.run(
        [sys.executable, "-c", code, file, str(filler)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )
    assert result.returncode == 1, result.stdout
    assert "the disk is full" in result.stderr and "Traceback" not in result.stderr
    assert read_metrics(spec.run_directory).columns["step"].tolist()[:2] == [1, 2]
    json.loads((spec.run_directory / "spec.json").read_text())
    filler.unlink()
    assert start(spec).returncode == 0
    assert read_metrics(spec.run_directory).columns["step"].tolist() == [1, 2, 3, 4]
