"""The modality config of a dataset in the store: checked, and kept only where it is valid."""

from typing import TYPE_CHECKING

from gr00t_assets.datasets.held_out import held_out_episodes
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.record import load_record
from gr00t_assets.modality.config import ModalityConfig, save_modality_config
from gr00t_assets.modality.validation import resolve_modality_config
from gr00t_assets.project import Store

if TYPE_CHECKING:
    from gr00t_assets.datasets.catalog import CatalogEntry


def build_modality_config(entry: "CatalogEntry", store: Store) -> ModalityConfig:
    """Hold the current version of a dataset against its data config and keep the result.

    Where it fails the config kept before is removed, so that nothing trains on a stale one.

    Args:
        entry: The dataset's name, data config and embodiment tag.
        store: Where the dataset is and the config goes.

    Raises:
        DatasetError: The dataset is not in the store, or does not fit; every problem is listed.
    """
    try:
        record = load_record(entry.name, store)
        dataset = LeRobotDataset.open(record.directory(store), name=entry.name)
        config = resolve_modality_config(
            dataset,
            entry.name,
            record.version,
            entry.data_config,
            entry.embodiment_tag,
            record.cameras,
        )
        held_out = held_out_episodes(entry.held_out, dataset)
        config = config.model_copy(update={"held_out_episodes": held_out})
    except Exception:
        store.modality_config(entry.name).unlink(missing_ok=True)
        raise
    save_modality_config(config, store)
    return config
