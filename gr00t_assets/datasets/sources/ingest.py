"""From a catalog entry to a version of the dataset in the store."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from gr00t_assets.core.errors import DatasetError
from gr00t_assets.core.files import PARTIAL, disk_full_explained, published_directory
from gr00t_assets.core.project import Store
from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.frames.frames import Probe, VideoError, probe
from gr00t_assets.datasets.lerobot.lerobot import LeRobotDataset
from gr00t_assets.datasets.modality_presets import preset_path
from gr00t_assets.datasets.sources.content_hash import content_files, content_hash
from gr00t_assets.datasets.sources.prepare import needs_preparing, prepare_dataset
from gr00t_assets.datasets.sources.record import Camera, DatasetRecord, load_record, save_record
from gr00t_assets.datasets.sources.source_kinds import HubSource
from gr00t_assets.datasets.sources.source_links import refuse_links
from gr00t_assets.datasets.sources.source_lock import alone
from gr00t_assets.datasets.sources.source_origin import (
    OFFLINE,
    Origin,
    folder_origin,
    load_origin,
    origin_now,
    save_origin,
)
from gr00t_assets.datasets.sources.sources import (
    Fetched,
    fetch,
    forget_downloads,
    lay_out,
    local_folder,
    silent,
)

_MODALITY = Path("meta/modality.json")


def ingest_dataset(
    entry: CatalogEntry, store: Store, log: Callable[[str], None] = silent
) -> DatasetRecord:
    """Bring a dataset into the store, unless this very version is there.

    The source is never written to. A source that cannot have changed (parameters of the generator,
    a commit) is not fetched again; a folder is hashed again and copied only where it has changed.
    What a broken connection or a killed process leaves of a download is used by the next call.

    Args:
        entry: The dataset, and where to take it from.
        store: Where it goes: a folder by name and content hash, the record of the current one,
            and ``origin.json``, which says where that came from.
        log: Where lines about its progress go: files, bytes and seconds.

    Raises:
        DatasetError: It cannot be had, means something else than before under the same name, is
            not a complete LeRobot dataset, or has videos that cannot be opened; the store has
            what it had.
        StoreError: The disk is full, or has no room for it.
    """
    with alone(entry.name, store, log) as folder, disk_full_explained(folder):
        local = local_folder(entry)
        if local is not None:
            return _from_folder(entry, store, local, folder, log)
        origin, offline = origin_now(entry, store)
        record = _remembered(entry, store, origin)
        if record is not None:
            log(f"{entry.name}: version {record.version} is in the store")
        else:
            with _scratch(folder) as scratch:
                fetched = fetch(entry, origin.commit, folder, scratch, log)
                record = _keep(entry, store, _prepared(entry, store, fetched), log)
        record = _said_now(record, entry.source.describe(), offline)
        if record != _in_store(entry, store):
            save_record(record, store)
        save_origin(entry.name, store, origin, record.version)
        forget_downloads(folder)
    return record


def _from_folder(
    entry: CatalogEntry, store: Store, local: Fetched, folder: Path, log: Callable[[str], None]
) -> DatasetRecord:
    """Copy a folder of this machine, where its content is not in the store already."""
    refuse_links(local.directory, entry.name)
    digest = content_hash(local.directory, _replaced(entry))
    origin = folder_origin(entry, store, digest)
    record = _remembered(entry, store, origin)
    if record is not None and record.source == local.description:
        log(f"{entry.name}: version {record.version} is in the store")
        return record
    with _scratch(folder) as scratch:
        if needs_preparing(local.directory, entry.name, store):
            lay_out(local.directory, scratch / "dataset", copied=True)
            local = replace(local, directory=scratch / "dataset", temporary=True)
        record = _keep(entry, store, _prepared(entry, store, local), log)
    save_record(record, store)
    save_origin(entry.name, store, origin, record.version)
    return record


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=folder) as scratch:
        yield Path(scratch)


def _prepared(entry: CatalogEntry, store: Store, fetched: Fetched) -> tuple[Fetched, list[str]]:
    """A dataset brought into the form that is read here, and warnings of that."""
    if not fetched.temporary:
        return fetched, []
    return fetched, prepare_dataset(fetched.directory, entry.name, store)


def _said_now(record: DatasetRecord, description: str, offline: str | None) -> DatasetRecord:
    """The record with the source's words and the warning of this time, not of an earlier one."""
    warnings = [line for line in record.warnings if not line.startswith(OFFLINE)]
    warnings += [offline] if offline else []
    source = description + (f" at {record.revision}" if record.revision else "")
    return record.model_copy(update={"source": source, "warnings": tuple(warnings)})


def _in_store(entry: CatalogEntry, store: Store) -> DatasetRecord | None:
    try:
        return load_record(entry.name, store)
    except DatasetError:
        return None


def _remembered(entry: CatalogEntry, store: Store, origin: Origin) -> DatasetRecord | None:
    """The record that this origin gave last time, where it is still current and whole."""
    known, record = load_origin(entry.name, store), _in_store(entry, store)
    if known is None or record is None:
        return None
    if (known[0].key, known[1]) != (origin.key, record.version):
        return None
    size = sum(_sizes(record.directory(store)).values())
    return record if size == record.size_bytes else None


def _keep(
    entry: CatalogEntry,
    store: Store,
    prepared: tuple[Fetched, list[str]],
    log: Callable[[str], None],
) -> DatasetRecord:
    """Check a dataset on this machine and publish it by its hash."""
    started = time.monotonic()
    replaced = _replaced(entry)
    fetched, said = prepared
    opened = LeRobotDataset.open(fetched.directory, entry.name)
    _see_rows(opened)
    cameras, warnings = _cameras(opened)
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
        warnings=(*said, *opened.warnings, *warnings),
    )


def _replaced(entry: CatalogEntry) -> Mapping[Path, Path]:
    """Packaged files that stand in for those of the source."""
    source = entry.source
    if isinstance(source, HubSource) and source.modality is not None:
        return {_MODALITY: preset_path(source.modality)}
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


def _see_rows(dataset: LeRobotDataset) -> None:
    """Hold the length of every episode against its file."""
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
        found: dict[Probe, int] = {}
        for episode in dataset.episodes:
            path = dataset.video_path(episode.index, key)
            try:
                found.setdefault(probe(path), episode.index)
            except VideoError as error:
                problems.append(f"{path.relative_to(dataset.directory)}: {error}")
        sizes = {(seen.width, seen.height): index for seen, index in found.items()}
        if len(sizes) > 1:
            listed = [f"{w} x {h} (episode {index})" for (w, h), index in sizes.items()]
            problems.append(f"videos of {key} differ in size: {', '.join(listed)}")
        for seen in list(found)[:1]:
            cameras.append(
                Camera(
                    original_key=key,
                    height=seen.height,
                    width=seen.width,
                    fps=seen.fps,
                    codec=seen.codec,
                )
            )
            if abs(seen.fps - dataset.fps) > 0.01:
                warnings.append(
                    f"videos of {key} have {seen.fps:g} frames a second, "
                    f"meta/info.json says {dataset.fps:g}"
                )
    if problems:
        raise DatasetError(dataset.name, "its videos cannot be used.", problems)
    return tuple(cameras), warnings
