"""From a catalog entry to a version of the dataset in the store."""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from gr00t_assets.core.errors import DatasetError, system_errors_explained
from gr00t_assets.core.files import PARTIAL, published_directory
from gr00t_assets.core.locks import Log
from gr00t_assets.core.project import Store
from gr00t_assets.core.text import counted
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.checks.scan import DatasetScan, keep_scan, scan_dataset
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.info import V30, read_info
from gr00t_assets.datasets.lerobot.v3.convert import CONVERSION, CONVERTED
from gr00t_assets.datasets.sources import fetch, origin, versions
from gr00t_assets.datasets.sources.normal_form import check_curation, write_normal_form
from gr00t_assets.datasets.sources.versions import DatasetRecord

_NOT_WHOLE = (
    *("episode-length", "parquet-unreadable", "row-count", "video-truncated"),
    "video-unreadable",
)
"""Faults that keep a dataset out of the store; others are shown by its check there."""


def ingest_dataset(entry: CatalogEntry, store: Store, log: Log = fetch.no_log) -> DatasetRecord:
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
    name = entry.name
    with fetch.exclusive(name, store, log) as folder, system_errors_explained(folder):
        local = fetch.local_folder(entry)
        directory, source = local or (folder, entry.source.describe())
        digest = None
        if local:
            versions.refuse_links(directory, name)
            replaced = origin.replaced_files(entry, directory, store)
            digest = versions.content_hash(directory, replaced)
        current, offline = origin.origin_now(entry, store, digest)
        record = _stored_record(entry, store, current)
        if record is not None:
            log(f"{name}: version {record.version} is in the store")
        else:
            with TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=folder) as scratch:
                if local is None:
                    commit = current.commit
                    directory = fetch.fetch(entry, commit, folder, Path(scratch), log)
                check_curation(entry, directory)
                scan = _scan_source(entry, store, directory, source)
                normal = Path(scratch, "normal")
                record = _publish(entry, store, directory, local is not None, scan, normal, log)
        warnings = [line for line in record.warnings if not line.startswith(origin.OFFLINE)]
        update = {
            "source": source + (f" at {current.commit}" if current.commit else ""),
            "revision": current.commit,
            "warnings": (*warnings, *([offline] if offline else ())),
        }
        record = record.model_copy(update=update)
        if record != _current_record(entry, store):
            versions.save_record(record, store)
        origin.save_origin(name, store, current, record.version)
        if local is None:
            fetch.remove_downloads(folder)
    return record


def _current_record(entry: CatalogEntry, store: Store) -> DatasetRecord | None:
    try:
        return versions.load_record(entry.name, store)
    except DatasetError:
        return None


def _stored_record(entry: CatalogEntry, store: Store, now: origin.Origin) -> DatasetRecord | None:
    """The record that this origin gave last time, where it is still current, complete and sound."""
    stored, record = origin.load_origin(entry.name, store), _current_record(entry, store)
    if not stored or not record or (stored[0].key, stored[1]) != (now.key, record.version):
        return None
    if any(line.startswith(CONVERTED) and line != CONVERSION for line in record.warnings):
        return None
    return None if versions.changed_version_files(entry.name, record.version, store) else record


def _scan_source(entry: CatalogEntry, store: Store, directory: Path, source: str) -> DatasetScan:
    """Check a dataset as it lies, before anything is done to it.

    Refused is one with files that cannot be read or are not whole; in v3.0, since it could not be
    converted, one with any error but those of ``modality.json``.
    """
    replaced = origin.replaced_files(entry, directory, store)
    choice = entry.curation.episodes
    leaves_out = None if choice.is_empty else choice.leaves_out
    options = {"leaves_out": leaves_out, "trained_task": entry.curation.task}
    scan = scan_dataset(directory, replaced=replaced, **options)
    errors = [item for item in scan.findings if item.severity == "error"]
    errors = [item for item in errors if item.subject != scan.modality_file]
    is_shared = read_info(Folder(directory, confined=False)).version == V30
    if errors and (is_shared or any(item.code in _NOT_WHOLE for item in errors)):
        lines = [f"{item.subject or 'the folder'}: {item.text}" for item in errors]
        problem = "its files cannot be trained on."
        raise DatasetError(entry.name, problem, [*lines, f"in {source}"])
    return scan


def _publish(
    entry: CatalogEntry,
    store: Store,
    directory: Path,
    is_source: bool,
    scan: DatasetScan,
    scratch: Path,
    log: Log,
) -> DatasetRecord:
    """Bring a dataset into the form that is read here and publish it by its hash.

    The scan, of the dataset as it was before, is kept beside it; its normal form goes to a folder
    to make, ``scratch``. The files of a folder that is the source itself are copied.
    """
    started, name = time.monotonic(), entry.name
    replaced = origin.replaced_files(entry, directory, store)
    normal = write_normal_form(directory, scratch, entry, replaced)
    warnings, curated = normal or ((), None)
    if normal is not None:
        directory, is_source = scratch, False
    opened = LeRobotDataset.open(directory, name)
    version = versions.content_hash(directory, replaced)
    target = store.dataset_directory(name, version)
    if target.is_dir() and versions.changed_version_files(name, version, store):
        shutil.rmtree(target)
    if not target.is_dir():
        with published_directory(target) as partial:
            fetch.lay_out(directory, partial, is_source, replaced)
            hashes = versions.content_hashes(partial)
            if versions.hash_of_files(hashes) != version:
                raise DatasetError(name, "its files changed while they were copied.", ["try again"])
            versions.record_files(name, version, hashes, store)
    keep_scan(scan, target, store.dataset_scan(name, version))
    sizes = [file.stat().st_size for file in versions.files_by_path(target).values()]
    seconds = time.monotonic() - started
    log(
        f"{name}: version {version}, {counted(len(sizes), 'file')}, "
        f"{sum(sizes) / 1e6:.1f} MB, opened, hashed and kept in {seconds:.1f} s"
    )
    tasks = [opened.tasks[index] for index in sorted(opened.tasks)]
    if curated is not None:  # where episodes were left out, the tasks of those that are left
        listed = {task for episode in opened.episodes for task in episode.tasks}
        tasks = dict.fromkeys(task for task in tasks if task in listed or not listed)
    return DatasetRecord(
        name=name,
        version=version,
        source=entry.source.describe(),
        revision=None,
        codebase_version=opened.codebase_version,
        robot_type=opened.robot_type,
        episodes=len(opened.episodes),
        frames=opened.frame_count,
        fps=opened.fps,
        cameras=scan.measured,
        tasks=tuple(tasks),
        size_bytes=sum(sizes),
        warnings=tuple(dict.fromkeys((*warnings, *opened.warnings))),
        curated=curated,
    )
