"""The two drawn episodes that benchmarks train on, which are those of the tests."""

from gr00t_assets.core.project import Store
from gr00t_assets.datasets.fit.modality_configs import build_modality_config
from gr00t_assets.datasets.frames.frame_cache_build import build_frame_cache
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.sources.ingest import ingest_dataset
from gr00t_assets_tests.trainers.conftest import ENTRY

__all__ = ["ENTRY", "prepare"]


def prepare(store: Store) -> None:
    """Draw the dataset, and make its modality config and its frame cache."""
    record = ingest_dataset(ENTRY, store)
    config = build_modality_config(ENTRY, store)
    dataset = LeRobotDataset.open(record.directory(store), record.name)
    cameras = [camera.original_key for camera in config.video]
    build_frame_cache(dataset, cameras, store.frame_cache(record.name, record.version))
