"""From a catalog entry to a version of the dataset in the store."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import PARTIAL, disk_full_explained, published_directory
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.lerobot.dataset import LeRobotDataset
from gr00t_assets.datasets.record import Camera, DatasetRecord, load_record, save_record
from gr00t_assets.datasets.source_kinds import HubSource
from gr00t_assets.datasets.sources.content import content_files, content_hash, refuse_links
from gr00t_assets.datasets.sources.fetch import (
    Fetched,
    exclusive,
    fetch,
    lay_out,
    local_folder,
    no_log,
    remove_downloads,
)
from gr00t_assets.datasets.sources.origin import (
    OFFLINE,
    Origin,
    folder_origin,
    load_origin,
    needs_preparing,
    origin_now,
    prepare_dataset,
    save_origin,
)
from gr00t_assets.datasets.video_decoding import Probe, VideoError, probe
from gr00t_assets.modality.modality_json import FILE, preset_path


def ingest_dataset(
    entry: CatalogEntry, store: Store, log: Callable[[str], None] = no_log
) -> DatasetRecord:
    """Bring a dataset into the store, unless this very version is there.

    The source is never written to. A source that cannot have changed (parameters of the generator,
    a commit) is not fetched again; a folder is hashed again and copied only where it has changed.
    What a broken connection or a killed process leaves of a download is used by the next call.

    Args:
        store: Where it goes: a folder by name and content hash, the record of the current one,
            and ``origin.json``, which says where that came from.
        log: Where lines about its progress go: files, bytes and seconds.

    Raises:
        DatasetError: It cannot be had, means something else than before under the same name, is
            not a complete LeRobot dataset, or has videos that cannot be opened; the store has
            what it had.
        StoreError: The disk is full, or has no room for it.
    """
    with exclusive(entry.name, store, log) as folder, disk_full_explained(folder):
        local = local_folder(entry)
        if local is None:
            origin, offline = origin_now(entry, store)
            source = entry.source.describe()
        else:
            refuse_links(local.directory, entry.name)
            digest = content_hash(local.directory, _replaced_files(entry))
            origin, offline = folder_origin(entry, store, digest), None
            source = local.description
        record = _stored_record(entry, store, origin)
        if record is not None:
            log(f"{entry.name}: version {record.version} is in the store")
        else:
            with TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=folder) as scratch:
                fetched = local or fetch(entry, origin.commit, folder, Path(scratch), log)
                if local is not None and needs_preparing(local.directory, entry.name, store):
                    copied = Path(scratch, "dataset")
                    lay_out(local.directory, copied, copied=True)
                    fetched = replace(local, directory=copied, temporary=True)
                record = _publish(entry, store, fetched, log)
        record = _with_current_words(record, source, offline)
        if record != _current_record(entry, store):
            save_record(record, store)
        save_origin(entry.name, store, origin, record.version)
        if local is None:
            remove_downloads(folder)
    return record


def _with_current_words(
    record: DatasetRecord, description: str, offline: str | None
) -> DatasetRecord:
    """The record with the source as it is described now, and the warning of this call alone."""
    warnings = [line for line in record.warnings if not line.startswith(OFFLINE)]
    warnings += [offline] if offline else []
    source = description + (f" at {record.revision}" if record.revision else "")
    return record.model_copy(update={"source": source, "warnings": tuple(warnings)})


def _current_record(entry: CatalogEntry, store: Store) -> DatasetRecord | None:
    try:
        return load_record(entry.name, store)
    except DatasetError:
        return None


def _stored_record(entry: CatalogEntry, store: Store, origin: Origin) -> DatasetRecord | None:
    """The record that this origin gave last time, where it is still current and complete."""
    stored, record = load_origin(entry.name, store), _current_record(entry, store)
    if stored is None or record is None or stored[1] != record.version:
        return None
    size = sum(_sizes(record.directory(store)).values())
    return record if stored[0].key == origin.key and size == record.size_bytes else None


def _publish(
    entry: CatalogEntry, store: Store, fetched: Fetched, log: Callable[[str], None]
) -> DatasetRecord:
    """Bring a dataset into the form that is read here, check it and publish it by its hash."""
    started = time.monotonic()
    warnings: list[str] = []
    if fetched.temporary:
        warnings += prepare_dataset(fetched.directory, entry.name, store)
    replaced = _replaced_files(entry)
    opened = LeRobotDataset.open(fetched.directory, entry.name)
    _check_row_counts(opened)
    cameras, camera_warnings = _cameras(opened)
    version = content_hash(fetched.directory, replaced)
    target = store.dataset_directory(entry.name, version)
    if target.is_dir() and _sizes(target) != _sizes(fetched.directory, replaced):
        shutil.rmtree(target)
    if not target.is_dir():
        with published_directory(target) as partial:
            _copy(fetched, partial, replaced)
            if content_hash(partial) != version:
                raise DatasetError(
                    entry.name, "its files changed while they were copied.", ["try again"]
                )
    sizes = _sizes(target)
    seconds = time.monotonic() - started
    log(
        f"{entry.name}: version {version}, {len(sizes)} files, "
        f"{sum(sizes.values()) / 1e6:.1f} MB, opened, hashed and kept in {seconds:.1f} s"
    )
    return DatasetRecord(
        name=entry.name,
        version=version,
        source=fetched.description + (f" at {fetched.revision}" if fetched.revision else ""),
        revision=fetched.revision,
        codebase_version=opened.codebase_version,
        robot_type=opened.robot_type,
        episodes=len(opened.episodes),
        frames=opened.frame_count,
        fps=opened.fps,
        cameras=cameras,
        tasks=tuple(opened.tasks[index] for index in sorted(opened.tasks)),
        size_bytes=sum(sizes.values()),
        warnings=(*warnings, *opened.warnings, *camera_warnings),
    )


def _replaced_files(entry: CatalogEntry) -> Mapping[Path, Path]:
    """Packaged files that stand in for those of the source."""
    source = entry.source
    if isinstance(source, HubSource) and source.modality is not None:
        return {Path(FILE): preset_path(source.modality)}
    return {}


def _sizes(directory: Path, replaced: Mapping[Path, Path] | None = None) -> dict[Path, int]:
    """Bytes of every file; a version in the store that differs was damaged from outside."""
    files = {path: directory / path for path in content_files(directory)} | dict(replaced or {})
    return {path: file.stat().st_size for path, file in files.items()}


def _copy(fetched: Fetched, target: Path, replaced: Mapping[Path, Path]) -> None:
    for path in content_files(fetched.directory):
        if path in replaced:
            continue
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if fetched.temporary and not (fetched.directory / path).is_symlink():
            (fetched.directory / path).rename(target / path)
        else:
            shutil.copyfile(fetched.directory / path, target / path)
    for path, source in replaced.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / path)


def _check_row_counts(dataset: LeRobotDataset) -> None:
    """Compare the length of every episode with the rows of its file."""
    problems = []
    for episode in dataset.episodes:
        try:
            rows = dataset.row_count(episode.index)
        except DatasetError as error:
            problems += [error.problem, *error.details]
            continue
        if rows != episode.length:
            problems.append(
                f"episode {episode.index} has {rows} rows, "
                f"meta/episodes.jsonl says {episode.length}"
            )
    if problems:
        raise DatasetError(dataset.name, "its rows do not fit its meta files.", problems)


def _cameras(dataset: LeRobotDataset) -> tuple[tuple[Camera, ...], list[str]]:
    """What the headers of all videos say, and warnings where ``info.json`` says otherwise."""
    problems, warnings, cameras = [], [], []
    for key in dataset.cameras:
        headers: dict[Probe, int] = {}
        for episode in dataset.episodes:
            path = dataset.video_path(episode.index, key)
            try:
                headers.setdefault(probe(path), episode.index)
            except VideoError as error:
                problems.append(f"{path.relative_to(dataset.directory)}: {error}")
        sizes = {(header.width, header.height): index for header, index in headers.items()}
        if len(sizes) > 1:
            listed = [f"{w} x {h} (episode {index})" for (w, h), index in sizes.items()]
            problems.append(f"videos of {key} differ in size: {', '.join(listed)}")
        for header in list(headers)[:1]:
            cameras.append(Camera(original_key=key, **asdict(header)))
            if abs(header.fps - dataset.fps) > 0.01:
                warnings.append(
                    f"videos of {key} have {header.fps:g} frames a second, "
                    f"meta/info.json says {dataset.fps:g}"
                )
    if problems:
        raise DatasetError(dataset.name, "its videos cannot be used.", problems)
    return tuple(cameras), warnings
