"""Runs of the tiny model on drawn demonstrations, trained in this process."""

from pathlib import Path

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache import FrameCache
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.frames.frame_check import check_frames
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets.experiments.experiment import Experiment
from gr00t_assets.experiments.registry import combined_hyperparameters
from gr00t_assets.modality.frame_check_result import save_frame_check
from gr00t_assets.runs.run_directory import place_spec
from gr00t_assets.runs.spec import TrainingSpec, make_spec
from gr00t_assets_tests.trainers.conftest import train

GR1 = {"data_config": "fourier_gr1_arms_only", "embodiment_tag": "gr1"}
SO101 = {"data_config": "so100_dualcam", "embodiment_tag": "new_embodiment"}
UNTRAINED = {"learning_rate": 1e-12, "max_steps": 1, "save_steps": 1}
"""One step that changes nothing: the weights are those that were drawn."""


def make_data(store: Store, robot: str = "gr1_arms", episodes: int = 4, **entry: object) -> str:
    """A materialised dataset in a store; its name."""
    source = {
        "kind": "synthetic",
        "robot": robot,
        "episodes": episodes,
        "min_frames": 40,
        "max_frames": 44,
        "width": 64,
        "height": 64,
    }
    fields = {"name": "small", "description": "Short episodes", "source": source, **entry}
    asked = CatalogEntry.model_validate({**(GR1 if robot == "gr1_arms" else SO101), **fields})
    record = ingest_dataset(asked, store)
    config = build_modality_config(asked, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    folder = store.frame_cache(record.name, record.version)
    build_frame_cache(dataset, cameras, folder)
    truth = check_frames(dataset, FrameCache.open(folder), cameras)
    save_frame_check(truth, store.frame_check(record.name, record.version))
    return asked.name


def make_run(store: Store, name: str = "small-run", **settings: object) -> TrainingSpec:
    """A finished run of the tiny model on the dataset ``small``."""
    values = {"batch_size": 8, "learning_rate": 1e-3, "augmentation": "none", **settings}
    values.setdefault("save_steps", values.get("max_steps", 4))
    experiment = Experiment(
        name=name,
        sweep="small",
        dataset="small",
        hyperparameters=combined_hyperparameters().model_validate(values),
    )
    spec = make_spec(experiment, store)
    place_spec(spec)
    outcome = train(spec)
    assert outcome.returncode == 0, outcome.stderr
    return spec


def a_store(folder: Path) -> Store:
    """An empty store."""
    return Store(folder / "store")
