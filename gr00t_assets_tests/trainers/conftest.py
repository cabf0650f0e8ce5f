"""A small dataset in a store of its own, and specs that train on it in a second."""

import contextlib
import io
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.runs.manifest import load_manifest, save_manifest
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets_tests.small_dataset import small_dataset

SpecMaker = Callable[..., TrainingSpec]

ENTRY = CatalogEntry.model_validate(small_dataset(2, name="small"))


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one materialised dataset; copied, never trained in."""
    store = Store(tmp_path_factory.mktemp("small"))
    record = ingest_dataset(ENTRY, store)
    config = build_modality_config(ENTRY, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))
    return store.root


@pytest.fixture
def spec_of(small_data: Path, tmp_path: Path) -> SpecMaker:
    """Makes a spec in a fresh copy of the store, from hyperparameters."""
    root = tmp_path / "store"
    shutil.copytree(small_data, root)

    def make(base_model: str = "tiny", trainer: str = "native", **settings: object) -> TrainingSpec:
        values = {
            "batch_size": 2,
            "max_steps": 4,
            "save_steps": 2,
            "logging_steps": 1,
            "learning_rate": 1e-3,
            **settings,
        }
        experiment = Experiment(
            name="small-run",
            sweep="small",
            dataset="small",
            trainer=trainer,
            base_model=base_model,
            hyperparameters=combined_hyperparameters().model_validate(values),
        )
        return make_spec(experiment, Store(root))

    return make


def trainer(spec: TrainingSpec) -> list[str]:
    """The command line that trains a spec, which is written beside its store."""
    file = Path(spec.store).parent / f"{spec.config_hash}.json"
    file.write_text(spec.model_dump_json())
    package = {"native": "native", "isaac-gr00t": "isaac_gr00t"}[spec.experiment.trainer]
    return [sys.executable, "-m", f"gr00t_assets.trainers.{package}", str(file)]


@dataclass(frozen=True)
class Outcome:
    """What one training left on its terminal."""

    returncode: int
    stdout: str
    stderr: str


def train(spec: TrainingSpec) -> Outcome:
    """Train a spec in this process, on one thread of the CPU."""
    from gr00t_assets.trainers.native.__main__ import main

    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr("torch.cuda.is_available", lambda: False)
        code = main(trainer(spec)[3:])
    return Outcome(code, out.getvalue(), err.getvalue())


def forget_hashes(run_directory: Path) -> None:
    """Take the hashes out of a manifest, as in runs of version 0.2, to change files by hand."""
    manifest = load_manifest(run_directory)
    assert manifest is not None
    save_manifest(manifest.model_copy(update={"files": {}}), run_directory)


def environment() -> dict[str, str]:
    """One torch thread, and no GPU: only there do losses repeat to the last digit."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
