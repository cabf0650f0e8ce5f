"""One pass over a dataset: its meta files, the rows and videos of every episode, and its totals.

The scan of a dataset version in the store is kept beside it, so that the checks of the dataset and
of its modality config read its files once.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gr00t_assets.core.errors import StoreError
from gr00t_assets.core.files import write_json
from gr00t_assets.core.finding import Finding
from gr00t_assets.core.names import did_you_mean
from gr00t_assets.datasets.checks.episode_scan import EpisodeScanner, Progress
from gr00t_assets.datasets.checks.meta_files import (
    check_episodes,
    check_tasks,
    check_totals,
    check_unlisted_files,
)
from gr00t_assets.datasets.checks.modality_file import check_modality, sliced_columns, task_columns
from gr00t_assets.datasets.checks.stored_statistics import check_statistics, read_statistics
from gr00t_assets.datasets.checks.video_checks import BACKENDS, check_camera_rates
from gr00t_assets.datasets.lerobot.dataset import MODALITY
from gr00t_assets.datasets.lerobot.features import INFO, Feature
from gr00t_assets.datasets.lerobot.folder import Folder
from gr00t_assets.datasets.lerobot.metadata import check_data_files, find_cameras, read_metadata
from gr00t_assets.datasets.lerobot.statistics import STATS
from gr00t_assets.datasets.record import Camera

SCAN_VERSION = 1
"""Raised when the checks begin to find other things in the same files."""

DEFAULT_BACKEND = "frame-cache"


class DatasetScan(BaseModel):
    """The faults of a dataset's files, and what a data config asks of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    findings: tuple[Finding, ...] = Field(description="Those that are listed, in order")
    error_count: int = Field(description="Errors, listed or not")
    warning_count: int = Field(description="Warnings, listed or not")
    first_readable: int | None = Field(
        default=None, description="Index of the first episode whose rows could be read"
    )
    cameras: tuple[str, ...] = Field(default=(), description="Features that have videos")
    measured: tuple[Camera, ...] = Field(default=(), description="Cameras as their videos are")
    constant: dict[str, tuple[int, ...]] = Field(
        default={}, description="By action column, the numbers that are the same in every row"
    )

    def has(self, *codes: str) -> bool:
        """Whether there is a finding of any of some codes."""
        return any(finding.code in codes for finding in self.findings)


class _KeptScan(BaseModel):
    """A scan as it is kept beside a dataset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scan_version: int
    backend: str
    files: str = Field(description="Digest of every file's path, size and time of change")
    scan: DatasetScan


def stored_scan(directory: Path, kept: Path, backend: str = DEFAULT_BACKEND) -> DatasetScan:
    """The scan of a dataset version in the store, which is made once.

    It is made anew where the checks are of another version, where a file of the dataset was
    replaced, added or changed since, and where it could not be written.

    Args:
        directory: The version's folder, named by its content hash.
        kept: The JSON file beside it that keeps the scan; written atomically.
        backend: What will decode the videos.
    """
    files = _file_states(directory)
    try:
        earlier = _KeptScan.model_validate_json(kept.read_bytes())
        if (earlier.scan_version, earlier.backend, earlier.files) == (SCAN_VERSION, backend, files):
            return earlier.scan
    except (OSError, ValidationError):
        pass
    scan = scan_dataset(directory, backend)
    content = _KeptScan(scan_version=SCAN_VERSION, backend=backend, files=files, scan=scan)
    with suppress(OSError, StoreError):
        write_json(kept, content.model_dump(mode="json"))
    return scan


def scan_dataset(
    directory: Path, backend: str = DEFAULT_BACKEND, progress: Progress | None = None
) -> DatasetScan:
    """Look at every file of a dataset.

    Each Parquet file is read once and each video is walked through packet by packet, without
    decoding. Nothing is written.

    Args:
        backend: What will decode the videos, one of ``video_checks.BACKENDS``.
    """
    folder = Folder(directory)
    facts: dict[str, Any] = {}
    with folder.collector.guard(None):
        facts = _scan(folder, backend, progress)
    findings = folder.collector.findings()
    return DatasetScan(
        findings=tuple(findings),
        error_count=findings.error_count,
        warning_count=findings.warning_count,
        **facts,
    )


def _scan(folder: Folder, backend: str, progress: Progress | None) -> dict[str, Any]:
    """The order of the checks, and what each hands to the next; findings go to the collector.

    Returns:
        Fields of ``DatasetScan`` beside the findings.
    """
    collector = folder.collector
    if backend not in BACKENDS:
        collector.report(
            "video-backend-unknown",
            None,
            f"video backend '{backend}'",
            backends=", ".join(BACKENDS),
            hint=did_you_mean(backend, BACKENDS),
        )
    if not folder.directory.is_dir():
        collector.report("no-folder", None, f"no folder {folder.directory}")
        return {}
    with collector.guard(None):
        folder.check_links()
    metadata = read_metadata(folder)
    info, episodes = metadata.info, metadata.episodes
    if info.raw and info.version is None:
        return {}
    complete, modality, stored = False, None, None
    with collector.guard(None):
        check_tasks(collector, metadata.tasks or {})
        complete = check_episodes(metadata)
        check_camera_rates(collector, info)
    with collector.guard(MODALITY):
        modality = check_modality(folder, info)
    with collector.guard(STATS):
        stored = read_statistics(folder)
    if not episodes or not info.features:
        return {}
    cameras: list[Feature] = []
    with collector.guard(None):
        check_data_files(metadata)
        check_unlisted_files(metadata)
    with collector.guard(None):
        used = {modality.video_feature(key) for key in modality.video} if modality else set()
        cameras = find_cameras(metadata, used)
    sliced = sliced_columns(modality, info)
    scanner = EpisodeScanner(metadata, cameras, sorted(sliced), task_columns(modality), backend)
    scanned = scanner.run(progress)
    with collector.guard(INFO):
        if complete:
            tasks = None if metadata.tasks is None else len(metadata.tasks)
            check_totals(collector, info, episodes, tasks, len(cameras), scanned.rows)
        else:
            scanned.incomplete.update(sliced)
    with collector.guard(STATS):
        for name, kind in sliced.items():
            running = None if name in scanned.incomplete else scanned.statistics.get(name)
            if stored is not None:
                check_statistics(collector, stored, info.features[name], kind, modality, running)
    return {
        "first_readable": scanned.first_readable,
        "cameras": tuple(camera.name for camera in cameras),
        "measured": tuple(
            Camera(original_key=name, height=v.height, width=v.width, fps=v.fps or 0, codec=v.codec)
            for name, v in scanned.videos.items()
        ),
        "constant": {
            name: scanned.constant_numbers(name)
            for name, kind in sliced.items()
            if kind == "action"
        },
    }


def _file_states(directory: Path) -> str:
    """A digest of the path, size and time of change of every file below a folder."""
    digest = hashlib.blake2b(digest_size=16)
    for parent, folders, files in os.walk(directory):
        folders.sort()
        for path in (Path(parent, name) for name in sorted(files)):
            status, file = path.lstat(), os.fsencode(path.relative_to(directory))
            digest.update(file + f"\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
