"""From a catalog entry to a version of the dataset in the store."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gr00t_assets.datasets.catalog import CatalogEntry
from gr00t_assets.datasets.content_hash import content_files, content_hash
from gr00t_assets.datasets.frames import Probe, VideoError, probe
from gr00t_assets.datasets.lerobot import LeRobotDataset
from gr00t_assets.datasets.modality_presets import preset_path
from gr00t_assets.datasets.record import Camera, DatasetRecord, load_record, save_record
from gr00t_assets.datasets.source_hub import hub_commit
from gr00t_assets.datasets.source_kinds import GitSource, HubSource, SyntheticSource
from gr00t_assets.datasets.sources import Fetched, fetch, local_folder
from gr00t_assets.errors import DatasetError
from gr00t_assets.files import PARTIAL, disk_full_explained, published_directory, write_json
from gr00t_assets.project import Store

_MODALITY = Path("meta/modality.json")


def ingest_dataset(entry: CatalogEntry, store: Store) -> DatasetRecord:
    """Bring a dataset into the store, unless this very version is there.

    The source is never written to. A source that cannot have changed (parameters of the generator,
    a commit) is not fetched again; a folder is hashed again and copied only where it has changed.

    Args:
        entry: The dataset, and where to take it from.
        store: Where it goes: a folder by name and content hash, and the record of the current one.

    Raises:
        DatasetError: It cannot be had, is not a complete LeRobot dataset, or has videos that
            cannot be opened; nothing is left in the store.
        StoreError: The disk is full.
    """
    local = local_folder(entry)
    if local is not None:
        return _keep(entry, store, local)
    if known := _remembered(entry, store):
        return known
    around = store.root / "datasets"
    around.mkdir(parents=True, exist_ok=True)
    with (
        disk_full_explained(around),
        tempfile.TemporaryDirectory(prefix=f".fetch{PARTIAL}", dir=around) as scratch,
    ):
        record = _keep(entry, store, fetch(entry, Path(scratch)))
    memory = {"origin": _origin(entry, record.revision), "version": record.version}
    write_json(_memory(entry, store), memory)
    return record


def _origin(entry: CatalogEntry, commit: str | None) -> str:
    """What decides the content of a source that is not a folder, as 16 hex digits."""
    source = entry.source
    content: list[str | None] = []
    if isinstance(source, SyntheticSource):
        content = ["synthetic", source.digest()]
    elif isinstance(source, GitSource):
        content = ["git", source.repository, source.path, commit]
    elif isinstance(source, HubSource):
        content = ["hub", source.repo_id, commit, *_preset_digest(source)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _preset_digest(source: HubSource) -> list[str]:
    if source.modality is None:
        return []
    return [hashlib.sha256(preset_path(source.modality).read_bytes()).hexdigest()]


def _memory(entry: CatalogEntry, store: Store) -> Path:
    return store.dataset_record(entry.name).with_name("origin.json")


def _commit(entry: CatalogEntry) -> str | None:
    """The commit that the source means now; asks the Hub."""
    source = entry.source
    if isinstance(source, HubSource):
        return hub_commit(source, entry.name)
    return source.revision if isinstance(source, GitSource) else None


def _remembered(entry: CatalogEntry, store: Store) -> DatasetRecord | None:
    """The record that this origin gave last time, where it is still current and whole."""
    origin = _origin(entry, _commit(entry))
    try:
        known = json.loads(_memory(entry, store).read_text())
        record = load_record(entry.name, store)
        if known != {"origin": origin, "version": record.version}:
            return None
        LeRobotDataset.open(record.directory(store), entry.name)
    except (OSError, ValueError, DatasetError):
        return None
    return record


def _keep(entry: CatalogEntry, store: Store, fetched: Fetched) -> DatasetRecord:
    """Check a dataset on this machine, publish it by its hash, and make it the current one."""
    replaced = _replaced(entry)
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
    record = DatasetRecord(
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
        size_bytes=sum(_sizes(target).values()),
        warnings=(*opened.warnings, *warnings),
    )
    save_record(record, store)
    return record


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
