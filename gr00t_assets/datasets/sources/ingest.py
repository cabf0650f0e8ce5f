"""From a catalog entry to a version of the dataset in the store."""

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import PARTIAL, published_directory
from gr00t_assets.core.project import Store
from gr00t_assets.core.system_errors import system_errors_explained
from gr00t_assets.core.units import counted
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.checks.scan import DatasetScan, keep_scan, scan_dataset
from gr00t_assets.datasets.curation import Curated
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import V30, read_info
from gr00t_assets.datasets.lerobot.v3.convert import CONVERSION, CONVERTED
from gr00t_assets.datasets.sources.fetch import (
    Fetched,
    exclusive,
    fetch,
    lay_out,
    local_folder,
    no_log,
    remove_downloads,
)
from gr00t_assets.datasets.sources.normal_form import check_curation, write_normal_form
from gr00t_assets.datasets.sources.origin import (
    OFFLINE,
    Origin,
    folder_origin,
    load_origin,
    origin_now,
    replaced_files,
    save_origin,
)
from gr00t_assets.datasets.sources.versions import (
    DatasetRecord,
    changed_version_files,
    content_hash,
    content_hashes,
    files_by_path,
    hash_of_files,
    load_record,
    record_files,
    refuse_links,
    save_record,
)

_NOT_WHOLE = (
    *("episode-length", "parquet-unreadable", "row-count", "video-truncated"),
    "video-unreadable",
)
"""Faults that keep a dataset out of the store; others are shown by its check there."""


def ingest_dataset(
    entry: CatalogEntry, store: Store, log: Callable[[str], None] = no_log
) -> DatasetRecord:
    """Bring a dataset into the store, unless this very version is there.

    The source is never written to. A source that cannot have changed (parameters of the generator,
    a commit) is not fetched again; a folder is hashed again and copied only where it has changed.
    What a broken connection or a killed process leaves of a download is used by the next call.

    Raises:
        DatasetError: It cannot be had, means something else than before under the same name, is
            not a complete LeRobot dataset, or has videos that cannot be opened; the store has
            what it had.
        StoreError: The disk is full, or has no room for it.
    """
    with exclusive(entry.name, store, log) as folder, system_errors_explained(folder):
        local = local_folder(entry)
        if local is None:
            origin, offline = origin_now(entry, store)
            source = entry.source.describe()
        else:
            refuse_links(local.directory, entry.name)
            digest = content_hash(local.directory, replaced_files(entry, local.directory, store))
            origin, offline = folder_origin(entry, store, digest), None
            source = local.description
        record = _stored_record(entry, store, origin)
        if record is not None:
            log(f"{entry.name}: version {record.version} is in the store")
        else:
            with TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=folder) as scratch:
                fetched = local or fetch(entry, origin.commit, folder, Path(scratch), log)
                check_curation(entry, fetched.directory)
                scan = _scan_source(entry, store, fetched)
                record = _publish(entry, store, fetched, scan, Path(scratch, "normal"), log)
        warnings = [line for line in record.warnings if not line.startswith(OFFLINE)]
        words = source + (f" at {record.revision}" if record.revision else "")
        update = {"source": words, "warnings": (*warnings, *([offline] if offline else ()))}
        record = record.model_copy(update=update)
        if record != _current_record(entry, store):
            save_record(record, store)
        save_origin(entry.name, store, origin, record.version)
        if local is None:
            remove_downloads(folder)
    return record


def _current_record(entry: CatalogEntry, store: Store) -> DatasetRecord | None:
    try:
        return load_record(entry.name, store)
    except DatasetError:
        return None


def _stored_record(entry: CatalogEntry, store: Store, origin: Origin) -> DatasetRecord | None:
    """The record that this origin gave last time, where it is still current, complete and sound."""
    stored, record = load_origin(entry.name, store), _current_record(entry, store)
    if stored is None or record is None or stored[1] != record.version:
        return None
    if any(line.startswith(CONVERTED) and line != CONVERSION for line in record.warnings):
        return None
    size = sum(_sizes(record.directory(store)).values())
    if stored[0].key != origin.key or size != record.size_bytes:
        return None
    return None if changed_version_files(entry.name, record.version, store) else record


def _scan_source(entry: CatalogEntry, store: Store, fetched: Fetched) -> DatasetScan:
    """Check a dataset as it lies, before anything is done to it.

    Refused is one with files that cannot be read or are not whole; in v3.0, since it could not be
    converted, one with any error but those of ``modality.json``.
    """
    replaced = replaced_files(entry, fetched.directory, store)
    choice = entry.curation.episodes
    leaves_out = None if choice.is_empty else choice.leaves_out
    options = {"leaves_out": leaves_out, "trained_task": entry.curation.task}
    scan = scan_dataset(fetched.directory, replaced=replaced, **options)
    errors = [item for item in scan.findings if item.severity == "error"]
    errors = [item for item in errors if item.subject != scan.modality_file]
    is_shared = read_info(Folder(fetched.directory, confined=False)).version == V30
    if errors and (is_shared or any(item.code in _NOT_WHOLE for item in errors)):
        lines = [f"{item.subject or 'the folder'}: {item.text}" for item in errors]
        where = f"in {fetched.description}"
        raise DatasetError(entry.name, "its files cannot be trained on.", [*lines, where])
    return scan


def _publish(
    entry: CatalogEntry,
    store: Store,
    fetched: Fetched,
    scan: DatasetScan,
    scratch: Path,
    log: Callable[[str], None],
) -> DatasetRecord:
    """Bring a dataset into the form that is read here and publish it by its hash.

    The scan, of the dataset as it was before, is kept beside it; its normal form goes to a folder
    to make, ``scratch``.
    """
    started = time.monotonic()
    replaced = replaced_files(entry, fetched.directory, store)
    normal = write_normal_form(fetched.directory, scratch, entry, replaced)
    warnings, curated = normal or ((), None)
    if normal is not None:
        fetched = replace(fetched, directory=scratch, temporary=True)
    opened = LeRobotDataset.open(fetched.directory, entry.name)
    version = content_hash(fetched.directory, replaced)
    target = store.dataset_directory(entry.name, version)
    if target.is_dir() and changed_version_files(entry.name, version, store):
        shutil.rmtree(target)
    if not target.is_dir():
        with published_directory(target) as partial:
            lay_out(fetched.directory, partial, not fetched.temporary, replaced)
            hashes = content_hashes(partial)
            if hash_of_files(hashes) != version:
                problem = "its files changed while they were copied."
                raise DatasetError(entry.name, problem, ["try again"])
            record_files(entry.name, version, hashes, store)
    keep_scan(scan, target, store.dataset_scan(entry.name, version))
    sizes = _sizes(target)
    seconds = time.monotonic() - started
    log(
        f"{entry.name}: version {version}, {counted(len(sizes), 'file')}, "
        f"{sum(sizes.values()) / 1e6:.1f} MB, opened, hashed and kept in {seconds:.1f} s"
    )
    return DatasetRecord(
        name=entry.name,
        version=version,
        source=fetched.description,
        revision=fetched.revision,
        codebase_version=opened.codebase_version,
        robot_type=opened.robot_type,
        episodes=len(opened.episodes),
        frames=opened.frame_count,
        fps=opened.fps,
        cameras=scan.measured,
        tasks=_tasks(opened, curated),
        size_bytes=sum(sizes.values()),
        warnings=tuple(dict.fromkeys((*warnings, *opened.warnings))),
        curated=curated,
    )


def _tasks(dataset: LeRobotDataset, curated: Curated | None) -> tuple[str, ...]:
    """The instructions; where episodes were left out, those that the others list."""
    tasks = [dataset.tasks[index] for index in sorted(dataset.tasks)]
    listed = {task for episode in dataset.episodes for task in episode.tasks}
    if curated is None:
        return tuple(tasks)
    return tuple(dict.fromkeys(task for task in tasks if task in listed or not listed))


def _sizes(directory: Path) -> dict[Path, int]:
    """Bytes of every file."""
    files = files_by_path(directory)
    return {path: file.stat().st_size for path, file in files.items()}
