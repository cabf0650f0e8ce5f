"""A dataset of the catalog into the store: whole, readable, versioned by its content."""

import shutil
import uuid
from fractions import Fraction
from pathlib import Path

from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.content_hash import content_files, content_hash
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.record import Camera, DatasetRecord, load_record, save_record
from gr00t_assets.datasets.source_kinds import HubSource
from gr00t_assets.datasets.sources import Origin, fetch, find_origin, hub_commit
from gr00t_assets.errors import DatasetError
from gr00t_assets.files import PARTIAL, disk_full_explained, publish_directory
from gr00t_assets.project import Store


def ingest_dataset(entry: CatalogEntry, store: Store) -> DatasetRecord:
    """Have the current version of a dataset in the store.

    What is there already and cannot have changed is not fetched again: synthetic demonstrations
    of the same parameters, a pinned commit, a folder of the same content. The source is never
    written to.

    Raises:
        DatasetError: It cannot be had or read; the store is as it was.
        StoreError: The disk is full; the store is as it was.
    """
    origin = find_origin(entry)
    present = _present(entry, origin, store)
    if present is not None:
        save_record(present, store)
        return present
    parent = store.root / "datasets" / entry.name
    parent.mkdir(parents=True, exist_ok=True)
    for left_over in parent.glob(f".incoming{PARTIAL}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    partial = parent / f".incoming{PARTIAL}{uuid.uuid4().hex[:8]}"
    with disk_full_explained(partial):
        try:
            partial.mkdir()
            revision = fetch(entry, origin, partial)
            record = _describe(entry, origin, revision, partial)
            publish_directory(partial, record.directory(store))
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    save_record(record, store)
    return record


def _present(entry: CatalogEntry, origin: Origin, store: Store) -> DatasetRecord | None:
    """The record in the store where it is of the same data, with its source brought up to date."""
    try:
        record = load_record(entry.name, store)
    except DatasetError:
        return None
    if origin.folder is not None:
        if content_hash(origin.folder) != record.version:
            return None
        return record.model_copy(update={"source": origin.text, "revision": origin.revision})
    if record.source != origin.text:
        return None
    if origin.pinned:
        return record if record.revision == origin.revision else None
    assert isinstance(entry.source, HubSource)
    try:
        return record if hub_commit(entry.name, entry.source) == record.revision else None
    except DatasetError as error:
        warning = f"kept commit {record.revision}: {error.problem}"
        return record.model_copy(update={"warnings": (*_lasting(record), warning)})


def _lasting(record: DatasetRecord) -> tuple[str, ...]:
    return tuple(text for text in record.warnings if not text.startswith("kept commit"))


def _describe(
    entry: CatalogEntry, origin: Origin, revision: str | None, directory: Path
) -> DatasetRecord:
    dataset = LeRobotDataset.open(directory, entry.name)
    return DatasetRecord(
        name=entry.name,
        version=content_hash(directory),
        source=origin.text,
        revision=revision or origin.revision,
        codebase_version=dataset.codebase_version,
        robot_type=dataset.robot_type,
        episodes=len(dataset.episodes),
        frames=dataset.frame_count,
        fps=dataset.fps,
        cameras=tuple(_probe(dataset, camera) for camera in dataset.cameras),
        tasks=tuple(dataset.tasks[index] for index in sorted(dataset.tasks)),
        size_bytes=sum((directory / path).stat().st_size for path in content_files(directory)),
        warnings=dataset.warnings,
    )


def _probe(dataset: LeRobotDataset, camera: str) -> Camera:
    """Size, rate and codec of a camera, from the head of its first video.

    Raises:
        DatasetError: The video cannot be read.
    """
    import av

    path = dataset.video_path(dataset.episodes[0].index, camera)
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return Camera(
                original_key=camera,
                height=stream.height,
                width=stream.width,
                fps=float(stream.average_rate or Fraction(0)),
                codec=stream.codec_context.name,
            )
    except (OSError, IndexError) as error:
        shown = path.relative_to(dataset.directory)
        raise DatasetError(dataset.name, f"{shown} is not a video.", [str(error)]) from error
