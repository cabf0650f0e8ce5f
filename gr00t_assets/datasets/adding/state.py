"""How far a dataset of the catalog is on its way into training."""

from typing import Any

from pydantic import Field

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import FrozenModel
from gr00t_assets.core.project import Store, materialize_command, own_modality_file
from gr00t_assets.core.yaml_files import shown_path
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.record import load_record
from gr00t_assets.modality.config import load_modality_config


class DatasetState(FrozenModel):
    """A dataset of the catalog, with what the store has of it."""

    name: str
    description: str
    source: str = Field(description="In words, without credentials")
    data_config: str
    embodiment_tag: str
    modality_file: str = Field(description="The project's own; empty where the source's is used")
    version: str | None = Field(description="In the store; none where it is not there")
    episodes: int = 0
    hours: float = 0.0
    cameras: tuple[str, ...] = Field(default=(), description="With their size in pixels")
    tasks: tuple[str, ...] = ()
    progress: str = Field(description="not in the store, in the store, checked, or ready")
    next: str = Field(default="", description="Command that brings it further; empty: it is ready")


def next_command(name: str) -> str:
    """What brings a dataset into the store, checks it and decodes its frames."""
    return materialize_command("dataset,modality_config,frame_cache", name)


def dataset_state(entry: CatalogEntry, store: Store) -> DatasetState:
    """What is known of a dataset of the catalog; its source is not asked."""
    own = own_modality_file(entry.name)
    fields: dict[str, Any] = {
        "name": entry.name,
        "description": entry.description,
        "source": entry.source.describe(),
        "data_config": entry.data_config,
        "embodiment_tag": entry.embodiment_tag,
        "modality_file": shown_path(own) if own.is_file() else "",
    }
    try:
        record = load_record(entry.name, store)
    except DatasetError:
        return DatasetState(
            **fields, version=None, progress="not in the store", next=next_command(entry.name)
        )
    progress = "in the store"
    try:
        if load_modality_config(entry.name, store).dataset_version == record.version:
            has_frames = store.frame_check(entry.name, record.version).is_file()
            progress = "ready" if has_frames else "checked"
    except DatasetError:
        pass
    return DatasetState(
        **fields,
        version=record.version,
        episodes=record.episodes,
        hours=record.hours,
        cameras=tuple(
            f"{item.original_key} {item.width} x {item.height}" for item in record.cameras
        ),
        tasks=record.tasks,
        progress=progress,
        next="" if progress == "ready" else next_command(entry.name),
    )
