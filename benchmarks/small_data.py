"""The two drawn episodes that benchmarks train on, which are those of the tests."""

from gr00t_assets.datasets.frame_cache import build_frame_cache
from gr00t_assets.datasets.ingest import ingest_dataset
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.modality.build import build_modality_config
from gr00t_assets.project import Store
from gr00t_assets_tests.training.conftest import ENTRY

__all__ = ["ENTRY", "prepare"]


def prepare(store: Store) -> None:
    """Draw the dataset, and make its modality config and its frame cache."""
    record = ingest_dataset(ENTRY, store)
    config = build_modality_config(ENTRY, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))
