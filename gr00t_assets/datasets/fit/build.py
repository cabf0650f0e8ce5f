"""The modality config of a dataset in the store: checked, and kept only where it is valid."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.checks.check import check_dataset
from gr00t_assets.datasets.fit.draft import missing_modality
from gr00t_assets.datasets.fit.validation import resolve_modality_config
from gr00t_assets.datasets.frames.held_out import held_out_episodes
from gr00t_assets.datasets.frames.truth.check import check_frames
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.datasets.sources.record import load_record
from gr00t_assets.modality.config import ModalityConfig, save_modality_config

if TYPE_CHECKING:
    from gr00t_assets.datasets.catalog import CatalogEntry


def build_modality_config(
    entry: "CatalogEntry", store: Store, video_backends: Sequence[str] = ()
) -> ModalityConfig:
    """Hold the current version of a dataset against its data config and keep the result.

    Where it fails the config kept before is removed, so that nothing trains on a stale one.

    Args:
        entry: The dataset's name, data config and embodiment tag.
        store: Where the dataset is and the config goes.
        video_backends: Backends whose frames are compared with those decoded in order.

    Raises:
        DatasetError: The dataset is not in the store, does not fit, or has a fault that
            :func:`check_dataset` calls an error; every problem is listed.
    """
    try:
        record = load_record(entry.name, store)
        dataset = LeRobotDataset.open(record.directory(store), name=entry.name)
        if dataset.modality is None:
            raise missing_modality(dataset, store)
        config = resolve_modality_config(
            dataset,
            entry.name,
            record.version,
            entry.data_config,
            entry.embodiment_tag,
            record.cameras,
        )
        refuse_faults(entry, record.directory(store))
        cameras = [key.original_key for key in config.video]
        config = config.model_copy(
            update={
                "held_out_episodes": held_out_episodes(entry.held_out, dataset),
                "frame_size": entry.frame_size,
                "frames": tuple(
                    check_frames(dataset, None, cameras, backend) for backend in video_backends
                ),
            }
        )
    except Exception:
        store.modality_config(entry.name).unlink(missing_ok=True)
        raise
    save_modality_config(config, store)
    return config


def refuse_faults(entry: "CatalogEntry", directory: Path) -> None:
    """Refuse a dataset that no trainer can be trusted with.

    Raises:
        DatasetError: Every error of :func:`check_dataset`, with the file and what to do.
    """
    findings = check_dataset(directory, entry.data_config, entry.embodiment_tag)
    if findings.ok:
        return
    lines = [
        f"{item.file or 'dataset'}: {item.found}; expected {item.expected}; {item.remedy}"
        for item in findings.errors
    ]
    lines.append(f"the whole list: gr00t-assets dataset check {entry.name}")
    raise DatasetError(entry.name, f"{findings.summary()} in its files.", lines)
